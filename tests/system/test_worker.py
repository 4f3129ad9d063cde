"""`pixl worker`: services beside each other on one store, one budget for the archive, and no study twice, whoever is stopped when."""
import json
import os
import pathlib
import re
import signal
import subprocess
import time
import zipfile

import psycopg2
import pytest
from hospital import Hospital
from processes import children
from storms import HOUR_US, Clock

SERVER = os.environ["TEST_POSTGRES"]
DSN = f"host={SERVER}/sock user=pixl dbname=postgres"
URL = f"postgresql:///postgres?host={SERVER}/sock&user=pixl"
SLOW = {"PIXL_DEFLATE_LEVEL": "12"}
AWAY = "amqp://guest:guest@127.0.0.1:1/%2f"                      # a broker that is not there


@pytest.fixture
def database():
    connection = psycopg2.connect(DSN)
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("DROP SCHEMA IF EXISTS pixl_pipeline CASCADE")
        yield cursor
    connection.close()


@pytest.fixture
def hospital(tmp_path):
    h = Hospital(tmp_path)
    yield h
    for w in getattr(h, "workers", []):
        end(w, signal.SIGKILL)


def end(w, how=signal.SIGTERM):
    if w.poll() is None:
        for pid, _ in children(w.pid):
            os.kill(pid, signal.SIGCONT)
        w.send_signal(how)
    return w.wait(60)


def start(h, name, *args, state=None, **env):
    """A worker with a state directory of its own, unless it is given one."""
    w = subprocess.Popen(h.command("worker", "--state-dir", state or h.base / name, *args),
                         env={**h.environment, "PIXL_SECRETS_URL": f"file:{h.base}/secrets.env", **env}, cwd=h.base,
                         stdout=subprocess.DEVNULL, stderr=open(h.base / f"{name}.log", "ab"))
    w.log = h.base / f"{name}.log"
    h.workers = getattr(h, "workers", []) + [w]
    return w


def populate(h, **env):
    h.write_csv()
    h.pixl("populate", h.csv, PIXL_SECRETS_URL=f"file:{h.base}/secrets.env", **env)


def until(what, seconds=90):
    last = time.monotonic() + seconds
    while time.monotonic() < last:
        answer = what()
        if answer:
            return answer
        time.sleep(0.05)
    raise AssertionError("it never happened")


def rows(database, sql, *args):
    database.execute(sql, args)
    return database.fetchall()


def all_exported(database, n):
    return rows(database, "SELECT count(*) FROM pixl_pipeline.image WHERE state = 'exported'")[0][0] == n


def check_each_arrived_once(h, database, n):
    assert len(h.zips()) == n and [p for p in h.haven.rglob("*.part")] == []
    for z in h.zips():
        with zipfile.ZipFile(z) as opened:
            assert opened.testzip() is None
    assert rows(database, "SELECT count(*), count(DISTINCT image_id) FROM pixl_pipeline.image_event WHERE to_state = 'exported'") == [(n, n)]


def test_a_worker_that_slept_over_its_lease_changes_nothing(database, hospital):
    h, n = hospital, 9
    for study in range(1, n + 1):
        h.add_study(study, instances=40, side=512)
    populate(h, PIXL_STORE_URL=URL)
    how = {"PIXL_STORE_URL": URL, "PIXL_LEASE_S": "10", "PIXL_WORKERS": "1", **SLOW}
    sleeper = start(h, "sleeper", **how)
    until(lambda: "worker.began" in sleeper.log.read_text())
    spool = (h.base / "sleeper" / "spool-id").read_text()
    until(lambda: rows(database, "SELECT 1 FROM pixl_pipeline.image WHERE state = 'retrieving' AND owner LIKE %s", f"pixl-{spool}-%"))
    (child,) = [pid for pid, line in children(sleeper.pid) if "worker" in line]
    os.kill(child, signal.SIGSTOP)
    held = {i for (i,) in rows(database, "SELECT image_id FROM pixl_pipeline.image WHERE owner LIKE %s AND state = 'retrieving'",
                               f"pixl-{spool}-%")}
    lies_there = {i for (i,) in rows(database, "SELECT image_id FROM pixl_pipeline.image WHERE spool = %s AND state <> 'exported'", spool)}
    others = [start(h, name, **how) for name in ("one", "two")]
    assert held
    # What it had in hand is taken back and done by the others; what lies in its spool is its own.
    until(lambda: rows(database, "SELECT count(*) FROM pixl_pipeline.image WHERE state = 'exported'")[0][0] >= n - len(lies_there - held))
    fences = dict(rows(database, "SELECT image_id, fence FROM pixl_pipeline.image"))
    os.kill(child, signal.SIGCONT)
    until(lambda: "claims.lapsed" in sleeper.log.read_text())
    until(lambda: all_exported(database, n))
    time.sleep(2)                                                 # for what it may still try
    assert end(sleeper) == 0 and [end(w) for w in others] == [0, 0]
    check_each_arrived_once(h, database, n)
    after = dict(rows(database, "SELECT image_id, fence FROM pixl_pipeline.image"))
    assert {i for i in held if after[i] != fences[i]} == set()
    assert {r[0] for r in rows(database, "SELECT reason FROM pixl_pipeline.image_event WHERE image_id = ANY(%s)", sorted(held))} >= {"lease-lost"}
    for name in ("one", "two", "sleeper"):
        assert list((h.base / name / "spool").rglob("*.part")) == []


def test_three_workers_share_one_budget(database, hospital):
    h, n, rate = hospital, 16, 4.0
    for study in range(1, n + 1):
        h.add_study(study, instances=1)
    populate(h, PIXL_STORE_URL=URL)
    database.execute("INSERT INTO pixl_pipeline.bucket VALUES ('primary', %s, 5, 5, (extract(epoch FROM now()) * 1000000)::bigint)", (rate,))
    workers = [start(h, name, PIXL_STORE_URL=URL) for name in ("one", "two", "three")]
    until(lambda: all_exported(database, n))
    assert [end(w) for w in workers] == [0, 0, 0]
    asked = [(at / 1e6, owner) for at, owner in rows(
        database, "SELECT at_us, owner FROM pixl_pipeline.image_event WHERE to_state = 'retrieving' ORDER BY at_us")]
    assert len(asked) == n and len({owner for _, owner in asked}) > 1
    for i in range(n):
        for j in range(i, n):                                     # one more: a contact comes a moment after its token
            assert j - i + 1 <= rate * (asked[j][0] - asked[i][0]) + 5 + 1, (i, j)
    assert asked[-1][0] - asked[0][0] >= (n - 6) / rate - 0.5
    check_each_arrived_once(h, database, n)


def test_a_rate_of_0_stops_them(database, hospital):
    h = hospital
    h.add_study(1)
    populate(h, PIXL_STORE_URL=URL)
    database.execute("INSERT INTO pixl_pipeline.bucket VALUES ('primary', 0, 5, 5, 0)")
    w = start(h, "one", PIXL_STORE_URL=URL)
    until(lambda: "its rate is 0 (stopped)" in w.log.read_text(), 30)
    assert rows(database, "SELECT state FROM pixl_pipeline.image") == [("queued",)]
    database.execute("UPDATE pixl_pipeline.bucket SET rate_per_s = 10")
    until(lambda: all_exported(database, 1))
    assert end(w) == 0


def test_told_to_stop_it_gives_back_what_takes_too_long(database, hospital):
    h = hospital
    h.add_study(1, instances=60, side=512)
    populate(h, PIXL_STORE_URL=URL)
    w = start(h, "one", PIXL_STORE_URL=URL, PIXL_STOP_S="0", **SLOW)
    until(lambda: rows(database, "SELECT 1 FROM pixl_pipeline.image WHERE state = 'retrieving'"))
    assert end(w) == 0
    assert rows(database, "SELECT state, reason, attempts, crashes FROM pixl_pipeline.image") == [("queued", "stopped", 0, 0)]
    w = start(h, "one", PIXL_STORE_URL=URL, PIXL_STOP_S="60", **SLOW)
    until(lambda: rows(database, "SELECT 1 FROM pixl_pipeline.image WHERE state = 'retrieving'"))
    assert end(w) == 0                                            # and finishes it, when it may
    assert rows(database, "SELECT state FROM pixl_pipeline.image")[0][0] in ("deidentified", "exported")


def test_a_clock_that_is_ahead_misses_no_study(database, hospital):
    """Of a study that is asked for after the archive was looked through, whatever time it is at the worker."""
    h = hospital
    clock = Clock(h.base / "clock")
    clock.set(HOUR_US)
    h.add_study(1)
    populate(h, PIXL_STORE_URL=URL)
    w = start(h, "one", PIXL_STORE_URL=URL, **clock.environment)
    until(lambda: all_exported(database, 1))
    h.add_study(2)
    populate(h, PIXL_STORE_URL=URL)
    until(lambda: all_exported(database, 2) or rows(database, "SELECT 1 FROM pixl_pipeline.image WHERE state = 'missing'"))
    assert all_exported(database, 2) and end(w) == 0


def test_told_to_stop_before_work_begins(database, hospital):
    """The signal waits for work: from the moment at which it says that it began it ends with 0."""
    hospital.add_study(1)
    populate(hospital, PIXL_STORE_URL=URL)
    for queue in ("none:", AWAY) * 3:
        w = start(hospital, "one", PIXL_STORE_URL=URL, PIXL_QUEUE_URL=queue)
        before = w.log.stat().st_size
        while b"worker.began" not in w.log.read_bytes()[before:]:
            assert w.poll() is None
        assert end(w) == 0, w.log.read_text()
        assert b"work.stopping" in w.log.read_bytes()[before:]


def test_only_its_main_thread_takes_signals(database, hospital):
    """One that another thread took would end it in the middle of its work."""
    hospital.add_study(1)
    populate(hospital, PIXL_STORE_URL=URL)
    w = start(hospital, "one", PIXL_STORE_URL=URL, PIXL_QUEUE_URL=AWAY)
    until(lambda: "0/1 study " in w.log.read_text())
    (child,) = [pid for pid, line in children(w.pid) if "worker" in line]
    blocked = {}
    for task in pathlib.Path(f"/proc/{child}/task").iterdir():
        mask = next(line for line in (task / "status").read_text().splitlines() if line.startswith("SigBlk:"))
        blocked[int(task.name)] = int(mask.split()[1], 16) >> (signal.SIGTERM - 1) & 1
    assert len(blocked) > 3 and [thread for thread, b in blocked.items() if not b] in ([], [child])
    assert end(w) == 0


def test_retrieving_and_delivering_can_be_two_services(database, hospital):
    h, state = hospital, hospital.base / "both"
    for study in (1, 2, 3):
        h.add_study(study)
    populate(h, PIXL_STORE_URL=URL)
    r = start(h, "retriever", "--only", "retrieve", state=state, PIXL_STORE_URL=URL)
    until(lambda: rows(database, "SELECT count(*) FROM pixl_pipeline.image WHERE state = 'deidentified'") == [(3,)])
    assert h.zips() == []
    # No other machine has its zips.
    elsewhere = start(h, "elsewhere", "--only", "deliver", PIXL_STORE_URL=URL, PIXL_ARCHIVE_URL="")
    time.sleep(2)
    assert h.zips() == [] and end(elsewhere) == 0
    d = start(h, "deliverer", "--only", "deliver", state=state, PIXL_STORE_URL=URL, PIXL_ARCHIVE_URL="")
    until(lambda: all_exported(database, 3))
    assert [end(r), end(d)] == [0, 0]
    check_each_arrived_once(h, database, 3)
    assert h.pixl("worker", "--only", "else", ok=(2,)).stderr.strip().endswith("--only takes retrieve or deliver")


def test_a_server_that_goes_away_for_a_while_ends_nothing(database, hospital):
    h = hospital
    h.add_study(1)
    populate(h, PIXL_STORE_URL=URL)
    w = start(h, "one", PIXL_STORE_URL=URL)
    until(lambda: all_exported(database, 1))
    for _ in range(3):
        database.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = 'postgres'")
        time.sleep(0.7)
    h.add_study(2)
    populate(h, PIXL_STORE_URL=URL)
    until(lambda: all_exported(database, 2))                      # also one whose files came after the worker began
    assert end(w) == 0


def test_a_server_that_is_away_for_longer_than_a_lease_is_told_of_once(database, hospital):
    h = hospital
    h.add_study(1)
    populate(h, PIXL_STORE_URL=URL)
    w = start(h, "one", PIXL_STORE_URL=URL, PIXL_LEASE_S="10")
    until(lambda: all_exported(database, 1))
    socket = pathlib.Path(os.environ["TEST_POSTGRES"]) / "sock/.s.PGSQL.5432"
    socket.rename(socket.with_suffix(".away"))
    try:
        database.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = 'postgres'")
        until(lambda: "claims.lapsed" in w.log.read_text())
        time.sleep(3)
    finally:
        socket.with_suffix(".away").rename(socket)
    until(lambda: "claims.renewed lapsed=yes" in w.log.read_text())
    h.add_study(2)
    populate(h, PIXL_STORE_URL=URL)
    until(lambda: all_exported(database, 2))
    assert end(w) == 0
    said = re.findall(r"claims\.\w+", w.log.read_text())
    assert said == ["claims.not_renewed", "claims.lapsed", "claims.renewed"], said


def test_several_share_a_state_directory_but_a_run_has_it_alone(hospital):
    h, n = hospital, 12
    for study in range(1, n + 1):
        h.add_study(study)
    populate(h)
    workers = [start(h, name, state=h.state) for name in ("one", "two")]
    until(lambda: all("worker.began" in w.log.read_text() for w in workers))
    assert "another pixl works on" in h.pixl("run", PIXL_SECRETS_URL=f"file:{h.base}/secrets.env", ok=(75,)).stderr

    def states():
        s = json.loads(h.pixl("status", "--json").stdout)["projects"][0]["states"]
        return {k: v for k, v in s.items() if v}
    until(lambda: states() == {"exported": n})
    assert [end(w) for w in workers] == [0, 0]
    assert len(h.zips()) == n and list((h.state / "spool").rglob("*.zip")) == []
    h.pixl("run", PIXL_SECRETS_URL=f"file:{h.base}/secrets.env")
