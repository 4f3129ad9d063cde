"""Cohorts that are broken, forged or far too large: each is a clear error that shows no cell, and changes nothing."""
import pathlib
import shutil
import zipfile

import pytest
from hospital import MARK, Hospital

HEADER = "procedure_id,mrn,accession_number,project_name,extract_generated_timestamp,study_date,study_uid,participant_id,series_uid"


@pytest.fixture
def hospital(tmp_path):
    h = Hospital(tmp_path)
    h.add_study(1)
    return h


def row(**change):
    cells = dict(procedure_id="1", mrn=f"{MARK}1", accession_number=f"{MARK}A", project_name="test-project",
                 extract_generated_timestamp="2024-03-01T09:00:00Z", study_date="2020-05-23", study_uid="", participant_id="", series_uid="")
    return ",".join({**cells, **change}.values())


def write(path, *lines):
    path.write_bytes(b"\n".join(l if isinstance(l, bytes) else l.encode() for l in (HEADER, *lines)) + b"\n")
    return path


ENDS_THE_READING = {
    "a NUL byte": ([row(), row(mrn="M\0X")], "cohort.csv: line 3", "NUL"),
    "a quote that is never closed": ([row(), row(mrn='"' + MARK), row()], "line 3", "quote"),
    "a line of 100 MB": ([row(), row(mrn=MARK * 17_000_000)], "line 3", "1048576 bytes"),
    "another encoding": ([(HEADER + "\n" + row()).encode("utf-16")], None, "UTF-16"),
}


@pytest.mark.parametrize("what", ENDS_THE_READING)
def test_a_cohort_that_cannot_be_read_changes_nothing(what, hospital):
    lines, place, why = ENDS_THE_READING[what]
    path = hospital.base / "cohort.csv"
    if place is None:
        path.write_bytes(lines[0])
    else:
        write(path, *lines)
    for command in (["populate", path], ["populate", path, "--dry-run"], ["run", path]):
        r = hospital.pixl(*command, ok=(1, 2))
        last = r.stderr.splitlines()[-1]
        assert why in r.stderr and (place is None or place.split()[-1] in last) and MARK not in r.stderr + r.stdout, r.stderr
    assert "nothing was asked for yet" in hospital.pixl("status").stdout


REFUSED = {
    "a path for a slug": (dict(project_name="../../etc"), "project_name"),
    "a path for a study": (dict(study_uid="../../../etc/passwd"), "study_uid"),
    "a path for a series": (dict(series_uid="1.2/../3"), "series_uid"),
    "a study without any key": (dict(accession_number=""), "accession_number"),
    "nobody's study": (dict(mrn=" "), "mrn"),
    "a control character": (dict(participant_id="a\x1bb"), "participant_id"),
}


def test_rows_that_cannot_be_are_refused_one_by_one(hospital):
    path = write(hospital.base / "cohort.csv", row(procedure_id="7"), *(row(**change) for change, _ in REFUSED.values()))
    r = hospital.pixl("populate", path, ok=(1,))
    for number, (what, (_, field)) in enumerate(REFUSED.items(), start=3):
        line = [l for l in r.stderr.splitlines() if f"cohort.csv:{number}: row refused" in l]
        assert len(line) == 1 and field in line[0], (what, r.stderr)
    assert MARK not in r.stderr + r.stdout and "passwd" not in r.stderr + r.stdout
    assert f"{len(REFUSED) + 1} rows, {len(REFUSED)} refused: 1 new study" in r.stdout


def test_columns_that_are_mixed_up_show_nobody(hospital):
    number, name = "47110815", "canary-jane"
    mixed = [row(project_name=number, mrn="test-project"), row(project_name=name, mrn="test-project")]
    for lines, codes in ((mixed, (1, 2)), ([row(), *mixed], (1,))):
        path = write(hospital.base / "cohort.csv", *lines)
        for command in (["populate", path, "--dry-run"], ["populate", path], ["populate", path, "--json"], ["run", path]):
            r = hospital.pixl(*command, ok=(*codes, 75))
            assert number not in r.stderr + r.stdout and name not in r.stderr + r.stdout, (command, r.stderr)
            assert "project_name: there is no project of this name" in r.stderr


@pytest.fixture(scope="module")
def extract(tmp_path_factory):
    """An OMOP extract, as `pixl demo` makes one, and the project that it is for."""
    h = Hospital(tmp_path_factory.mktemp("omop"))
    h.pixl("demo", "--dir", h.base / "demo", "--studies", "8")
    (project,) = [p for p in (h.base / "demo" / "configs").glob("*chest-ct.yaml")]
    return h.base / "demo" / "hospital" / "omop-extract", project


def tables(folder):
    return sorted(p for p in pathlib.Path(folder).rglob("*") if p.suffix.lower() == ".parquet")


def as_zip(path):
    with zipfile.ZipFile(path, "w") as z:
        z.writestr("PERSON.csv", MARK)


DAMAGE = {
    "cut short": lambda path: path.write_bytes(path.read_bytes()[:-9]),
    "its end alone": lambda path: path.write_bytes(path.read_bytes()[-40:]),
    "a zip named parquet": as_zip,
    "empty": lambda path: path.write_bytes(b""),
    "text": lambda path: path.write_text(f"person_id,PrimaryMrn\n1,{MARK}\n"),
}


@pytest.mark.parametrize("what", DAMAGE)
def test_a_damaged_table_is_named(what, extract, tmp_path):
    source, _ = extract
    links = [p for p in tables(source) if "private" in p.parts]
    assert len(links) >= 2
    for number, link in enumerate(links):
        h = Hospital(tmp_path / str(number))
        shutil.copytree(source, h.base / "extract")
        broken = h.base / "extract" / link.relative_to(source)
        DAMAGE[what](broken)
        r = h.pixl("populate", h.base / "extract", ok=(1, 2))
        assert broken.name in r.stderr and MARK not in r.stderr, r.stderr
        assert "nothing was asked for yet" in h.pixl("status").stdout
        assert not any(h.exports.rglob("*.parquet")), "public files of an extract that cannot be read were copied"


def test_a_study_that_very_many_rows_ask_for(hospital):
    n = 100_000
    uid = "1.2.826.0.1.3680043.10.4242.77"
    path = write(hospital.base / "cohort.csv", *(row(procedure_id=str(i), study_uid=uid) for i in range(n)))
    r = hospital.pixl("populate", path)
    assert f"{n} rows, 0 refused: 1 new study, {n - 1} rows for studies already asked for" in r.stdout
    assert f"{n} known before" in hospital.pixl("populate", path).stdout
