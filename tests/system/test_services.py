"""`pixl imaging-api` and `pixl export-api` as services, asked by curl and by Python's own HTTP client."""
import concurrent.futures
import http.client
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
from prometheus_client.parser import text_string_to_metric_families

TOKEN = "a-token-of-some-length"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Service:
    def __init__(self, hospital, command, *args, **env):
        self.port, self.token = free_port(), env.get("PIXL_API_TOKEN")
        self.log = hospital.base / f"{command}.{self.port}.log"
        self.log_file = open(self.log, "w")
        self.process = subprocess.Popen(hospital.command(command, "--port", self.port, *args), env={**hospital.environment, **env},
                                        cwd=hospital.base, stdout=self.log_file, stderr=self.log_file)
        until = time.monotonic() + 60
        while True:
            try:
                assert self.ask("GET", "/heart-beat") == (200, '"OK"')
                return
            except (ConnectionError, http.client.HTTPException):
                assert self.process.poll() is None and time.monotonic() < until, self.log.read_text()
                time.sleep(0.05)

    def ask(self, method, path, body=None, timeout=60, **headers):
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        if self.token:
            headers.setdefault("Authorization", f"Bearer {self.token}")
        if body is not None and not isinstance(body, (str, bytes)):
            body = json.dumps(body)
            headers.setdefault("Content-Type", "application/json")
        c.request(method, path, body, {k.replace("_", "-"): v for k, v in headers.items()})
        r = c.getresponse()
        text = r.read().decode()
        c.close()
        return r.status, text

    def curl(self, *args):
        r = subprocess.run(["curl", "-sS", "-w", "\n%{http_code}", *args[:-1], f"http://127.0.0.1:{self.port}{args[-1]}"],
                           capture_output=True, text=True, timeout=60, check=True)
        body, _, status = r.stdout.rpartition("\n")
        return int(status), body

    def metrics(self):
        status, text = self.ask("GET", "/metrics")
        assert status == 200
        return {(s.name, *sorted(s.labels.items())): s.value for f in text_string_to_metric_families(text) for s in f.samples}

    def stop(self, timeout=60):
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(timeout)
        self.log_file.close()
        return code


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


def states(h, **env):
    out = {}
    for p in json.loads(h.pixl("status", "--json", **env).stdout)["projects"]:
        for state, n in p["states"].items():
            if n:
                out[state] = out.get(state, 0) + n
    return out


def wait_for(h, want, seconds=60, **env):
    until = time.monotonic() + seconds
    while states(h, **env) != want:
        assert time.monotonic() < until, states(h, **env)
        time.sleep(0.2)


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
