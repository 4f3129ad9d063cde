"""What goes out with the images: reports, the outcome of every row, and the folders of extracts, read back by hyparquet."""
import csv
import json
import os
import sqlite3
import subprocess
import time

import pytest
from hospital import MARK, ROOT, Hospital, canaries
from tables import SLUG, columns, extract_folder, make_parquet, parquet, rows

RADIOLOGY = [["image_identifier", "BYTE_ARRAY"], ["procedure_occurrence_id", "INT64"], ["image_report", "BYTE_ARRAY"]]
LARGE = 9007199254740993


@pytest.fixture
def hospital(tmp_path):
    return Hospital(tmp_path)


def report_csv(h, reports, name="reports.csv", header=("procedure_occurrence_id", "image_report")):
    path = h.base / name
    with open(path, "w", newline="") as f:
        w = csv.writer(f)
        w.writerow(header)
        w.writerows(reports)
    return path


def load(h, path, *options, ok=(0,)):
    return json.loads(h.pixl("reports", "load", path, "--json", *options, ok=ok).stdout)


def radiology(h, slug=SLUG):
    """The table of reports; None when there is none."""
    path = extract_folder(h, slug) / "radiology.parquet"
    if not path.exists():
        return None
    (table,) = parquet(path)
    assert columns(table) == RADIOLOGY
    return rows(table)


def outcomes(h, slug=SLUG):
    (table,) = parquet(extract_folder(h, slug) / "OUTCOMES.parquet")
    return {r[0]: r[1:] for r in rows(table)}


def linker(h, slug=SLUG):
    (table,) = parquet(extract_folder(h, slug) / "IMAGE_LINKER.parquet")
    return rows(table)


def at_destination(h, slug=SLUG):
    return h.haven / h.project / slug / "parquet" / "radiology" / "radiology.parquet"


def test_reports_go_out_with_what_was_delivered(hospital):
    h = hospital
    h.add_study(1, ask=False)
    h.ask(1, procedure=11)
    h.ask(1, procedure=LARGE)                                     # one study, two procedures
    h.add_study(2, ask=False)
    h.ask(2, procedure=5)
    h.ask(3, procedure=12)                                        # in no archive
    h.write_csv()
    h.pixl("populate", h.csv)
    text = 'Chest, "normal".\r\nNo change,\nsince 2019; µ and 影'
    told = load(h, report_csv(h, [(11, text), (LARGE, "second"), (5, "of 5"), (12, "unseen"), (99, "never asked")]))
    assert told == {"dry_run": False, "rows": 5, "new": 4, "replaced": 0, "same": 0, "taken_away": 0, "without_text": 0,
                    "withheld": 0, "never_asked": 1, "refused": 0, "several_patients": 0}
    h.pixl("run")
    uids = dict(linker(h))
    assert radiology(h) == [(uids[5], 5, "of 5"), (uids[11], 11, text), (uids[LARGE], LARGE, "second")]
    assert uids[11] == uids[LARGE] and outcomes(h)[12][0] == "missing"
    assert at_destination(h).read_bytes() == (extract_folder(h) / "radiology.parquet").read_bytes()
    # a new text replaces the old one, an empty one takes it away; nothing else changes
    before = h.snapshot()
    told = load(h, report_csv(h, [(11, "corrected"), (5, "of 5"), (LARGE, "")]))
    assert (told["replaced"], told["same"], told["taken_away"]) == (1, 1, 1)
    h.pixl("export-patient-data", "--project", h.project)
    assert radiology(h) == [(uids[5], 5, "of 5"), (uids[11], 11, "corrected")]
    assert [p.name for p in h.snapshot().keys() if h.snapshot()[p] != before.get(p)] == ["radiology.parquet"]
    load(h, report_csv(h, [(11, ""), (5, "")]))
    h.pixl("run")
    assert radiology(h) is None and not at_destination(h).exists() and dict(linker(h)) == uids


def test_a_report_that_names_its_patient_stays(hospital):
    h = hospital
    bad = {1: lambda s: f"seen by MRN {h.mrn(s)}", 2: lambda s: f"accession:{h.accession(s)}.", 3: lambda s: f"uid {ROOT}.{s}",
           4: lambda s: f"number {h.mrn(s)[len(MARK):]} alone"}
    for study in range(1, 7):
        h.add_study(study, instances=1, by_uid=study != 5)
    h.write_csv()
    h.pixl("populate", h.csv)
    reports = [(1000 + s, f"{text(s)} secret words") for s, text in bad.items()]
    reports += [(1005, f"as in {ROOT}.5"), (1006, "a normal chest")]          # the UID of 5 is not known before it is found
    r = h.pixl("reports", "load", report_csv(h, reports), ok=(1,))
    assert r.stderr.count("report withheld: procedure 100") == 4 and "(request 1)" in r.stderr
    h.pixl("run")
    uids = dict(linker(h))
    assert len(uids) == 6 and radiology(h) == [(uids[1006], 1006, "a normal chest")]
    r = h.pixl("export-patient-data", "--project", h.project)
    assert "5 reports are withheld" in r.stdout and "procedure 1005 (request 5)" in r.stdout
    (told,) = json.loads(h.pixl("export-patient-data", "--project", h.project, "--json").stdout)["extracts"]
    assert (told["reports"], told["reports_withheld"]) == (1, 5)
    assert canaries(h.haven) == [] and canaries(h.exports) == []
    # what was withheld when it was loaded is not even in the store
    store = b"".join(p.read_bytes() for p in h.state.glob("pixl.db*"))
    assert b"a normal chest" in store and b"secret words" not in store
    assert canaries(h.exports, marks=(b"secret words",)) == []
    # and nothing of it was said
    for shown in (r.stdout, r.stderr):
        assert MARK not in shown and ROOT not in shown and "secret" not in shown


def test_a_delivered_report_that_became_an_identity_is_withdrawn(hospital):
    h = hospital
    h.add_study(1, ask=False)
    h.ask(1, procedure=1)
    h.write_csv()
    h.pixl("populate", h.csv)
    load(h, report_csv(h, [(1, f"compare {MARK}LATER77")]))
    h.pixl("run")
    assert len(radiology(h)) == 1 and at_destination(h).exists()
    h.ask(1, procedure=2)                                         # another row brings another number of this study
    h.rows[1]["accession_number"] = f"{MARK}LATER77"
    h.write_csv()
    h.pixl("run", h.csv)
    assert radiology(h) is None and not at_destination(h).exists()
    assert canaries(h.haven) == [] and canaries(h.exports) == []


def test_refused_rows_are_told_by_line_and_never_shown(hospital):
    h = hospital
    h.add_study(1)
    h.write_csv()
    h.pixl("populate", h.csv)
    path = h.base / "reports.csv"
    path.write_bytes(b'procedure_occurrence_id,image_report\n1001,"two\nlines"\nCANARY,x\n1001,CANARY twice\n1001\n1001,caf\xe9 CANARY\n')
    for dry in (["--dry-run"], []):
        r = h.pixl("reports", "load", path, *dry, ok=(1,))
        assert [line.split(": ", 2)[0].rsplit(":", 1)[1] for line in r.stderr.splitlines() if "row refused" in line] == ["4", "5", "6", "7"]
        assert MARK not in r.stdout + r.stderr and ("dry run" in r.stdout) == bool(dry)
        with sqlite3.connect(h.state / "pixl.db") as db:
            assert db.execute("SELECT count(*) FROM report").fetchone() == (0 if dry else 1,)
    path.write_text("procedure_occurrence_id,image_report\n1001,\"CANARY never closed\n")
    r = h.pixl("reports", "load", path, ok=(1,))
    assert "line 2" in r.stderr and MARK not in r.stderr
    path.write_text("procedure_occurrence_id,report\n1001,CANARY\n")
    assert "unknown name" in h.pixl("reports", "load", path, ok=(2,)).stderr
    assert h.pixl("reports", "load", h.base / "none.csv", ok=(2,)).returncode == 2
    assert h.pixl("reports", "store", path, ok=(2,)).returncode == 2


def test_parquet_of_others(hospital):
    h = hospital
    h.add_study(1, instances=1)
    h.rows[0]["extract_generated_timestamp"] = "2024-02-01T00:00:00Z"
    h.ask(1, procedure=1001)
    h.write_csv()
    h.pixl("run", h.csv)
    path = make_parquet(h, h.base / "ehr_anon.parquet",
                        f"SELECT 'hash' AS image_identifier, 1001 AS procedure_occurrence_id, 'first' AS image_report, "
                        f"'{h.project}' AS project_name, TIMESTAMPTZ '2023-12-07 15:08:58+01' AS extract_datetime "
                        f"UNION ALL SELECT NULL, 1001, 'second', '{h.project}', '2024-02-01' "
                        f"UNION ALL SELECT NULL, 1001, 'of another', 'another-project', '2024-02-01'")
    told = load(h, path)
    assert (told["new"], told["never_asked"]) == (2, 1)
    assert load(h, path)["same"] == 2
    h.pixl("export-patient-data", "--project", h.project)
    assert [r[2] for r in radiology(h)] == ["first"]
    assert [r[2] for r in radiology(h, "2024-02-01t00-00-00-00-00")] == ["second"]
    assert radiology(h)[0][0] == radiology(h, "2024-02-01t00-00-00-00-00")[0][0] == dict(linker(h))[1001]
    with sqlite3.connect(h.state / "pixl.db") as db:
        assert db.execute("SELECT max(image_identifier) FROM report").fetchone() == ("hash",)
    # what pixl wrote can be read in again
    told = load(h, extract_folder(h) / "radiology.parquet", "--extract", "2024-02-01")
    assert (told["replaced"], told["refused"]) == (1, 0)


def test_every_row_of_every_populate_has_an_outcome(hospital):
    h = hospital
    h.add_study(1, series=3, instances=1, ask=False)
    h.add_study(2, instances=1, ask=False)
    h.ask(1, series_uid=f"{ROOT}.1.1", procedure=1)
    h.ask(2, procedure=2)
    h.ask(3, procedure=3)
    h.write_csv()
    h.pixl("run", h.csv)
    h.ask(1, series_uid=f"{ROOT}.1.1", procedure=4)               # in time: it is in what was delivered
    h.ask(1, series_uid=f"{ROOT}.1.2", procedure=5)               # too late
    h.write_csv()
    load(h, report_csv(h, [(p, f"report {p}") for p in (1, 2, 3)]))
    for _ in range(2):                                            # the second changes nothing
        h.pixl("populate", h.csv, ok=(1,))
        load(h, report_csv(h, [(4, "report 4"), (5, "report 5")]))
        h.pixl("export-patient-data", "--project", h.project)
        told, uids = outcomes(h), dict(linker(h))
        assert sorted(told) == [1, 2, 3, 4, 5] and sorted(uids) == [1, 2, 4]
        assert told[1] == told[4] == ("exported", None, uids[1], 3, 1, 2)
        assert told[5] == ("skipped", "delivered-before", None, 0, 0, 0)
        assert told[3][:2] == ("missing", "not-in-archive")
        assert [r[1:] for r in radiology(h)] == [(1, "report 1"), (2, "report 2"), (4, "report 4")]
    with sqlite3.connect(h.state / "pixl.db") as db:
        assert db.execute("SELECT count(*) FROM request").fetchone() == (5,)


def test_open_rows_are_said(hospital):
    h = hospital
    h.add_study(1, instances=1)
    h.add_study(2, instances=1)
    h.write_csv()
    h.pixl("populate", h.csv)
    r = h.pixl("export-patient-data", "--project", h.project, "--local", ok=(75,))
    assert "2 of these outcomes are still open: 2 queued" in r.stdout
    assert {o[0] for o in outcomes(h).values()} == {"queued"} and linker(h) == []
    (told,) = json.loads(h.pixl("export-patient-data", "--project", h.project, "--json", ok=(75,)).stdout)["extracts"]
    assert told["open"] == {"queued": 2} and told["delivered"] is True
    h.pixl("run")
    assert "still open" not in h.pixl("export-patient-data", "--project", h.project).stdout
    assert {o[0] for o in outcomes(h).values()} == {"exported"}


def which_files(h):
    return {p.name: (p.stat().st_ino, p.stat().st_mtime_ns) for p in extract_folder(h).glob("*.parquet")}


def test_tables_can_be_written_while_a_run_is_on(hospital):
    h = hospital
    for study in range(1, 25):
        h.add_study(study, instances=1)
    h.write_csv()
    h.pixl("populate", h.csv)
    load(h, report_csv(h, [(1000 + s, f"report {s}") for s in range(1, 25)]))
    run = subprocess.Popen(h.command("run", "--rate", "4"), env=h.environment, cwd=h.base, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    seen = []
    while run.poll() is None and len(seen) < 200:
        if not h.zips():
            time.sleep(0.05)
            continue
        r = h.pixl("export-patient-data", "--project", h.project, ok=(0, 75))
        before = which_files(h)
        told, linked, reports = outcomes(h), linker(h), radiology(h) or []
        if which_files(h) != before:                              # the run ended and wrote its own
            continue
        assert len(told) == 24
        done = sorted(p for p, o in told.items() if o[0] == "exported")
        assert done == sorted(p for p, _ in linked) == sorted(p for _, p, _ in reports)      # of one moment
        assert {uid for uid, *_ in reports} == {uid for _, uid in linked}
        assert r.returncode == 75 or len(done) == 24
        seen.append(len(done))
    assert run.wait(60) == 0, run.stderr.read()
    assert seen == sorted(seen) and any(0 < n < 24 for n in seen)
    assert len(linker(h)) == 24


def omop_extract(h, name, when, studies, project="Test Project"):
    """The folder of an OMOP ES extract."""
    folder = h.base / name
    people = ", ".join(f"({s}, '{h.mrn(s)}')" for s in studies)
    done = ", ".join(f"({500 + s}, {s}, DATE '2020-05-23')" for s in studies)
    links = ", ".join(f"({500 + s}, '{h.accession(s)}', '{ROOT}.{s}')" for s in studies)
    make_parquet(h, folder / "private" / "PERSON_LINKS.parquet", f"SELECT * FROM (VALUES {people}) v(person_id, PrimaryMrn)")
    make_parquet(h, folder / "public" / "PROCEDURE_OCCURRENCE.parquet",
                 f"SELECT * FROM (VALUES {done}) v(procedure_occurrence_id, person_id, procedure_date)")
    make_parquet(h, folder / "private" / "PROCEDURE_OCCURRENCE_LINKS.parquet",
                 f"SELECT * FROM (VALUES {links}) v(procedure_occurrence_id, AccessionNumber, StudyUid_X)")
    (folder / "extract_summary.json").write_text(json.dumps({"datetime": when, "settings": {"cdm_source_name": project}}))
    return folder


def test_a_public_table_with_a_column_of_identities_goes_nowhere(hospital):
    h = hospital
    h.add_study(1, instances=1, ask=False)
    folder = omop_extract(h, "west", "2024-05-01T10:00:00", [1])
    table = folder / "public" / "PERSON.parquet"
    make_parquet(h, table, f"SELECT 1 AS person_id, '{h.mrn(1)}' AS \"PrimaryMrn\"")
    r = h.pixl("populate", folder, ok=(1,))
    assert "'PERSON.parquet' has the column 'primarymrn'" in r.stderr and "left out of the extract" in r.stderr
    assert h.mrn(1) not in r.stderr and not list(h.exports.rglob("*.parquet"))
    make_parquet(h, table, "SELECT 1 AS person_id, TIMESTAMP '1962-03-04' AS birth_datetime, 'x' AS person_source_value")
    h.pixl("populate", folder)
    copies = list(h.exports.rglob("omop/public/PERSON.parquet"))
    assert copies and all(c.read_bytes() == table.read_bytes() for c in copies)


def test_extracts_of_a_project_and_their_folders(hospital):
    h = hospital
    for study in (1, 2, 3):
        h.add_study(study, instances=1, ask=False)
    west = omop_extract(h, "west", "2024-05-01T10:00:00-01:00", [1, 2])          # 11:00 UTC: the newest
    east = omop_extract(h, "east", "2024-05-01T10:00:00+01:00", [2, 3])          # 09:00 UTC
    plain = omop_extract(h, "plain", "2024-05-01 10:00:00", [3])
    slugs = ["2024-05-01t10-00-00-minus-01-00", "2024-05-01t10-00-00-01-00", "2024-05-01t10-00-00"]
    r = h.pixl("export-patient-data", west, ok=(2,))
    assert "no state" in r.stderr
    h.pixl("populate", west)
    r = h.pixl("export-patient-data", east, ok=(2,))
    assert "populate it first" in r.stderr and not (h.exports / h.project / "all_extracts" / slugs[1]).exists()
    h.pixl("populate", east)
    h.pixl("populate", plain)
    load(h, report_csv(h, [(503, "of the east")]), "--extract", "2024-05-01T09:00Z")
    told = load(h, report_csv(h, [(503, "not in the west"), (501, "of the newest")]))
    assert (told["new"], told["never_asked"]) == (1, 1)
    h.pixl("run")
    latest = h.exports / h.project / "latest"
    assert os.readlink(latest) == f"all_extracts/{slugs[0]}" and latest.is_dir()
    for slug, studies in zip(slugs, ([1, 2], [2, 3], [3])):
        assert sorted(outcomes(h, slug)) == [p for p, _ in linker(h, slug)] == [500 + s for s in studies]
    assert [r[1:] for r in radiology(h, slugs[0])] == [(501, "of the newest")]
    assert [r[1:] for r in radiology(h, slugs[1])] == [(503, "of the east")] and radiology(h, slugs[2]) is None
    # one extract again, by its folder: its public files come back, `latest` stays
    public = h.exports / h.project / "all_extracts" / slugs[1] / "omop" / "public" / "PROCEDURE_OCCURRENCE.parquet"
    public.unlink()
    (extract_folder(h, slugs[0]) / "OUTCOMES.parquet").unlink()
    h.pixl("export-patient-data", east, "--project", h.project)
    assert public.read_bytes() == (east / "public" / public.name).read_bytes()
    assert not (extract_folder(h, slugs[0]) / "OUTCOMES.parquet").exists()       # of the other one nothing was written
    assert os.readlink(latest) == f"all_extracts/{slugs[0]}"
    assert "is of project" in h.pixl("export-patient-data", east, "--project", "another", ok=(2,)).stderr
    assert "a project 'another'" in h.pixl("export-patient-data", "--project", "another", ok=(2,)).stderr
    assert "which extract" in h.pixl("export-patient-data", ok=(2,)).stderr
    assert "no folder" in h.pixl("export-patient-data", h.csv, ok=(2,)).stderr
    assert canaries(h.exports) == [] and canaries(h.haven) == []


def test_a_destination_that_is_away_is_tried_again(hospital):
    h = hospital
    h.add_study(1, instances=1)
    h.write_csv()
    h.pixl("run", h.csv)
    load(h, report_csv(h, [(1001, "normal")]))
    h.haven.rename(h.base / "away")
    r = h.pixl("export-patient-data", "--project", h.project, ok=(75,))
    assert "NOT delivered" in r.stdout and len(radiology(h)) == 1
    (h.base / "away").rename(h.haven)
    h.pixl("export-patient-data", "--project", h.project)
    assert at_destination(h).exists()


def test_several_may_write_at_once(hospital):
    h = hospital
    for study in range(1, 6):
        h.add_study(study, instances=1, ask=False)
    folder = omop_extract(h, "extract", "2024-05-01 10:00:00", range(1, 6))
    (folder / "public" / "notes").mkdir()
    for n in range(40):
        (folder / "public" / "notes" / f"{n}.txt").write_text("x" * 1000)
    h.pixl("populate", folder)
    load(h, report_csv(h, [(500 + s, f"report {s}") for s in range(1, 6)]))
    h.pixl("run")
    many = [subprocess.Popen(h.command("export-patient-data", folder), env=h.environment, cwd=h.base, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                             text=True) for _ in range(5)]
    many.append(subprocess.Popen(h.command("populate", folder), env=h.environment, cwd=h.base, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True))
    for p in many:
        out, _ = p.communicate(timeout=120)
        assert p.returncode == 0, out
    slug = "2024-05-01t10-00-00"
    assert len(radiology(h, slug)) == len(linker(h, slug)) == 5
    assert not [p for p in h.base.rglob("*.part")] and len(list((h.exports / h.project / "all_extracts" / slug).rglob("*.txt"))) == 40


def test_a_run_sends_what_has_changed(hospital):
    """The tables of an extract are written and delivered when something of it changed since, or when they did not arrive."""
    h = hospital
    times = {1: "2024-01-01T00:00:00Z", 2: "2024-02-01T00:00:00Z"}
    for study, when in times.items():
        h.add_study(study, instances=1)
        h.rows[-1]["extract_generated_timestamp"] = when
    h.write_csv()
    slugs = {n: when[:19].lower().replace(":", "-") + "-00-00" for n, when in times.items()}

    def run(*args, ok=(0,)):
        return {e["extract"]: e.get("unchanged", False) for e in json.loads(h.pixl("run", *args, "--json", ok=ok).stdout)["extracts"]}

    def moments():
        return {p: p.stat().st_mtime_ns for where in (h.exports, h.haven) for p in where.rglob("*") if p.is_file()}

    assert run(h.csv) == {slugs[1]: False, slugs[2]: False}
    before = moments()
    assert run(h.csv) == {slugs[1]: True, slugs[2]: True} and moments() == before
    text = h.pixl("run", h.csv).stdout
    assert "tables of 2 extracts are as they were when they were delivered" in text and "delivered to" not in text and moments() == before
    h.ask(3)                                                      # in no archive: another row of OUTCOMES
    h.rows[-1]["extract_generated_timestamp"] = times[2]
    h.write_csv()
    assert run(h.csv) == {slugs[1]: True, slugs[2]: False}
    now = moments()
    changed = {p for p in now if now[p] != before.get(p)}
    assert changed and all(slugs[2] in p.parts for p in changed)
    load(h, report_csv(h, [(1001, "normal")]), "--extract", times[1])
    assert run() == {slugs[1]: False, slugs[2]: True} and len(radiology(h, slugs[1])) == 1
    (extract_folder(h, slugs[2]) / "OUTCOMES.parquet").unlink()
    assert run() == {slugs[1]: True, slugs[2]: False} and (extract_folder(h, slugs[2]) / "OUTCOMES.parquet").exists()


def test_a_run_sends_again_what_did_not_arrive_or_goes_elsewhere(hospital):
    h = hospital
    h.add_study(1, instances=1)
    h.write_csv()
    h.pixl("run", h.csv)
    h.pixl("reports", "load", report_csv(h, [(1001, "normal")]))
    blocker = h.haven / h.project / SLUG / "parquet"
    blocker.rename(h.base / "away")
    blocker.write_text("no folder")
    assert "NOT delivered" in h.pixl("run", ok=(75,)).stdout
    blocker.unlink()
    assert "delivered to" in h.pixl("run").stdout and len(list(blocker.rglob("*.parquet"))) == 3
    for table in blocker.rglob("*.parquet"):                      # a run does not ask what became of them; a person may
        table.unlink()
    assert "delivered to" not in h.pixl("run").stdout and list(blocker.rglob("*.parquet")) == []
    h.pixl("export-patient-data", "--project", h.project)
    assert len(list(blocker.rglob("*.parquet"))) == 3
    other = h.base / "another-haven"
    other.mkdir()
    project = h.configs / f"{h.project}.yaml"
    project.write_text(project.read_text().replace(str(h.haven), str(other)))
    assert "delivered to" in h.pixl("run").stdout
    assert len(list(other.rglob("*.parquet"))) == 3
