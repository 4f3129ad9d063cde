"""`pixl run` as a user types it: a CSV cohort, an archive folder, a safe haven; read by pydicom and zipfile."""
import json
import re
import sqlite3
import subprocess
import time
import zipfile

import pydicom
import pytest
from hospital import MARK, ROOT, Hospital, canaries


@pytest.fixture
def hospital(tmp_path):
    return Hospital(tmp_path)


def status(h):
    return json.loads(h.pixl("status", "--json").stdout)["projects"][0]


def read_zip(path):
    with zipfile.ZipFile(path) as z:
        assert z.testzip() is None
        return {n: pydicom.dcmread(z.open(n)) for n in z.namelist()}


def test_a_dry_run_tells_what_would_be_asked_for(tmp_path):
    """By project: new, known, delivered already, refused; nothing is changed by it."""
    h = Hospital(tmp_path)
    for study in (1, 2):
        h.add_study(study)
    h.write_csv()
    h.pixl("run", h.csv)
    rows = h.csv.read_text().splitlines()
    (h.configs / "other.yaml").write_text((h.configs / f"{h.project}.yaml").read_text().replace("Test Project", "Other"))
    h.csv.write_text("\n".join([rows[0], rows[1], rows[2], *(r.replace(h.project, "other") for r in rows[1:]),
                                rows[1].replace(h.project, "nobody-knows"), rows[1].replace(h.mrn(1), " ")]) + "\n")
    before = h.snapshot()
    told = json.loads(h.pixl("populate", h.csv, "--dry-run", "--json", ok=(1,)).stdout)
    assert told["dry_run"] and (told["rows"], told["refused"], told["new_studies"], told["known"], told["delivered"]) == (6, 2, 2, 2, 2)
    projects = {k: (v["rows"], v["refused"], v["new_studies"], v["known"], v["delivered"]) for k, v in told["projects"].items()}
    assert projects == {h.project: (2, 0, 0, 2, 2), "other": (2, 0, 2, 0, 0), "": (2, 2, 0, 0, 0)}
    text = h.pixl("populate", h.csv, "--dry-run", ok=(1,)).stdout
    assert "no project: 2 rows, 2 refused" in text and "nobody-knows" not in text
    assert "other: 2 rows, 0 refused: 2 new studies" in text and "2 rows ask for studies that are delivered already" in text
    assert "nothing was changed" in text.splitlines()[-2] and h.snapshot() == before
    assert "other" not in h.pixl("status").stdout
    for look in ("status", "failed", "retry"):
        assert "nothing was asked for in a project 'other'" in h.pixl(look, "--project", "other", ok=(2,)).stderr
    for look in ("status", "failed", "retry", "export-patient-data"):
        slip = h.project.replace("-", "", 1)
        assert f"a project '{slip}'; did you mean {h.project}?" in h.pixl(look, "--project", slip, ok=(2,)).stderr


def test_a_dry_run_leaves_nothing_behind(tmp_path):
    """Where no store is yet it tells what the populate itself will tell, and makes no file; a store of an older version it leaves alone."""
    h = Hospital(tmp_path)
    for study in (1, 2):
        h.ask(study)
    h.write_csv()
    rows = h.csv.read_text().splitlines()
    h.csv.write_text("\n".join([*rows, rows[1], rows[1].replace("1.", "1.9.", 1), rows[2].replace(h.mrn(2), " ")]) + "\n")
    before = sorted(h.base.rglob("*"))
    dry = json.loads(h.pixl("populate", h.csv, "--dry-run", "--json", ok=(1,)).stdout)
    assert sorted(h.base.rglob("*")) == before and not h.state.exists()
    told = json.loads(h.pixl("populate", h.csv, "--json", ok=(1,)).stdout)
    assert dry.pop("dry_run") and not told.pop("dry_run") and dry == told and told["rows"] == 5 and told["known"] >= 1
    again = json.loads(h.pixl("populate", h.csv, "--dry-run", "--json", ok=(1,)).stdout)
    assert (again["new_studies"], again["new_requests"], again["known"]) == (0, 0, 4)
    with sqlite3.connect(h.state / "pixl.db") as db:
        newest = db.execute("PRAGMA user_version").fetchone()[0]
        db.execute("PRAGMA user_version = 1")
    r = h.pixl("populate", h.csv, "--dry-run", ok=(1,))
    assert f"of version 1, which the next run or populate brings to {newest}" in r.stderr
    with sqlite3.connect(h.state / "pixl.db") as db:
        assert db.execute("PRAGMA user_version").fetchone()[0] == 1
        db.execute("PRAGMA user_version = 999")
    assert f"pixl status: store {h.state}/pixl.db: made by a newer pixl" in h.pixl("status", ok=(1,)).stderr


def test_two_patients_under_one_procedure_are_told(tmp_path):
    """By the number of the procedure and the place in the file, never by a patient; dry, populated, and in a run."""
    h = Hospital(tmp_path)
    for study in (1, 2, 3):
        h.add_study(study)
    h.write_csv()
    rows = h.csv.read_text().splitlines()
    columns, other = rows[0].split(","), rows[3].split(",")
    at = columns.index("procedure_id")
    procedure = other[at] = rows[1].split(",")[at]
    h.csv.write_text("\n".join([*rows[:3], ",".join(other)]) + "\n")
    for command in (("populate", h.csv, "--dry-run"), ("populate", h.csv), ("run", h.csv)):
        r = h.pixl(*command)
        assert f"{h.csv}:4: warning: procedure {procedure} came with another patient before" in r.stderr
        assert "1 row names another patient than its procedure came with before" in r.stdout
        assert not any(h.mrn(n) in r.stdout + r.stderr for n in (1, 2, 3))
    assert json.loads(h.pixl("populate", h.csv, "--json").stdout)["patient_differs"] == 1


def test_a_whole_extraction(hospital):
    h = hospital
    h.add_study(1, series=2, instances=3)
    h.add_study(2, by_uid=False)                                  # found by MRN and accession number
    h.add_study(3, modality="MR")                                 # nothing left
    h.ask(4)                                                      # in no archive
    h.add_study(5, study_description=f"seen by {MARK}son")         # would leak
    h.add_study(6)
    whole = h.files[6, 1, 2].read_bytes()
    h.files[6, 1, 2].write_bytes(whole[:-500])                    # damaged
    h.ask(1, procedure=9001)                                      # the same study, another row
    (h.archive / "notes.txt").write_text(f"{MARK} stranger")
    h.write_csv()
    r = h.pixl("run", h.csv, "--json", ok=(1,))
    summary = json.loads(r.stdout)
    states = summary["counts"]["states"]
    assert {k: v for k, v in states.items() if v} == {"exported": 2, "skipped": 1, "missing": 1, "withheld": 1, "failed": 1}
    assert summary["counts"]["reasons"] == {"modality": 1, "not-in-archive": 1, "residue": 1, "unreadable-instance": 1}
    assert summary["end"] == "done" and summary["left"] == 0

    zips = h.zips()
    assert len(zips) == 2
    contents = [read_zip(z) for z in zips]
    assert sorted(len(c) for c in contents) == [2, 6]
    for path, files in zip(zips, contents):
        for name, d in files.items():
            study, series, sop = name.removesuffix(".dcm").split("/")
            assert path.stem == study == d.StudyInstanceUID and series == d.SeriesInstanceUID and sop == d.SOPInstanceUID
            assert all(u.startswith("2.25.") for u in (study, series, sop))
            assert d.file_meta.MediaStorageSOPInstanceUID == sop and "SourceApplicationEntityTitle" not in d.file_meta
            assert d.PatientName == "ANONYMIZED" and d.AccessionNumber == "ANONYMIZED" and len(d.PatientID) == 64
            assert "OtherPatientIDs" not in d and "ReferringPhysicianName" not in d and (0x0019, 0x1010) not in d
            assert d.PatientIdentityRemoved == "YES"
            assert "PatientID" not in d.ReferencedImageSequence[0] or d.ReferencedImageSequence[0].PatientID != h.mrn(1)
            assert len(d.PixelData) == 2 * 32 * 32
        names = list(files)
        assert names == sorted(names)
    # references between instances of a study still point at each other
    files = next(c for c in contents if len(c) == 6)
    sops = {d.SOPInstanceUID for d in files.values()}
    assert any(d.ReferencedImageSequence[0].ReferencedSOPInstanceUID in sops for d in files.values())
    # pixels are what they were
    originals = {pydicom.dcmread(p).PixelData for (s, _, _), p in h.files.items() if s in (1, 2)}
    assert {d.PixelData for c in contents for d in c.values()} == originals


def test_instances_are_counted_in_the_line_of_the_step_that_counted_them(hospital):
    h = hospital
    h.add_study(1, instances=3)
    h.write_csv()
    lines = [line for line in h.pixl("run", h.csv).stderr.splitlines() if "study.moved" in line]
    assert [("found=" in line, "from=delivering" in line) for line in lines] == [(True, False), (False, True)]
    assert "found=3 delivered=3 skipped=0" in lines[0] and "to=exported" in lines[1]


def test_nothing_that_was_written_names_a_patient(hospital):
    h = hospital
    for study in range(1, 5):
        h.add_study(study)
    h.add_study(5, study_description=f"{MARK}son again")
    h.ask(6)
    h.write_csv()
    r = h.pixl("run", h.csv, ok=(1,), TMPDIR=str(h.base / "tmp"), LOG_LEVEL="debug")
    looks = [h.pixl(*a) for a in (("status",), ("failed", "--all"), ("trace", "5"), ("config", "show"))]
    text = "".join(x.stdout + x.stderr for x in (r, *looks)).replace(str(h.archive), "")
    assert MARK.lower() not in text.lower() and ROOT not in text
    for place in (h.haven, h.exports, h.base / "tmp", h.state / "spool", h.state / "tmp"):
        assert canaries(place) == []
    identifiable = {p.name for p in h.state.iterdir() if p.is_file() and canaries(h.state) and p in canaries(h.state)}
    assert all(n.startswith(("pixl.db", "archive-")) for n in identifiable), identifiable
    assert all(p.stat().st_mode & 0o077 == 0 for p in h.state.rglob("*")), "the state is for its owner alone"


def test_a_second_run_repeats_nothing(hospital):
    h = hospital
    for study in range(1, 4):
        h.add_study(study)
    h.write_csv()
    h.pixl("run", h.csv)
    before = h.snapshot()
    events = [len(json.loads(h.pixl("trace", str(i), "--json").stdout)[0]["events"]) for i in (1, 2, 3)]
    h.pixl("run", h.csv)
    assert h.snapshot() == before
    assert [len(json.loads(h.pixl("trace", str(i), "--json").stdout)[0]["events"]) for i in (1, 2, 3)] == events


def test_pseudonyms_agree_between_extracts_and_differ_between_keys(hospital, tmp_path):
    h = hospital
    h.add_study(1)
    h.write_csv()
    h.pixl("run", h.csv)
    name = h.zips()[0].name
    other = Hospital(tmp_path / "other")
    other.add_study(1)
    other.write_csv()
    other.pixl("run", other.csv)
    assert other.zips()[0].name != name
    again = Hospital(tmp_path / "again")
    again.add_study(1)
    again.write_csv()
    again.state.mkdir(mode=0o700)
    (again.state / "secrets.env").write_bytes((h.state / "secrets.env").read_bytes())
    (again.state / "secrets.env").chmod(0o600)
    again.pixl("run", again.csv)
    assert again.zips()[0].name == name


def test_a_lost_or_changed_key_stops_everything(hospital):
    h = hospital
    h.add_study(1)
    h.write_csv()
    h.pixl("run", h.csv)
    key = (h.state / "secrets.env").read_text()
    (h.state / "secrets.env").unlink()
    r = h.pixl("run", h.csv, ok=(1, 2))
    assert "backup" in r.stderr and not (h.state / "secrets.env").exists()
    changed = "\n".join("hash--key=" + "0" * 64 if line.startswith("hash--key") else line for line in key.splitlines())
    (h.state / "secrets.env").write_text(changed + "\n")
    (h.state / "secrets.env").chmod(0o600)
    r = h.pixl("run", h.csv, ok=(1, 2))
    assert "pseudonyms would not agree" in r.stderr


def test_series_participants_and_late_rows(hospital):
    h = hospital
    h.add_study(1, series=3, ask=False)
    h.ask(1, series_uid=f"{ROOT}.1.1", participant="PERSON-7")
    h.ask(1, series_uid=f"{ROOT}.1.3", participant="PERSON-7", procedure=77)
    h.write_csv()
    h.pixl("run", h.csv)
    files = read_zip(h.zips()[0])
    assert len(files) == 4 and {d.SeriesNumber for d in files.values()} == {1, 3}
    assert {d.PatientID for d in files.values()} == {"PERSON-7"}
    before = h.snapshot()
    h.ask(1, series_uid=f"{ROOT}.1.2", procedure=78)
    h.write_csv()
    r = h.pixl("run", h.csv, ok=None)
    assert "delivered already" in r.stderr
    assert {p: v for p, v in h.snapshot().items() if p.suffix == ".zip"} == {p: v for p, v in before.items() if p.suffix == ".zip"}


def test_another_patient_in_the_study_fails_it(hospital):
    h = hospital
    h.add_study(1, instances=3)
    d = pydicom.dcmread(h.files[1, 1, 2])
    d.PatientID = "SOMEBODYELSE"
    d.save_as(h.files[1, 1, 2])
    h.write_csv()
    h.pixl("run", h.csv, ok=(1,))
    assert status(h)["reasons"] == {"identity-mismatch": 1} and h.zips() == []


def test_filters_and_duplicates(hospital):
    h = hospital
    h.write_project(min_instances=2)
    h.add_study(1, instances=2)
    h.add_study(2, instances=1)                                   # too few
    h.add_study(3, description="Localizer scan")
    h.add_study(4, manufacturer="Another maker")
    copy = h.archive / "copies"
    h.add_study(1, instances=2, ask=False, folder=copy)            # equal bytes again
    h.add_study(5, instances=3)
    h.add_study(5, instances=1, ask=False, folder=copy, description="NOT THE SAME")    # the same SOP UID, other bytes
    h.add_study(6, manufacturer="")
    h.write_csv()
    h.pixl("run", h.csv)
    s = status(h)
    assert s["states"]["exported"] == 2 and s["states"]["skipped"] == 4
    assert s["reasons"] == {"too-few-instances": 1, "series-description": 1, "manufacturer": 1, "no-manufacturer": 1}
    left_out = {"too-few-instances": 1, "series-description": 2, "manufacturer": 2, "no-manufacturer": 2, "duplicate-instance": 2}
    assert s["instances_skipped_by"] == left_out and s["instances_skipped"] == sum(left_out.values())
    assert "  2 duplicate-instance" in h.pixl("status").stdout.split("instances that were left out:")[1]
    assert {f["reason"]: f["detail"] for f in json.loads(h.pixl("failed", "--all", "--json", ok=None).stdout)} == {
        "too-few-instances": None, "series-description": "(0008,103E)", "manufacturer": "(0008,0070)", "no-manufacturer": "(0008,0070)"}
    (told,) = json.loads(h.pixl("trace", "image 5", "--json").stdout)
    assert told["instances_skipped_by"] == {"duplicate-instance": 2} and told["instances_skipped"] == 2
    text = h.pixl("trace", "image 5").stdout
    assert "  2 duplicate-instance    two instances share" in text and "found, 2 delivered, 2 left out" in text
    assert json.loads(h.pixl("trace", "image 1", "--json").stdout)[0]["instances_skipped_by"] == {}
    assert sorted(len(read_zip(z)) for z in h.zips()) == [2, 2]


def test_failed_retry_and_trace(hospital):
    h = hospital
    h.add_study(1)
    whole = h.files[1, 1, 1].read_bytes()
    h.files[1, 1, 1].write_bytes(whole[:-10])
    h.write_csv()
    h.pixl("run", h.csv, ok=(1,))
    listed = json.loads(h.pixl("failed", "--json").stdout)
    assert [(i["state"], i["reason"]) for i in listed] == [("failed", "unreadable-instance")]
    h.files[1, 1, 1].write_bytes(whole)
    assert json.loads(h.pixl("retry", "--json").stdout) == {"queued_again": 1}
    assert "tried again" not in h.pixl("trace", "image 1").stdout
    with sqlite3.connect(h.state / "pixl.db") as db:
        db.execute("UPDATE image SET not_before_us = ?", ((time.time_ns() // 1000) + 300_000_000,))
    assert "\n  it is tried again in 4 min 5" in h.pixl("trace", "image 1").stdout
    with sqlite3.connect(h.state / "pixl.db") as db:
        db.execute("UPDATE image SET not_before_us = 0")
    h.pixl("run")
    story = json.loads(h.pixl("trace", "image 1", "--json").stdout)[0]
    assert [e["to"] for e in story["events"]] == ["queued", "retrieving", "failed", "queued", "retrieving", "deidentified", "delivering",
                                                    "exported"]
    by_uid = json.loads(h.pixl("trace", story["pseudo_study_uid"], "--json").stdout)[0]
    assert by_uid["image"] == story["image"]
    assert h.pixl("trace", "no-such", ok=(2,)).stderr.strip()
    # What must not stand in the list of processes comes through stdin.
    asked = f"  {h.accession(1)}\r\n"
    assert json.loads(h.pixl("trace", "-", "--json", input=asked).stdout)[0]["image"] == story["image"]
    assert json.loads(h.pixl("retry", "-", "--json", input=asked, ok=(1,)).stdout) == {"queued_again": 0}
    for wrong in ("", "\n", f"{h.accession(1)}\n{h.accession(2)}\n", "7" * 256, "A\0B"):
        said = h.pixl("trace", "-", input=wrong, ok=(2,))
        assert "one reference" in said.stderr and MARK not in said.stdout + said.stderr


def test_only_one_works_and_others_look(hospital):
    h = hospital
    for study in range(1, 30):
        h.add_study(study, instances=1)
    h.write_csv()
    run = subprocess.Popen(h.command("run", h.csv, "--rate", "2"), env=h.environment, cwd=h.base, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        while not h.zips():
            assert run.poll() is None
        assert h.pixl("run", h.csv, ok=(75,)).stderr.count("another pixl works") == 1
        assert status(h)["states"]["queued"] > 0
        run.send_signal(2)                                        # Ctrl-C: what is in hand is finished
        out, err = run.communicate(timeout=60)
        assert run.returncode == 75 and b"left to do" in out
    finally:
        run.kill()
    h.pixl("run", "--rate", "1000")
    assert status(h)["states"]["exported"] == 29


def test_bad_use_is_told(hospital):
    h = hospital
    h.add_study(1)
    h.write_csv()
    h.pixl("populate", h.csv)
    assert "no-such" in h.pixl("status", "--project", "no-such", ok=(2,)).stderr
    for look in ("status", "failed", "retry"):
        assert f"did you mean {h.project}?" in h.pixl(look, "--project", "test-projct", ok=(2,)).stderr
    assert "this folder is no OMOP ES extract" in h.pixl("populate", h.archive, ok=(2,)).stderr
    for args in (("frobnicate",), ("run", "--no-such"), ("run", "a", "b"), ("deid", "a"), ("run", h.csv, "--rate", "nan")):
        assert h.pixl(*args, ok=(2,)).stderr.strip()
    assert "no archive is set" in h.pixl("run", h.csv, ok=(2,), PIXL_ARCHIVE_URL="").stderr
    assert h.pixl("run", h.base / "absent.csv", ok=(1, 2)).stderr.strip()
    (h.configs / "test-project.yaml").write_text("project: {name: Test Project, modalties: [CT]}\n")
    r = h.pixl("config", "check", ok=(1,))
    assert "test-project.yaml:1:" in r.stdout and "modalities" in r.stdout
    assert f"there is no such project file in {h.configs}" in h.pixl("config", "check", "other", ok=(1,)).stdout
    for command in ("run", "populate", "status", "failed", "retry", "trace", "deid", "config", "demo", "completion"):
        assert f"usage: pixl {command}" in h.pixl(command, "--help").stdout


def test_who_looks_is_told_what_waits_what_is_left_out_and_what_to_do(hospital):
    h = hospital
    h.add_study(1)
    h.add_study(2, modality="MR")
    h.write_csv()
    h.haven.rename(h.base / "unmounted")
    h.pixl("run", h.csv, "--patience", "1", ok=(75,))
    assert status(h)["waiting"] == {"unavailable": 1} and status(h)["reasons"] == {"modality": 1}
    assert re.search(r"why some wait:\n +1 unavailable ", h.pixl("status").stdout)
    story = h.pixl("trace", "1").stdout
    assert "unavailable unavailable" not in re.sub(" +", " ", story) and "to do: " in story
    (h.base / "unmounted").rename(h.haven)
    r = h.pixl("run")
    assert f"all studies of {h.state}:" in r.stdout and "`pixl failed --all` lists what is missing or was skipped" in r.stdout
    assert status(h)["waiting"] == {} and "why some wait" not in h.pixl("status").stdout
    r = h.pixl("failed")
    assert r.stdout == "" and r.stderr == "none failed or was withheld; 1 more is missing or skipped: `pixl failed --all` lists them too\n"
    r = h.pixl("failed", "--all")
    assert r.stdout.count("modality") == 1 and r.stderr == "" and h.pixl("failed", "--json").stderr == ""
    assert "add the modality to the project" in h.pixl("trace", "2").stdout and status(h)["instances_skipped_by"] == {"modality": 2}
    h.pixl("retry", "--state", "skipped")
    assert status(h)["instances_skipped"] == 0 and status(h)["instances_skipped_by"] == {}


def test_a_cohort_without_rows_is_told_and_changes_nothing(hospital):
    h = hospital
    h.add_study(1)
    h.write_csv()
    h.csv.write_text(h.csv.read_text().splitlines()[0] + "\n")
    for command in (("populate", h.csv), ("populate", h.csv, "--dry-run"), ("run", h.csv)):
        r = h.pixl(*command, ok=(2,))
        assert "asks for no study" in r.stderr and "goes on" not in r.stderr and r.stdout == ""
    assert not (h.state / "secrets.env").exists() and not list(h.haven.rglob("*")) and not h.exports.exists()
    assert json.loads(h.pixl("status", "--json").stdout)["projects"] == []


def test_what_cannot_be_read_in_the_archive_is_told(hospital):
    h = hospital
    h.add_study(1)
    h.add_study(2, ask=False)
    whole = h.files[2, 1, 1].read_bytes()
    h.files[2, 1, 1].write_bytes(whole[:300])                     # broken before its study UID
    h.write_csv()
    for _ in range(2):                                            # known from the index the second time
        assert json.loads(h.pixl("run", h.csv, "--json", ok=(1,)).stdout)["archive"] == {"unreadable": 0, "damaged": 1, "other": 0}
    assert "1 DICOM file has a broken header" in h.pixl("run", ok=(1,)).stdout
    h.files[2, 1, 1].write_bytes(whole)
    r = h.pixl("run", "--json")
    assert json.loads(r.stdout)["archive"] == {"unreadable": 0, "damaged": 0, "other": 0}
    assert "archive:" not in h.pixl("run").stdout
