"""`pixl imaging-api` and `pixl export-api` as services, asked by curl and by Python's own HTTP client."""
import concurrent.futures
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import time
import zipfile

import pytest
from hospital import MARK, ROOT, Hospital, canaries
from services import Service, states, wait_for

TOKEN = "a-token-of-some-length"


@pytest.fixture
def hospital(tmp_path):
    return Hospital(tmp_path)


@pytest.fixture
def serve(hospital):
    started = []

    def start(command, *args, **env):
        started.append(Service(hospital, command, *args, **env))
        return started[-1]
    yield start
    for s in started:
        if s.process.poll() is None:
            s.process.kill()
            s.process.wait()


def test_bodies_byte_for_byte(hospital, serve):
    hospital.add_study(1)
    s = serve("imaging-api")
    path = "/token-bucket-refresh-rate"
    post = ["-X", "POST", "-H", "Content-Type: application/json", "-d"]
    assert s.curl("/heart-beat") == (200, '"OK"')
    assert s.curl(path) == (200, '{"rate":0.0}')
    assert s.curl(*post, '{"rate": 2.5}', path) == (200, '"Successfully updated the refresh rate"')
    assert s.curl(path) == (200, '{"rate":2.5}')
    assert s.curl(*post, '{"rate": "4"}', path) == (200, '"Successfully updated the refresh rate"')
    assert s.curl(path) == (200, '{"rate":4.0}')
    assert s.curl(*post, '{"rate": -1}', path) == (406, '{"detail":"Refresh rate mush be a positive integer. Had -1.0"}')
    assert s.curl(*post, '{"rate": "x"}', path) == (
        422, '{"detail":[{"type":"float_parsing","loc":["body","rate"],"msg":"Input should be a valid number, '
             'unable to parse string as a number","input":"x"}]}')
    assert s.curl(*post, '{}', path) == (
        422, '{"detail":[{"type":"missing","loc":["body","rate"],"msg":"Field required","input":{}}]}')
    for bad in ('{"rate": NaN}', '{"rate": "nan"}', '{"rate": Infinity}', '{"rate": "inf"}', '{"rate": 1e999}', '{"rate": true}',
                '{"rate": 1', '', '[]', '{"rate": null}', '{"rate":1,"rate":2}'):
        assert s.curl(*post, bad, path)[0] == 422, bad
    assert s.curl(*post, '{"rate": 1, "archive": "nowhere"}', path)[0] == 404
    assert s.curl("-X", "POST", "-H", "Content-Type: text/plain", "-d", '{"rate": 7}', path)[0] == 422
    assert s.curl("-H", "Origin: http://evil.example", *post, '{"rate": 7}', path)[0] == 403
    assert s.curl("-X", "DELETE", path) == (405, '{"detail":"Method Not Allowed"}')
    assert s.curl("/nowhere") == (404, '{"detail":"Not Found"}')
    assert s.curl(path) == (200, '{"rate":4.0}')
    # Malformed: where, and not what.
    status, body = s.curl(*post, f'{{"rate": 1,\n "{MARK}": {MARK}}}', path)
    assert status == 422 and MARK not in body and "line 2 column 12" in body
    # Large.
    assert s.ask("POST", path, "x" * (2 << 20), Content_Type="application/json")[0] == 413
    assert s.stop() == 0
    log = s.log.read_text()
    assert MARK not in log and "nowhere" not in log and "evil" not in log
    # The store has kept the rate.
    s = serve("imaging-api")
    assert s.curl(path) == (200, '{"rate":4.0}')


def test_a_hundred_at_once_and_slow_ones_beside(hospital, serve):
    hospital.add_study(1)
    s = serve("imaging-api")
    slow = [socket.create_connection(("127.0.0.1", s.port)) for _ in range(40)]
    for c in slow:
        c.send(b"POST /token-bucket-refresh-rate HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{")
    with concurrent.futures.ThreadPoolExecutor(100) as pool:
        rates = list(pool.map(lambda i: s.ask("POST", "/token-bucket-refresh-rate", {"rate": i}), range(100)))
    assert rates == [(200, '"Successfully updated the refresh rate"')] * 100
    began = time.monotonic()
    while slow:                                                      # a byte now and then does not help them
        for c in list(slow):
            c.settimeout(0.01)
            try:
                c.send(b" ")
                if c.recv(1000) == b"":
                    raise ConnectionError
            except TimeoutError:
                continue
            except ConnectionError:
                c.close()
                slow.remove(c)
        assert time.monotonic() - began < 60
    assert s.curl("/heart-beat") == (200, '"OK"')


def test_a_token_beyond_this_machine(hospital, serve):
    hospital.add_study(1)
    r = hospital.pixl("imaging-api", ok=(2,), PIXL_API_LISTEN="0.0.0.0", timeout=30)
    assert "PIXL_API_TOKEN" in r.stderr
    s = serve("imaging-api", PIXL_API_LISTEN="0.0.0.0", PIXL_API_TOKEN=TOKEN)
    assert s.curl("/token-bucket-refresh-rate") == (401, '{"detail":"Not authenticated"}')
    assert s.curl("-H", "Authorization: Bearer wrong-token-of-length", "/metrics")[0] == 401
    assert s.curl("-H", f"Authorization: Bearer {TOKEN}", "/token-bucket-refresh-rate") == (200, '{"rate":0.0}')
    assert s.curl("/heart-beat") == (200, '"OK"')
    assert TOKEN not in s.log.read_text()
    assert TOKEN not in pathlib.Path(f"/proc/{s.process.pid}/cmdline").read_text()


def test_rates_by_command(hospital):
    h = hospital
    h.add_study(1)
    h.write_csv()
    h.pixl("populate", h.csv)
    assert "Cannot start extract with a rate of 0. Must be >0" in h.pixl("start", "--rate", "0", ok=(2,)).stderr
    assert "which rate?" in h.pixl("update", ok=(2,)).stderr
    for bad in ("-1", "nan", "inf", "x"):
        h.pixl("update", "--rate", bad, ok=(2,))

    def rates():
        return [a["rate"] for a in json.loads(h.pixl("status", "--json").stdout)["archives"]]
    assert rates() == []                 # nobody waits for a rate: a folder is not slowed down by a populate
    h.pixl("start")
    assert rates() == [1.0]
    h.pixl("update", "--rate", "0.5")
    assert rates() == [0.5]
    h.pixl("populate", h.csv)
    assert rates() == [0.5]
    h.pixl("stop")
    assert rates() == [0.0]
    assert "stopped" in h.pixl("status").stdout
    h.pixl("populate", h.csv, "--no-start")
    assert rates() == [0.0]
    h.pixl("populate", h.csv, PIXL_IMAGING_API_RATE="3")
    assert rates() == [3.0]
    h.pixl("populate", h.csv, "--rate", "7")
    assert rates() == [7.0]
    h.pixl("populate", h.csv, "--rate", "0", ok=(2,))
    h.pixl("start", "--archive", "nowhere", ok=(2,))
    assert "imaging" in h.pixl("populate", h.csv, "--queues", "elsewhere", ok=(2,)).stderr
    assert rates() == [7.0]


def test_status_is_watched(hospital):
    h = hospital
    h.add_study(1)
    h.write_csv()
    h.pixl("populate", h.csv)
    p = subprocess.Popen(h.command("status", "--watch"), env=h.environment, cwd=h.base, stdout=subprocess.PIPE, text=True)
    try:
        lines = [p.stdout.readline() for _ in range(2)]
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\n", lines[0]) and lines[1] == "test-project:\n"
        while p.stdout.readline() != lines[1]:
            assert p.poll() is None
    finally:
        p.send_signal(signal.SIGINT)
        p.wait(10)


def whole_run(h, serve, **env):
    for study in range(1, 7):
        h.add_study(study, series=2)
    h.ask(7)                                                        # in no archive
    h.write_csv()
    imaging, export = serve("imaging-api", **env), serve("export-api", **env)
    h.pixl("populate", h.csv, "--no-start", **env)
    time.sleep(1)
    assert states(h, **env) == {"queued": 7}                        # a new store stands still
    assert imaging.metrics()["pixl_rate_per_second", ("archive", "primary")] == 0
    h.pixl("start", "--rate", "50", **env)
    wait_for(h, {"exported": 6, "missing": 1}, **env)
    assert len(h.zips()) == 6
    assert all(len(zipfile.ZipFile(z).namelist()) == 4 for z in h.zips())
    m = imaging.metrics()
    assert m["pixl_study_moves_total", ("project", "test-project"), ("state", "deidentified")] == 6
    assert m["pixl_studies", ("project", "test-project"), ("state", "exported")] == 6
    assert m["pixl_instances_total", ("project", "test-project"), ("result", "delivered")] == 24
    assert m["pixl_step_seconds_count", ("step", "find")] == 7
    assert m["pixl_studies_in_flight", ("work", "retrieve")] == 0
    m = export.metrics()
    assert m["pixl_study_moves_total", ("project", "test-project"), ("state", "exported")] == 6
    assert m["pixl_step_seconds_count", ("step", "deliver")] == 6
    assert m["pixl_bytes_total", ("what", "delivered")] == sum(z.stat().st_size for z in h.zips())
    s = json.loads(imaging.ask("GET", "/status")[1])
    assert s["service"] == "imaging-api" and s["trouble"] == "" and s["in_hand"] == 0
    assert s["archives"][0]["archive"] == "primary" and s["archives"][0]["rate"] == 50.0
    assert s["projects"][0]["studies"]["exported"] == 6 and s["projects"][0]["studies"]["missing"] == 1
    # The tables, as the Python commands ask for them.
    body = {"project_name": "Test Project", "extract_datetime": "2023-12-07T14:08:58+00:00"}
    assert export.ask("POST", "/export-patient-data", body) == (200, "null")
    linker = list(h.haven.glob("test-project/*/parquet/radiology/IMAGE_LINKER.parquet"))
    assert len(linker) == 1
    assert export.ask("POST", "/export-patient-data", {**body, "output_dir": "/tmp"})[0] == 400
    assert export.ask("POST", "/export-patient-data", {**body, "project_name": "Elsewhere"})[0] == 404
    assert export.ask("POST", "/export-patient-data", {**body, "extract_datetime": "2023-12-08T14:08:58"})[0] == 404
    assert export.ask("POST", "/export-patient-data", {**body, "extract_datetime": "yesterday"})[0] == 400
    assert export.ask("POST", "/export-patient-data", {"project_name": "Test Project"}) == (
        422, '{"detail":[{"type":"missing","loc":["body","extract_datetime"],"msg":"Field required",'
             '"input":{"project_name":"Test Project"}}]}')
    # Many at once, for one extract: each sees whole tables.
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        assert list(pool.map(lambda _: export.ask("POST", "/export-patient-data", body), range(6))) == [(200, "null")] * 6
    # The destination goes away: told in the old words, and nothing else of it.
    h.haven.rename(h.base / "away")
    assert export.ask("POST", "/export-patient-data", body) == (400, '{"detail":"Destination for parquet files unavailable"}')
    (h.base / "away").rename(h.haven)
    assert imaging.stop() == 0 and export.stop() == 0
    for s in (imaging, export):
        assert MARK not in s.log.read_text() and ROOT not in s.log.read_text()
    assert not canaries(h.haven) and not canaries(h.exports)


def test_a_whole_service_run(hospital, serve):
    whole_run(hospital, serve)


def test_the_rate_is_kept(hospital, serve):
    h = hospital
    for study in range(1, 30):
        h.add_study(study, instances=1)
    h.write_csv()
    s = serve("imaging-api")
    h.pixl("populate", h.csv, "--rate", "4")
    began = time.monotonic()
    until = began + 20
    while states(h).get("deidentified", 0) < 10 and time.monotonic() < until:
        time.sleep(0.1)
    took = time.monotonic() - began
    assert 5 + 4 * took + 2 >= states(h)["deidentified"] >= 10        # capacity, then the rate
    h.pixl("stop")
    time.sleep(1)
    still = states(h)
    time.sleep(1.5)
    assert states(h) == still
    assert s.stop() == 0
    s = serve("imaging-api")
    assert s.curl("/token-bucket-refresh-rate") == (200, '{"rate":0.0}')
    assert s.ask("POST", "/token-bucket-refresh-rate", {"rate": 100, "archive": "primary"})[0] == 200
    wait_for(h, {"deidentified": 29})


def test_new_files_of_a_folder_are_seen(hospital, serve):
    h = hospital
    h.add_study(1)
    h.ask(2)
    h.write_csv()
    serve("imaging-api", PIXL_REFRESH_S="1")
    h.pixl("populate", h.csv, "--rate", "100")
    wait_for(h, {"deidentified": 1, "missing": 1})
    h.add_study(2, ask=False)
    time.sleep(3)
    h.pixl("retry", "--state", "missing")
    wait_for(h, {"deidentified": 2})


def test_a_second_service_on_one_port(hospital, serve):
    """It never began, so that nothing ended; and it is named once."""
    first = serve("imaging-api")
    r = hospital.pixl("imaging-api", "--port", first.port, ok=(75,))
    assert f"pixl imaging-api: port {first.port} is taken by another program\n" in r.stderr
    assert "service.ended" not in r.stderr and "service.started" not in r.stderr
    assert first.ask("GET", "/heart-beat") == (200, '"OK"')


def test_a_run_does_not_mix_with_services(hospital, serve):
    hospital.add_study(1)
    hospital.write_csv()
    serve("imaging-api")
    r = hospital.pixl("run", hospital.csv, ok=(75,))
    assert "another pixl works" in r.stderr


@pytest.mark.parametrize("patience", ["25", "0"])
def test_sigterm_during_a_study(hospital, serve, patience):
    h = hospital
    h.add_study(1, instances=300, side=256)
    h.add_study(2, instances=300, side=256)
    h.write_csv()
    s = serve("imaging-api", PIXL_STOP_S=patience, PIXL_DEFLATE_LEVEL="9")
    h.pixl("populate", h.csv, "--rate", "100")
    until = time.monotonic() + 30
    while states(h).get("retrieving", 0) == 0:
        assert time.monotonic() < until
    assert s.curl("/heart-beat") == (200, '"OK"')
    began = time.monotonic()
    assert s.stop(40) == 0
    if patience == "0":
        assert time.monotonic() - began < 15
    left = states(h)
    assert "retrieving" not in left and sum(left.values()) == 2, left     # finished, or given back
    serve("imaging-api")
    wait_for(h, {"deidentified": 2})
    assert not [i for i in json.loads(h.pixl("failed", "--json", "--all").stdout)]


def test_populate_waits_and_retries(hospital, serve):
    h = hospital
    h.add_study(1)
    h.ask(2)
    h.write_csv()
    h.add_study(3, ask=False)
    h.add_study(4, ask=False)
    serve("imaging-api")
    serve("export-api")
    p = subprocess.Popen(h.command("populate", h.csv, "--rate", "50", "--num-retries", "5"), cwd=h.base, text=True,
                         env={**h.environment, "CLI_RETRY_SECONDS": "1"}, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    out, err = p.communicate(timeout=60)
    assert p.returncode == 1 and "1 study arrived, 1 failed or missing, 0 open: the last round brought nothing" in err, err
    # Interrupted: the services go on.
    h.ask(3)
    h.write_csv()
    h.pixl("stop")
    p = subprocess.Popen(h.command("populate", h.csv, "--num-retries", "5", "--rate", "0.001"), cwd=h.base, text=True,
                         env={**h.environment, "CLI_RETRY_SECONDS": "600"}, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    until = time.monotonic() + 30
    while states(h) != {"exported": 2, "missing": 1}:                  # capacity lets it pass
        assert time.monotonic() < until
        time.sleep(0.2)
    p.send_signal(signal.SIGINT)
    out, err = p.communicate(timeout=30)
    assert "interrupted; the services go on" in err and p.returncode == 1, err
    # At rate 0 waiting would have no end.
    h.ask(4)
    h.write_csv()
    h.pixl("stop")
    p = subprocess.Popen(h.command("populate", h.csv, "--num-retries", "5"), cwd=h.base, text=True,
                         env={**h.environment, "PIXL_IMAGING_API_RATE": "0"}, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    out, err = p.communicate(timeout=30)
    assert p.returncode == 75 and "archives stand still at rate 0" in err, err


def test_commands_by_the_apis(hospital, serve, tmp_path_factory):
    h = hospital
    h.add_study(1)
    h.write_csv()
    imaging, export = serve("imaging-api", PIXL_API_TOKEN=TOKEN), serve("export-api", PIXL_API_TOKEN=TOKEN)
    h.pixl("populate", h.csv, "--no-start")
    # From a folder that has no state: nothing but the address and the token.
    far = {"PIXL_STATE_DIR": str(tmp_path_factory.mktemp("far") / "none"), "PIXL_IMAGING_API_HOST": "127.0.0.1",
           "PIXL_IMAGING_API_PORT": str(imaging.port), "PIXL_API_TOKEN": TOKEN}
    h.pixl("start", "--rate", "2.5", **far)
    assert imaging.ask("GET", "/token-bucket-refresh-rate") == (200, '{"rate":2.5}')
    h.pixl("update", "--rate", "20", "--archive", "primary", **far)
    assert "error code 404" in h.pixl("update", "--rate", "20", "--archive", "nowhere", ok=(2,), **far).stderr
    r = h.pixl("stop", ok=(1,), **{**far, "PIXL_API_TOKEN": "another-token-of-length"})
    assert "error code 401 Not authenticated (is PIXL_API_TOKEN that of the service?)" in r.stderr
    assert "imaging-api: answers with status 401 (is PIXL_API_TOKEN" in \
        h.pixl("status", PIXL_IMAGING_API_HOST="127.0.0.1", PIXL_IMAGING_API_PORT=str(imaging.port)).stdout
    assert not os.path.exists(far["PIXL_STATE_DIR"])
    wait_for(h, {"exported": 1})
    near = {"PIXL_IMAGING_API_HOST": "localhost", "PIXL_IMAGING_API_PORT": str(imaging.port), "PIXL_API_TOKEN": TOKEN,
            "PIXL_EXPORT_API_HOST": "127.0.0.1", "PIXL_EXPORT_API_PORT": str(export.port)}
    assert "imaging-api: 0 in hand\nexport-api: 0 in hand\n" in h.pixl("status", **near).stdout
    r = h.pixl("export-patient-data", "--project", "test-project", **near)
    assert "written and delivered by the export API" in r.stdout
    assert list(h.haven.glob("test-project/*/parquet/radiology/OUTCOMES.parquet"))
    h.haven.rename(h.base / "away")
    r = h.pixl("export-patient-data", "--project", "test-project", ok=(1,), **near)
    assert "Failed to run export-patient-data due to: error code 400 Destination for parquet files unavailable" in r.stderr
    # What keeps the export API from delivering is told too.
    h.add_study(2)
    h.write_csv()
    h.pixl("populate", h.csv, "--no-start")
    until = time.monotonic() + 30
    while "\nexport-api: 0 in hand; test-project: " not in (said := h.pixl("status", **near).stdout):
        assert time.monotonic() < until, said
        time.sleep(0.1)
    (h.base / "away").rename(h.haven)
    wait_for(h, {"exported": 2})
    h.pixl("stop", **far)
    assert imaging.ask("GET", "/token-bucket-refresh-rate") == (200, '{"rate":0.0}')
    imaging.stop()
    export.stop()
    for command in (("start",), ("stop",), ("update", "--rate", "1"), ("export-patient-data", "--project", "test-project")):
        r = h.pixl(*command, ok=(75,), **near)
        assert "cannot be reached" in r.stderr and TOKEN not in r.stderr, r.stderr
    assert "cannot be reached" in h.pixl("status", **near).stdout
    h.pixl("export-patient-data", "--project", "test-project", "--local", **near)
