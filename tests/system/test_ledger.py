"""What the chaos tests are judged by, against planted faults: each is found, and nothing else."""
import shutil
import sqlite3
import time
import zipfile

import pydicom
import pytest
from chaos import Diary, Fault, Storm, Watch, plan
from hospital import MARK, ROOT, Hospital
from ledger import Cohort, Ledger, read_zip


def query_of(db):
    def query(sql):
        with sqlite3.connect(f"file:{db}?mode=ro", uri=True) as c:
            return c.execute(sql).fetchall()
    return query


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A study of each kind, and a run that ended well."""
    h = Hospital(tmp_path_factory.mktemp("done"))
    cohort = Cohort(h)
    for study, kind in enumerate(dict.fromkeys(Cohort.KINDS), 1):
        cohort.add(study, kind)
    h.write_csv()
    r = h.pixl("run", h.csv, ok=(1,))
    (h.base / "run.log").write_text(r.stdout + r.stderr)
    return h, cohort


@pytest.fixture
def books(done, tmp_path):
    """A copy of what that run left, to be spoiled."""
    h, cohort = done
    copy = tmp_path / "copy"
    shutil.copytree(h.haven, copy / "haven")
    shutil.copytree(h.state, copy / "state")
    shutil.copy(h.base / "run.log", copy)
    return Ledger(cohort, query_of(copy / "state" / "pixl.db"), copy / "haven", [copy / "state" / "spool"], [copy / "run.log"])


def zips(books):
    return sorted(books.destination.glob("*/*.zip"))


def change(books, sql, *args):
    with sqlite3.connect(books.destination.parent / "state" / "pixl.db") as c:
        c.execute("PRAGMA ignore_check_constraints = ON")
        assert c.execute(sql, args).rowcount > 0


def rewrite(path, keep=lambda i, name, data: [(name, data)]):
    """The zip anew, with other entries."""
    with zipfile.ZipFile(path) as z:
        entries = [(n, z.read(n)) for n in z.namelist()]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as z:
        for i, (name, data) in enumerate(entries):
            for n, d in keep(i, name, data):
                z.writestr(n, d)


def found(books, *words):
    """What is wrong, each of it with one of these words."""
    wrong = list(books.check())
    assert wrong and all(any(w in x for w in words) for x in wrong) and all(any(w in x for x in wrong) for w in words), wrong
    return len(wrong)


def test_a_run_that_ended_well_has_its_books_in_order(books):
    assert list(books.check()) == [] and len(zips(books)) == 4


def test_a_zip_that_is_gone(books):
    zips(books)[0].unlink()
    assert found(books, "is 0 times at the destination") == 1


def test_a_zip_that_is_there_twice(books):
    z = zips(books)[0]
    shutil.copy(z, z.with_name("2.25.1.zip"))
    found(books, "its instances say", "is 2 times at the destination")


def test_a_zip_of_nobody(books):
    z = zips(books)[0]
    other = z.with_name("2.25.1.zip")
    with zipfile.ZipFile(other, "w"):
        pass
    assert found(books, "is no study of the cohort") == 1


def test_an_instance_that_is_missing(books):
    rewrite(zips(books)[0], lambda i, name, data: [(name, data)] if i else [])
    found(books, "is no study of the cohort", "is 0 times")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_an_instance_that_is_there_twice(books):
    rewrite(zips(books)[0], lambda i, name, data: [(name, data)] * (2 if i == 0 else 1))
    assert found(books, "instances") == 1


def test_pixels_of_another_instance(books):
    with zipfile.ZipFile(zips(books)[0]) as z:
        foreign = pydicom.dcmread(z.open(z.namelist()[0])).PixelData

    def swap(i, name, data):
        at = data.rindex(foreign[:64]) if foreign[:64] in data else len(data) - 64
        return [(name, data if i else data[:at] + bytes(64))]
    rewrite(zips(books)[0], swap)
    found(books, "is no study of the cohort", "is 0 times")


def test_a_zip_that_is_half(books):
    z = zips(books)[0]
    z.write_bytes(z.read_bytes()[:-200])
    found(books, "cannot be read", "is 0 times")


def test_a_zip_with_a_broken_entry(books):
    z = zips(books)[0]
    data = bytearray(z.read_bytes())
    data[len(data) // 3] ^= 0xFF
    z.write_bytes(data)
    found(books, "cannot be read", "is 0 times")


def test_a_patient_in_a_zip(books):
    for z in zips(books)[:1]:
        rewrite(z, lambda i, name, data: [(name, data.replace(b"ANONYMIZED", MARK.encode() + b"x^y "))])
    found(books, "names a patient")


@pytest.mark.parametrize("name", [".2.25.9.zip.w.3.part", "test-project/.2.25.9.zip.w.3.part", "test-project/new.zip~", "stray"])
def test_a_temporary_file(books, name):
    path = books.destination / name
    path.write_bytes(b"x")
    assert found(books, "left over at the destination") == 1


def test_half_uploads_beyond_what_a_server_may_keep(books):
    books.parts_may_stay = 2
    for i in range(1, 3):
        (books.destination / "test-project" / f".2.25.{i}.zip.0a.3.part").write_bytes(b"x")
    assert list(books.check()) == []
    (books.destination / "test-project" / ".2.25.3.zip.0a.3.part").write_bytes(b"x")
    assert found(books, "left over at the destination") == 3


def test_a_zip_left_in_the_spool(books):
    (folder,) = [p for p in books.spools[0].iterdir() if p.is_dir()]
    shutil.copy(zips(books)[0], folder)
    assert found(books, "left over in the spool") == 1


def test_a_name_in_a_log(books):
    with books.logs[0].open("a") as log:
        log.write(f"one line\nanother for {MARK.lower()}son\nand {ROOT}.7\n")
    assert found(books, "a patient's name or number in run.log") == 2


def test_a_name_in_a_file_name(books):
    (books.destination / "test-project" / f"{MARK}.zip").write_bytes(b"")
    found(books, "cannot be read", "left over", "a patient's name")


@pytest.mark.parametrize("state", ["queued", "retrieving", "deidentified", "failed"])
def test_a_study_that_did_not_end_or_not_so(books, state):
    change(books, "UPDATE image SET state = ? WHERE image_id = 1", state)
    found(books, "study 1,", "image 1 was exported")


def test_a_study_that_was_exported_twice(books):
    change(books, "INSERT INTO image_event (image_id, event_no, at_us, from_state, to_state, fence, attempt)"
           " SELECT 1, max(event_no) + 1, max(at_us), 'exported', 'exported', 9, 0 FROM image_event WHERE image_id = 1")
    assert found(books, "image 1 was exported 2 times") == 1


def test_a_study_that_was_lost(books):
    change(books, "DELETE FROM request_image WHERE request_id = (SELECT request_id FROM request WHERE procedure_occurrence_id = 1001)")
    found(books, "study 1,", "its state unknown", "the store {''}")


def test_a_row_that_is_lacking(books):
    change(books, "DELETE FROM request_image WHERE request_id = (SELECT request_id FROM request WHERE procedure_occurrence_id = 1006)")
    change(books, "DELETE FROM request WHERE procedure_occurrence_id = 1006")
    found(books, "study 6,", "its state unknown")


def test_a_table_that_tells_otherwise(books, done):
    books.cohort = Cohort(done[0])
    books.cohort.wanted, books.cohort.twins = dict(done[1].wanted), set()
    found(books, "OUTCOMES", "was never asked for")


def test_the_watch_finds_what_was_half_for_a_moment(books):
    z = zips(books)[0]
    whole = z.read_bytes()
    z.unlink()
    with Watch(lambda: books.destination, read_zip, 0.01) as watch:
        z.write_bytes(whole[:-100])
        time.sleep(0.5)
        z.write_bytes(whole)
    assert len(watch.seen) == 4 and "was not whole" in watch.wrong[0] and "was written again" in watch.wrong[-1], watch.wrong


def test_the_watch_finds_what_was_written_again(books):
    z = zips(books)[0]
    with Watch(lambda: books.destination, read_zip, 0.01) as watch:
        pass
    assert watch.wrong == [] and len(watch.seen) == 4
    shutil.copy(z, z.with_name("again"))
    z.with_name("again").rename(z)
    with watch:
        pass
    assert len(watch.wrong) == 1 and "was written again" in watch.wrong[0]


def test_a_seed_draws_the_same_storm_again():
    def one(dice):
        yield "one"

    def two(dice):
        yield "two"
    faults = [Fault(one, "a", 3, (0, 2), 0.5), Fault(two, "a", 1, (1, 3)), Fault(two, "b", 1, (1, 2))]

    def drawn(seed):
        return [(at, f.what.__name__, f.on, held, dice.random()) for at, f, held, dice in plan(seed, 60, faults, 2)]
    assert drawn(5) == drawn(5) != drawn(6) and len(drawn(5)) > 20
    for on in "ab":                                               # what is on the same thing does not overlap
        mine = [(at, at + held) for at, _, where, held, _ in drawn(5) if where == on]
        assert all(end <= begin for (_, end), (begin, _) in zip(mine, mine[1:]))


def test_a_fault_that_breaks_is_told():
    def breaks(dice):
        yield "it"
        raise OSError("not mended")
    with pytest.raises(RuntimeError, match="not mended"):
        with Storm(1, 1.5, [Fault(breaks, "a", 1, (0.1, 0.2))], Diary(), 5) as storm:
            while storm.is_on():
                time.sleep(0.01)
