"""Crashes and interruptions of `pixl run`: a study whose run died is a suspect, worked alone in a child process, and only a crash there
fails it; Ctrl-C finishes what is in hand, a second one gives it back."""
import json
import os
import signal
import sqlite3
import subprocess
import time

import pytest
from hospital import Hospital
from processes import children

SMALL = 4
SLOW = {"PIXL_DEFLATE_LEVEL": "12"}      # a large study takes seconds then, so that there is time to meet it


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """Study 1 is large and comes first; the others are small."""
    h = Hospital(tmp_path_factory.mktemp("archive"))
    h.add_study(1, instances=60, side=512, ask=False)
    for study in range(2, SMALL + 2):
        h.add_study(study, ask=False)
    return h.archive


@pytest.fixture
def hospital(tmp_path, archive):
    h = Hospital(tmp_path)
    h.archive = archive
    for study in range(1, SMALL + 2):
        h.ask(study)
    h.write_csv()
    return h


def start(h, *args, **env):
    """A run in a session of its own, as a shell starts it at a terminal."""
    h.log = h.base / "run.log"
    with open(h.log, "ab") as log:
        return subprocess.Popen(h.command("run", h.csv, *args), env={**h.environment, **env}, cwd=h.base, stdout=log, stderr=log,
                                start_new_session=True)


def wait_for(what, run, seconds=60):
    """The first true answer, while the run lives."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        answer = what()
        if answer:
            return answer
        assert run.poll() is None, "the run ended before"
        time.sleep(0.005)
    raise AssertionError("it never happened")


def row(h, image=1):
    if not (h.state / "pixl.db").exists():
        return (None,)
    try:
        with sqlite3.connect(f"file:{h.state / 'pixl.db'}?mode=ro", uri=True, timeout=1) as c:
            return c.execute("SELECT state, reason, attempts, crashes FROM image WHERE image_id = ?", (image,)).fetchone() or (None,)
    except sqlite3.OperationalError as e:
        assert "no such column" not in str(e)
        return (None,)                                            # locked, or not made yet


def until_retrieving(h, run):
    wait_for(lambda: row(h)[0] == "retrieving", run)


def until_alone(run):
    """The number of the child in which a suspect is worked."""
    return wait_for(lambda: [pid for pid, line in children(run.pid) if "work-one" in line], run)[0]


def worker_of(run):
    return [pid for pid, line in children(run.pid) if "run" in line][0]


def states(h):
    p = json.loads(h.pixl("status", "--json").stdout)["projects"][0]
    return {k: v for k, v in p["states"].items() if v}, p["reasons"]


def kill_while_retrieving(h):
    """A run that dies by SIGKILL with the large study in hand; all its processes end."""
    run = start(h, "--workers", "1", **SLOW)
    until_retrieving(h, run)
    family = [pid for pid, _ in children(run.pid)]
    os.kill(run.pid, signal.SIGKILL)
    run.wait()
    until = time.monotonic() + 30
    while any(os.path.exists(f"/proc/{pid}") for pid in family):
        assert time.monotonic() < until, "the worker outlives its parent"
        time.sleep(0.01)
    assert row(h)[0] == "retrieving" and h.zips() == []


def check_all_exported(h):
    assert states(h) == ({"exported": SMALL + 1}, {}) and len(h.zips()) == SMALL + 1
    assert list((h.state / "spool").rglob("*.zip")) == []
    for i in range(1, SMALL + 2):
        events = json.loads(h.pixl("trace", str(i), "--json").stdout)[0]["events"]
        assert [e["to"] for e in events].count("exported") == 1


@pytest.mark.parametrize("fatal", [signal.SIGKILL, signal.SIGSEGV])
def test_only_a_crash_alone_fails_the_study(hospital, fatal):
    h = hospital
    kill_while_retrieving(h)
    run = start(h, "--workers", "2", **SLOW)
    alone = until_alone(run)
    assert row(h)[0] == "retrieving" and row(h)[3] == 1
    os.kill(alone, fatal)
    assert run.wait(120) == 1, h.log.read_text()
    assert states(h) == ({"exported": SMALL, "failed": 1}, {"crashed": 1})
    (failed,) = json.loads(h.pixl("failed", "--json").stdout)
    assert (failed["image"], failed["reason"], failed["detail"], failed["attempts"]) == (1, "crashed", f"signal {fatal.value}", 0)
    assert len(h.zips()) == SMALL
    h.pixl("run", ok=(1,))                                        # it stays so until somebody orders a retry
    assert states(h)[1] == {"crashed": 1}
    assert json.loads(h.pixl("retry", "--json").stdout) == {"queued_again": 1}
    h.pixl("run")
    check_all_exported(h)


def test_a_suspect_that_does_not_crash_again_arrives(hospital):
    h = hospital
    kill_while_retrieving(h)
    run = start(h)
    assert run.wait(120) == 0, h.log.read_text()
    assert "study.suspect" in h.log.read_text()
    check_all_exported(h)


@pytest.mark.parametrize("fatal", [signal.SIGSEGV, signal.SIGABRT])
def test_a_run_goes_on_over_a_crash_of_its_own(hospital, fatal):
    h = hospital
    run = start(h, "--workers", "1", **SLOW)
    until_retrieving(h, run)
    os.kill(worker_of(run), fatal)
    until_alone(run)
    assert run.wait(120) == 0, h.log.read_text()
    assert f"ended by signal {fatal.value}" in h.log.read_text()
    check_all_exported(h)


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_once_finishes_what_is_in_hand(hospital, stop):
    h = hospital
    run = start(h, "--workers", "1", **SLOW)
    until_retrieving(h, run)
    os.killpg(run.pid, stop)                                      # as Ctrl-C does: the whole foreground group
    assert run.wait(120) == 75, h.log.read_text()
    seen, _ = states(h)
    assert row(h)[0] == "deidentified" and seen == {"deidentified": 1, "queued": SMALL}
    assert "left to do" in h.log.read_text()
    h.pixl("run", h.csv)
    check_all_exported(h)
    assert [e["to"] for e in json.loads(h.pixl("trace", "1", "--json").stdout)[0]["events"]].count("retrieving") == 1


def stop_twice(h, run, stop):
    os.killpg(run.pid, stop)
    wait_for(lambda: "work.stopping" in h.log.read_text(), run)
    os.killpg(run.pid, stop)
    assert run.wait(120) == 75, h.log.read_text()
    assert "work.giving_back" in h.log.read_text()


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_twice_gives_it_back(hospital, stop):
    h = hospital
    run = start(h, "--workers", "1", **SLOW)
    until_retrieving(h, run)
    stop_twice(h, run, stop)
    assert row(h) == ("queued", "stopped", 0, 0) and states(h)[0] == {"queued": SMALL + 1}
    assert [p for p in (h.state / "spool").rglob("*") if p.is_file()] == []
    run = start(h)
    assert run.wait(120) == 0 and "study.suspect" not in h.log.read_text()
    check_all_exported(h)


def test_twice_gives_back_a_suspect_too(hospital):
    h = hospital
    kill_while_retrieving(h)
    run = start(h, "--workers", "1", **SLOW)
    alone = until_alone(run)
    stop_twice(h, run, signal.SIGINT)
    assert not os.path.exists(f"/proc/{alone}")
    assert row(h) == ("queued", "stopped", 0, 1)                  # no crash: it was we who ended it
    h.pixl("run", h.csv)
    check_all_exported(h)
