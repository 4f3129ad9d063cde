"""What stands in the way of one lane of work holds up no other: destinations, archives, their hours."""
import datetime
import json

import pytest
from hospital import Hospital

ALWAYS = {"PIXL_SECONDARY_WINDOWS": "mon-sun 00:00-24:00"}


@pytest.fixture
def hospital(tmp_path):
    return Hospital(tmp_path)


def states(h):
    return {p["project"]: {k: v for k, v in p["states"].items() if v} for p in json.loads(h.pixl("status", "--json").stdout)["projects"]}


def add_project(h, name, haven):
    """A second project whose destination is another folder."""
    first, h.project = h.project, name
    h.write_project()
    config = h.configs / f"{name}.yaml"
    config.write_text(config.read_text().replace(str(h.haven), str(haven)))
    h.project = first


def ask_for(h, project, studies):
    first, h.project = h.project, project
    for study in studies:
        h.ask(study, procedure=5000 + study)
    h.project = first


def test_a_dead_destination_holds_up_nothing_else(hospital, tmp_path):
    h = hospital
    add_project(h, "dead-end", tmp_path / "nowhere")
    for study in range(1, 7):
        h.add_study(study)
    ask_for(h, "dead-end", range(1, 7))
    h.write_csv()
    r = h.pixl("run", h.csv, "--patience", "3", ok=(75,))
    assert states(h) == {"test-project": {"exported": 6}, "dead-end": {"deidentified": 6}}, r.stderr
    assert "waiting: dead-end: " in r.stderr
    assert "left" not in [line for line in r.stderr.splitlines() if "waiting: " in line][-1]
    (tmp_path / "nowhere").mkdir()
    h.pixl("run")
    assert states(h)["dead-end"] == {"exported": 6}


def test_a_full_spool_stops_retrieving_and_says_so(hospital, tmp_path):
    h = hospital
    h.haven.rmdir()
    for study in range(1, 13):
        h.add_study(study, side=512)
    h.write_csv()
    r = h.pixl("run", h.csv, "--patience", "4", "--workers", "1", ok=(75,), PIXL_SPOOL_MAX="1")
    (s,) = states(h).values()
    assert 1 <= s["deidentified"] < 12 and s["queued"] == 12 - s["deidentified"], r.stderr
    assert "and 1 more" in r.stderr
    h.haven.mkdir()
    h.pixl("run", PIXL_SPOOL_MAX="1")
    assert states(h) == {"test-project": {"exported": 12}}


def test_what_the_primary_archive_lacks_comes_from_the_secondary(hospital, tmp_path):
    h = hospital
    second = tmp_path / "second"
    h.add_study(1)
    h.add_study(2, folder=second / "2")
    h.add_study(3, folder=second / "3", by_uid=False)
    h.ask(4)
    h.write_csv()
    h.pixl("run", h.csv, PIXL_SECONDARY_ARCHIVE_URL=f"directory:{second}", **ALWAYS)
    assert states(h) == {"test-project": {"exported": 3, "missing": 1}}
    trace = [[e["to"] + (f" {e['reason']}" if e["reason"] else "") for e in json.loads(h.pixl("trace", str(i), "--json").stdout)[0]["events"]]
             for i in (2, 4)]
    assert trace[0][:4] == ["queued", "retrieving", "queued not-in-primary", "retrieving"]
    assert trace[1] == ["queued", "retrieving", "queued not-in-primary", "retrieving", "missing not-in-archive"]
    # Asked again, from the beginning; with one archive twice, once.
    h.pixl("retry", "--state", "missing")
    h.pixl("run", PIXL_SECONDARY_ARCHIVE_URL=f"directory:{h.archive}")
    assert [e["to"] for e in json.loads(h.pixl("trace", "4", "--json").stdout)[0]["events"]][-3:] == ["queued", "retrieving", "missing"]


def test_the_secondary_archive_has_its_hours(hospital, tmp_path):
    h = hospital
    second = tmp_path / "second"
    h.add_study(1)
    h.add_study(2, folder=second / "2")
    h.write_csv()
    day = (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=2)).strftime("%a")
    how = {"PIXL_SECONDARY_ARCHIVE_URL": f"directory:{second}", "TZ": "UTC", "PIXL_SECONDARY_WINDOWS": f"{day.lower()} 20:00-24:00"}
    r = h.pixl("run", h.csv, "--patience", "2", ok=(75,), **how)
    assert f"waiting: secondary archive: closed until {day} 20:00" in r.stderr
    assert states(h) == {"test-project": {"exported": 1, "queued": 1}}
    assert f"secondary archive: closed until {day} 20:00\n" in h.pixl("status", **how).stdout
    assert "no time zone 'Europe/Londn'" in h.pixl("run", ok=(2,), **{**how, "TZ": "Europe/Londn"}).stderr
    assert "PIXL_SECONDARY_WINDOWS: at character 1: a day" in h.pixl("run", ok=(2,), **{**how, "PIXL_SECONDARY_WINDOWS": "x"}).stderr
    # Taken away, its rows are asked of the archive that is left.
    h.pixl("run")
    assert states(h) == {"test-project": {"exported": 1, "missing": 1}}


def test_a_window_can_lower_the_rate(hospital):
    h = hospital
    for study in range(1, 9):
        h.add_study(study, instances=1)
    h.write_csv()
    h.pixl("run", h.csv, PIXL_PRIMARY_WINDOWS="mon-sun 00:00-24:00 @4")
    at = sorted(e["at"] for i in range(1, 9) for e in json.loads(h.pixl("trace", str(i), "--json").stdout)[0]["events"] if e["to"] == "retrieving")
    first, last = (datetime.datetime.fromisoformat(t.replace("Z", "+00:00")) for t in (at[0], at[-1]))
    assert (last - first).total_seconds() >= 3 / 4 - 0.3          # 5 at once, then 3 at 4/s
