"""`pixl check`: what it says to a person and to a machine, and that it says no more than it should."""
import json
import re
import sqlite3

import pytest
from hospital import MARK, ROOT, Hospital


@pytest.fixture
def hospital(tmp_path):
    h = Hospital(tmp_path)
    h.add_study(1)
    h.write_csv()
    return h


def everything(h):
    return {p.relative_to(h.base): (p.read_bytes() if p.is_file() else None, p.stat().st_mode) for p in sorted(h.base.rglob("*"))}


def checked(h, *args, ok=(0,), **env):
    before = everything(h)
    r = h.pixl("check", "--json", *args, ok=ok, **env)
    text = h.pixl("check", *args, ok=ok, **env)
    assert everything(h) == before, "a check changes nothing"
    for said in (r.stdout, r.stderr, text.stdout, text.stderr):
        assert MARK not in said and ROOT not in said
    told = json.loads(r.stdout)
    assert len(re.findall(r"^(?:ok|skip|away|BAD) ", text.stdout, re.M)) == len(told["lines"])
    assert text.stdout.count("      -> ") == sum(1 for line in told["lines"] if line["remedy"])
    return told["result"], {(line["check"], line["project"]): line for line in told["lines"]}


def test_before_the_first_run_and_after(hospital):
    h = hospital
    result, lines = checked(h)
    assert result == "ok" and lines["key", None]["result"] == "ok" and not h.state.exists()
    h.pixl("run", h.csv)
    result, lines = checked(h)
    assert result == "ok" and {line["result"] for line in lines.values()} == {"ok"}
    assert "its key is ours" in lines["destination", h.project]["text"]
    secrets = [line.split("=", 1)[1] for line in (h.state / "secrets.env").read_text().splitlines() if "=" in line]
    said = h.pixl("check").stdout
    assert len(secrets) == 2 and not any(s in said for s in secrets)


def test_what_is_away_and_what_is_bad(hospital):
    h = hospital
    h.pixl("run", h.csv)
    h.haven.rename(h.base / "unmounted")
    result, lines = checked(h, ok=(75,))
    assert result == "away" and lines["destination", h.project]["remedy"].startswith("mount")
    (h.state / "secrets.env").rename(h.base / "lost.env")
    result, lines = checked(h, ok=(1,))
    assert result == "BAD" and "backup" in lines["key", None]["text"]
    checked(h, "--project", "no-such", ok=(1,))
    assert "PIXL_NONSENSE" in h.pixl("check", ok=(2,), PIXL_NONSENSE="1").stderr


def test_a_store_of_an_older_version_is_not_migrated(hospital):
    h = hospital
    h.pixl("run", h.csv)
    with sqlite3.connect(h.state / "pixl.db") as db:
        db.execute("PRAGMA user_version = 1")
    db.close()
    _, lines = checked(h)
    assert re.search(r"version 1: the next run brings them to \d", lines["store", None]["text"])
