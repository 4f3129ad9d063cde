"""kill -9 of `pixl run` at random moments, each followed by a plain `pixl run`: nothing is lost, nothing comes twice or half."""
import json
import os
import random
import signal
import sqlite3
import subprocess
import time
import zipfile

import pytest
from hospital import Hospital, canaries

KILLS = 200 if os.environ.get("PIXL_TEST_LONG") else 20
SEED = int(os.environ.get("PIXL_TEST_SEED", random.randrange(1 << 30)))
STUDIES = 12


def build(base):
    h = Hospital(base)
    for study in range(1, STUDIES + 1):
        h.add_study(study, series=2, instances=4, side=128)
    h.ask(900)
    h.add_study(STUDIES + 1, modality="MR")
    h.write_csv()
    return h


def run_once(h, **how):
    return subprocess.Popen(h.command("run", h.csv, "--workers", "2"), env=h.environment, cwd=h.base, stdout=subprocess.DEVNULL,
                            stderr=subprocess.PIPE, **how)


def check_whole(h):
    """Whatever lies under a final name is whole, at any moment."""
    for place in (h.haven, h.state / "spool"):
        for z in place.rglob("*.zip"):
            if not z.name.startswith("."):
                with zipfile.ZipFile(z) as opened:
                    assert opened.testzip() is None and len(opened.namelist()) == 8, z


def check_end(h):
    states = json.loads(h.pixl("status", "--json").stdout)["projects"][0]["states"]
    assert {k: v for k, v in states.items() if v} == {"exported": STUDIES, "missing": 1, "skipped": 1}
    assert len(h.zips()) == STUDIES
    check_whole(h)
    left_over = [p for p in h.haven.rglob(".*") if p.name.endswith(".part")] + list((h.state / "spool").rglob("*.zip"))
    assert left_over == []
    assert canaries(h.haven) == [] and canaries(h.exports) == []
    for i in range(1, STUDIES + 1):
        events = json.loads(h.pixl("trace", str(i), "--json").stdout)[0]["events"]
        assert [e["to"] for e in events].count("exported") == 1


def duration(tmp_path):
    """How long an undisturbed run takes: kills are spread over that."""
    h = build(tmp_path / "undisturbed")
    began = time.monotonic()
    assert run_once(h).wait() == 0
    check_end(h)
    return time.monotonic() - began


def test_kills_at_random_moments(tmp_path):
    print(f"seed {SEED}")
    dice = random.Random(SEED)
    whole = duration(tmp_path)
    h, killed, rounds = None, 0, 0
    while killed < KILLS:
        if h is None:
            rounds += 1
            h = build(tmp_path / f"round-{rounds}")
        run = run_once(h, start_new_session=True)
        time.sleep(dice.uniform(0, whole))
        alive = run.poll() is None
        if alive:
            os.kill(run.pid, signal.SIGKILL)
            killed += 1
        run.wait()
        run.stderr.close()
        check_whole(h)
        if not alive or dice.random() < 0.3:
            h.pixl("run", h.csv)
            check_end(h)
            h = None
    if h is not None:
        h.pixl("run", h.csv)
        check_end(h)


@pytest.mark.parametrize("moment", ["retrieving", "deidentified", "delivering"])
def test_kill_in_each_state(tmp_path, moment):
    """Stops the run when a row shows that state, kills it there, and goes on."""
    h = build(tmp_path / moment)
    if moment == "deidentified":        # else it is delivered at once
        h.haven.rename(h.base / "away")
    run = run_once(h, start_new_session=True)
    seen = False
    while run.poll() is None and not seen:
        db = h.state / "pixl.db"
        if db.exists():
            try:
                with sqlite3.connect(f"file:{db}?mode=ro", uri=True, timeout=0.05) as c:
                    seen = c.execute("SELECT count(*) FROM image WHERE state = ?", (moment,)).fetchone()[0] > 0
            except sqlite3.Error:
                pass
    if run.poll() is None:
        os.kill(run.pid, signal.SIGKILL)
    run.wait()
    run.stderr.close()
    assert seen, f"no row was ever seen {moment}"
    if moment == "deidentified":
        (h.base / "away").rename(h.haven)
    h.pixl("run", h.csv)
    check_end(h)
