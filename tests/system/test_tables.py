"""The parquet tables that go with the images, read by hyparquet, a reader that nobody here wrote, and compared with what was asked for."""
import json
import os
import subprocess

import pytest
from hospital import MARK, PIXL, ROOT, Hospital
from tables import LINKER, OUTCOMES, SLUG, columns, extract_folder, parquet, rows

LARGE = 9007199254740993                 # no double holds it


def read_tables(h):
    folder = extract_folder(h)
    linker, outcomes = parquet(folder / "IMAGE_LINKER.parquet", folder / "OUTCOMES.parquet")
    assert columns(linker) == LINKER and columns(outcomes) == OUTCOMES
    return rows(linker), rows(outcomes)


@pytest.fixture
def hospital(tmp_path):
    return Hospital(tmp_path)


def fill(h):
    h.add_study(1, series=2, instances=2, ask=False)
    h.ask(1, procedure=11)
    h.ask(1, procedure=LARGE)                                     # the same study for another procedure
    h.ask(2, procedure=12)                                        # in no archive
    h.add_study(3, modality="MR", ask=False)
    h.ask(3, procedure=13)                                        # nothing left
    h.add_study(4, ask=False)
    h.files[4, 1, 1].write_bytes(h.files[4, 1, 1].read_bytes()[:-100])
    h.ask(4, procedure=14)                                        # fails
    h.add_study(5, study_description=f"seen with {MARK}son", ask=False)
    h.ask(5, procedure=15)                                        # withheld
    h.add_study(6, instances=3, ask=False)
    h.add_study(6, instances=1, ask=False, folder=h.archive / "other", description="NOT THE SAME")
    h.ask(6, procedure=16, by_uid=False)                          # two files of one SOP Instance UID: left out
    h.write_csv()


def test_every_row_of_the_cohort_has_its_outcome(hospital):
    h = hospital
    fill(h)
    h.pixl("run", h.csv, ok=(1,))
    linked, told = read_tables(h)
    pseudo = {i["image"]: i["pseudo_study_uid"] for i in json.loads(h.pixl("trace", f"{ROOT}.1", "--json").stdout)}
    (uid_1,) = pseudo.values()
    (uid_6,) = {z.stem for z in h.zips()} - {uid_1}
    assert sorted(linked) == sorted([(11, uid_1), (LARGE, uid_1), (16, uid_6)])
    assert linked == sorted(linked) and told == sorted(told, key=lambda r: r[0])
    by_procedure = {r[0]: r[1:] for r in told}
    assert len(told) == len(by_procedure) == 7
    assert by_procedure[11] == by_procedure[LARGE] == ("exported", None, uid_1, 4, 4, 0)
    assert by_procedure[12] == ("missing", "not-in-archive", None, 0, 0, 0)
    assert by_procedure[13] == ("skipped", "modality", None, 2, 0, 2)
    assert by_procedure[14][:3] == ("failed", "unreadable-instance", None)
    assert by_procedure[15][:3] == ("withheld", None, None)
    assert by_procedure[16] == ("exported", None, uid_6, 4, 2, 2)
    # what arrives is what was written
    for name in ("IMAGE_LINKER", "OUTCOMES"):
        (there,) = h.haven.glob(f"{h.project}/{SLUG}/parquet/radiology/{name}.parquet")
        assert there.read_bytes() == (extract_folder(h) / f"{name}.parquet").read_bytes()
        assert MARK.encode() not in there.read_bytes() and ROOT.encode() not in there.read_bytes()
    latest = h.exports / h.project / "latest"
    assert latest.is_symlink() and os.readlink(latest) == f"all_extracts/{SLUG}"


def test_tables_follow_what_becomes_of_the_studies(hospital):
    h = hospital
    h.add_study(1, ask=False)
    h.add_study(2, ask=False)
    h.ask(1, procedure=1)
    h.ask(2, procedure=2)
    whole = h.files[2, 1, 1].read_bytes()
    h.files[2, 1, 1].write_bytes(whole[:-10])
    h.write_csv()
    h.pixl("run", h.csv, ok=(1,))
    linked, told = read_tables(h)
    assert [p for p, _ in linked] == [1] and {r[0]: r[1] for r in told} == {1: "exported", 2: "failed"}
    h.files[2, 1, 1].write_bytes(whole)
    h.pixl("retry")
    h.pixl("run")
    linked, told = read_tables(h)
    assert [p for p, _ in linked] == [1, 2] and {r[0]: r[1] for r in told} == {1: "exported", 2: "exported"}


def test_an_accession_number_of_two_studies_has_two_rows(hospital):
    h = hospital
    h.add_study(1, ask=False)
    h.add_study(2, ask=False)
    import pydicom
    for key, path in h.files.items():                             # the second study under the first one's keys
        if key[0] == 2:
            ds = pydicom.dcmread(path)
            ds.PatientID, ds.AccessionNumber = h.mrn(1), h.accession(1)
            ds.save_as(path)
    h.ask(1, by_uid=False, procedure=5)
    h.write_csv()
    h.pixl("run", h.csv)
    linked, told = read_tables(h)
    assert sorted(linked) == sorted((5, z.stem) for z in h.zips()) and len(linked) == 2
    assert sorted(r[:2] for r in told) == [(5, "exported")] * 2


def test_a_project_without_destination_keeps_and_links(hospital):
    h = hospital
    h.write_project(destination="none")
    h.add_study(1, ask=False)
    h.ask(1, procedure=1)
    h.write_csv()
    h.pixl("run", h.csv)
    ((procedure, uid),), ((_, outcome, reason, told_uid, *counts),) = read_tables(h)
    assert (procedure, outcome, reason, counts) == (1, "kept", None, [2, 2, 0]) and uid == told_uid
    assert [z.stem for z in (h.state / "spool").rglob("*.zip")] == [uid] and list(h.haven.rglob("*")) == []


def test_two_extract_times_have_tables_of_their_own(hospital):
    h = hospital
    h.add_study(1, ask=False)
    h.ask(1, procedure=1)
    h.ask(1, procedure=2)
    h.rows[1]["extract_generated_timestamp"] = "2024-02-01T00:00:00-01:00"
    h.write_csv()
    h.pixl("run", h.csv)
    first, second = sorted(p.name for p in (h.exports / h.project / "all_extracts").iterdir())
    tables = parquet(*(extract_folder(h, slug) / "IMAGE_LINKER.parquet" for slug in (first, second)))
    assert [[r[0] for r in rows(t)] for t in tables] == [[1], [2]]
    assert os.readlink(h.exports / h.project / "latest") == f"all_extracts/{second}"


def test_the_tables_of_a_demo(tmp_path):
    folder = tmp_path / "demo"
    for _ in range(2):                                            # the second replaces the first
        r = subprocess.run([PIXL, "demo", "--dir", folder, "--studies", "8"], capture_output=True, text=True, timeout=300)
        assert r.returncode == 0, r.stdout[-3000:] + r.stderr[-3000:]
    (folder / "mine.txt").write_text("somebody's own")
    r = subprocess.run([PIXL, "demo", "--dir", folder, "--studies", "8"], capture_output=True, text=True)
    assert r.returncode == 1 and "no demo made" in r.stderr and (folder / "mine.txt").exists()
    public = sorted((folder / "hospital" / "omop-extract" / "public").rglob("*.parquet"))
    assert {"PERSON.parquet", "PROCEDURE_OCCURRENCE.parquet"} <= {p.name for p in public}
    people = set()
    for source, table in zip(public, parquet(*public)):
        copies = [p for where in ("exports", "safe-haven") for p in (folder / where).rglob(f"omop/public/**/{source.name}") if "latest" not in p.parts]
        assert len(copies) == 2 and all(c.read_bytes() == source.read_bytes() for c in copies)
        names = [c[0] for c in table["columns"]]
        assert table["rows"] and not {"PrimaryMrn", "AccessionNumber", "NhsNumber"} & set(names)
        people |= {row["person_id"] for row in table["rows"] if "person_id" in row}
    private = parquet(*sorted((folder / "hospital" / "omop-extract" / "private").glob("*.parquet")))
    asked = {int(row["procedure_occurrence_id"]) for t in private for row in t["rows"] if "procedure_occurrence_id" in row}
    assert people == {row["person_id"] for t in private for row in t["rows"] if "person_id" in row}
    outcomes = [p for p in (folder / "exports").rglob("OUTCOMES.parquet") if p.parents[1].joinpath("omop").exists() and "latest" not in p.parts]
    (told,) = parquet(*outcomes)
    assert columns(told) == OUTCOMES and {r[0] for r in rows(told)} == asked
    linked = [parquet(p)[0] for p in (folder / "exports").rglob("IMAGE_LINKER.parquet") if "latest" not in p.parts]
    delivered = {z.stem for z in (folder / "safe-haven").glob("*/*.zip")}
    assert {uid for t in linked for _, uid in rows(t)} == delivered
