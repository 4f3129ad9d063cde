"""Several stores, one destination; keys that differ; a clock that was set back; a state directory that goes away."""
import json
import shutil
import signal
import sqlite3
import subprocess
import time
import zipfile

from hospital import Hospital


def states(h):
    s = json.loads(h.pixl("status", "--json").stdout)["projects"][0]["states"]
    return {k: v for k, v in s.items() if v}


def twin(h, base, keys=True, salts=True):
    """Another state directory for the same archive, projects and destination."""
    t = Hospital(base)
    shutil.rmtree(t.configs)
    t.archive, t.configs, t.haven, t.rows, t.csv = h.archive, h.configs, h.haven, h.rows, h.csv
    if keys:
        t.state.mkdir(mode=0o700)
        lines = (h.state / "secrets.env").read_text().splitlines()
        lines = [line for line in lines if salts or not line.startswith(h.project + "=")]
        (t.state / "secrets.env").write_text("\n".join(lines) + "\n")
        (t.state / "secrets.env").chmod(0o600)
    return t


def test_two_stores_deliver_to_one_destination(tmp_path):
    """Both deliver every study at once, one is killed again and again: what stands under a final name is whole."""
    h = Hospital(tmp_path / "one")
    for study in range(1, 9):
        h.add_study(study, instances=4, side=256)
    h.write_csv()
    h.pixl("populate", h.csv)
    t = twin(h, tmp_path / "two")
    for _ in range(3):
        runs = [subprocess.Popen(x.command("run", x.csv), env=x.environment, cwd=x.base, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                for x in (h, t)]
        time.sleep(0.25)
        runs[1].send_signal(signal.SIGKILL)
        assert runs[0].wait() == 0
        runs[1].wait()
        for z in h.zips():
            with zipfile.ZipFile(z) as opened:
                assert opened.testzip() is None and len(opened.namelist()) == 4
    t.pixl("run", t.csv)
    assert states(h) == states(t) == {"exported": 8} and len(h.zips()) == 8
    assert list(h.haven.rglob(".*.part")) == []


def test_another_key_or_salt_does_not_deliver_there(tmp_path):
    h = Hospital(tmp_path / "one")
    h.add_study(1)
    h.write_csv()
    h.pixl("run", h.csv)
    before = h.snapshot()
    for i, how in enumerate(({"keys": False}, {"salts": False})):
        t = twin(h, tmp_path / f"other-{i}", **how)
        r = t.pixl("run", t.csv, "--patience", "1", ok=None)
        assert r.returncode != 0 and ".pixl-key" in r.stderr + r.stdout
        assert h.snapshot() == before


def test_a_clock_that_was_set_back_puts_nothing_off(tmp_path):
    h = Hospital(tmp_path)
    h.add_study(1)
    h.write_csv()
    h.pixl("populate", h.csv)
    year = 365 * 86400 * 1000000
    with sqlite3.connect(h.state / "pixl.db") as db:
        db.execute("UPDATE image SET not_before_us = ?", (time.time_ns() // 1000 + year,))
    db.close()
    h.pixl("run", h.csv, timeout=60)
    assert states(h) == {"exported": 1}


def test_a_state_directory_that_goes_away_is_noticed(tmp_path):
    h = Hospital(tmp_path)
    for study in range(1, 40):
        h.add_study(study, instances=1)
    h.write_csv()
    run = subprocess.Popen(h.command("run", h.csv, "--rate", "3"), env=h.environment, cwd=h.base, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                           text=True)
    while len(h.zips()) < 2:
        assert run.poll() is None
        time.sleep(0.05)
    h.state.rename(tmp_path / "gone")
    _, err = run.communicate(timeout=60)
    assert run.returncode not in (0, 75) and "state directory" in err


def test_rows_that_come_too_late_are_told(tmp_path):
    h = Hospital(tmp_path)
    h.add_study(1, series=2, ask=False)
    h.ask(1, series_uid="1.2.826.0.1.3680043.10.4242.1.1")
    h.write_csv()
    h.pixl("run", h.csv)
    h.ask(1, series_uid="1.2.826.0.1.3680043.10.4242.1.2", procedure=5)
    h.write_csv()
    for _ in range(2):                                            # told each time
        r = h.pixl("run", h.csv, ok=(1,))
        assert "further series" in r.stdout and "OUTCOMES says so" in r.stderr
