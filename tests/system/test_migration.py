"""Taking over from the Python system in the midst of an extraction: its database and its queues as it leaves them, of both its
eras; pixl finishes what is left, sends nothing again, and leaves columns that it can read."""
import csv
import dataclasses
import datetime as dt
import hashlib
import io
import os
import subprocess
import sys
import types
import zipfile

import jsonpickle
import pika
import psycopg2
import pydicom
import pytest
from hospital import MARK, ROOT, Hospital
from rabbitmq import Broker
from test_postgres import PYTHON_TABLES
from test_worker import end, until

SERVER = os.environ["TEST_POSTGRES"]
DSN = f"host={SERVER}/sock user=pixl dbname=postgres"
URL = f"postgresql:///postgres?host={SERVER}/sock&user=pixl"
DAY, TIME = dt.date(2020, 5, 23), dt.datetime(2023, 12, 7, 14, 8, 58, tzinfo=dt.timezone.utc)
ALWAYS = "mon-sun 00:00-24:00"

FIRST_TABLES = """
CREATE SCHEMA pipeline;
CREATE TABLE pipeline.alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY);
INSERT INTO pipeline.alembic_version VALUES ('bcaef54e2bfe');
CREATE TABLE pipeline.extract (extract_id SERIAL PRIMARY KEY, slug VARCHAR NOT NULL);
CREATE TABLE pipeline.image (image_id SERIAL PRIMARY KEY, accession_number VARCHAR NOT NULL, study_date DATE NOT NULL,
    mrn VARCHAR NOT NULL, hashed_identifier VARCHAR, exported_at TIMESTAMP WITH TIME ZONE,
    extract_id INTEGER NOT NULL REFERENCES pipeline.extract);
"""


FIRST = [("mrn", str), ("accession_number", str), ("study_date", dt.date), ("procedure_occurrence_id", str), ("project_name", str),
         ("extract_generated_timestamp", dt.datetime)]
NEWEST = [("mrn", str), ("accession_number", str), ("study_uid", str), ("series_uid", str), ("study_date", dt.date),
          ("procedure_occurrence_id", int), ("project_name", str), ("extract_generated_timestamp", dt.datetime)]


@pytest.fixture
def named(monkeypatch):
    """Makes a message's class under the name that the Python system has for it; jsonpickle looks it up when it writes."""
    def make(fields):
        for name in ("core", "core.patient_queue", "core.patient_queue.message"):
            monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
        cls = sys.modules[name].Message = dataclasses.make_dataclass("Message", fields)
        cls.__module__ = name
        return cls
    return make


@pytest.fixture
def database():
    connection = psycopg2.connect(DSN)
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("DROP SCHEMA IF EXISTS pixl_pipeline CASCADE; DROP SCHEMA IF EXISTS pipeline CASCADE")
        yield cursor
        cursor.execute("DROP SCHEMA IF EXISTS pipeline CASCADE")
    connection.close()


@pytest.fixture(scope="module")
def broker():
    with Broker() as b:
        yield b


@pytest.fixture
def channel(broker):
    connection = pika.BlockingConnection(pika.URLParameters(broker.url))
    yield connection.channel()
    connection.close()


@pytest.fixture
def hospital(tmp_path):
    """Studies 1 to 7; 7 lies in the second archive alone.  The key and the salt of before came along."""
    h = Hospital(tmp_path)
    h.second = h.base / "second"
    for study in range(1, 8):
        h.add_study(study, ask=False, **({"folder": h.second / "st7"} if study == 7 else {}))
    h.state.mkdir(mode=0o700)
    secrets = h.state / "secrets.env"
    secrets.write_text(f"hash--key=the-key-of-before\n{h.project}=its-salt\n")
    secrets.chmod(0o600)
    yield h
    for w in getattr(h, "workers", []):
        end(w)


def rows(database, sql, *args):
    database.execute(sql, args or None)
    return database.fetchall()


def worker(h, **env):
    w = subprocess.Popen(h.command("worker"), env={**h.environment, **env}, cwd=h.base, stdout=subprocess.DEVNULL,
                         stderr=open(h.base / "worker.log", "ab"))
    h.workers = getattr(h, "workers", []) + [w]
    return w


def publish(channel, queue, message, arguments, priority=None):
    """As its producer does: durable, persistent, no confirm."""
    channel.queue_declare(queue, durable=True, arguments=arguments)
    body = jsonpickle.encode(message, make_refs=True)
    assert body.startswith('{"py/object": "core.patient_queue.message.Message", "mrn": ')
    channel.basic_publish("", queue, body.encode(), pika.BasicProperties(delivery_mode=2, priority=priority))


def ready(channel, queue):
    return channel.queue_declare(queue, passive=True).method.message_count


def check_nothing_was_said(h):
    text = (h.base / "worker.log").read_text()
    assert MARK not in text and ROOT not in text


def python_hash(text, local_salt):
    """What its hasher gives, by the key and the salt of the fixture `hospital`."""
    return hashlib.blake2b(text.encode() + b"its-salt" + local_salt.encode(), key=b"the-key-of-before", digest_size=32).hexdigest()


def patients(h):
    """PatientIDs that were sent."""
    out = set()
    for z in h.zips():
        with zipfile.ZipFile(z) as opened:
            out |= {pydicom.dcmread(io.BytesIO(opened.read(name))).PatientID for name in opened.namelist()}
    return out


def check_once(h, database, numbers):
    """Just these were sent, each once, whole."""
    names = dict(rows(database, "SELECT mrn, pseudo_study_uid FROM pixl_pipeline.image"))
    assert sorted(z.stem for z in h.zips()) == sorted(names[h.mrn(n)] for n in numbers)
    for z in h.zips():
        with zipfile.ZipFile(z) as opened:
            assert opened.testzip() is None and len(opened.namelist()) == 2
    assert rows(database, "SELECT count(*), count(DISTINCT image_id) FROM pixl_pipeline.image_event"
                          " WHERE from_state = 'delivering' AND to_state = 'exported'") == [(len(numbers), len(numbers))]


def check_as_python_reads(h, database, studies, uids):
    """Its queries: of the linker table, of a study that may be exported, of a populate that filters."""
    read = rows(database, "SELECT i.accession_number, i.mrn, i.study_uid, i.pseudo_study_uid, i.exported_at, i.study_date, i.pseudo_patient_id"
                          " FROM pixl_pipeline.image i JOIN pixl_pipeline.extract e USING (extract_id) WHERE e.slug = %s", h.project)
    assert sorted((a, m, u) for a, m, u, *_ in read) == sorted(
        (h.accession(s), h.mrn(s), f"{ROOT}.{s}" if uids(s) else None) for s in studies)      # one row for each triple
    pseudo = [r[3] for r in read]
    assert None not in pseudo and len(set(pseudo)) == len(pseudo)                           # "exactly one" finds one
    assert all(isinstance(r[4], dt.datetime) and r[4].tzinfo is not None and r[5] == DAY for r in read)
    assert rows(database, "SELECT count(DISTINCT extract_id) FROM pixl_pipeline.image") == [(1,)]
    # Its own populate, which inserts what it does not find, still can.
    database.execute("INSERT INTO pixl_pipeline.image (accession_number, study_date, mrn, study_uid, extract_id, pseudo_patient_id)"
                     " SELECT 'A', %s, 'M', '1.2', extract_id, NULL FROM pixl_pipeline.extract", (DAY,))


def test_from_its_newest_version(database, channel, hospital, broker, named):
    h = hospital
    database.execute(PYTHON_TABLES)
    database.execute("INSERT INTO pixl_pipeline.extract (slug) VALUES (%s)", (h.project,))
    before = "2024-01-01 00:00+00"
    for study, pseudo, at in ((1, "1.2.826.0.1.3680043.8.498.1", before), (2, "1.2.826.0.1.3680043.8.498.2", before),
                              (3, "1.2.826.0.1.3680043.8.498.3", None), (4, None, None), (5, None, None), (7, None, None)):
        database.execute("INSERT INTO pixl_pipeline.image (accession_number, study_date, mrn, study_uid, pseudo_study_uid, exported_at,"
                         " extract_id) VALUES (%s, %s, %s, %s, %s, %s, 1)", (h.accession(study), DAY, h.mrn(study), f"{ROOT}.{study}", pseudo, at))
    database.execute("INSERT INTO pixl_pipeline.extract (slug) VALUES (%s)", (h.project,))        # two populates at once
    database.execute("UPDATE pixl_pipeline.image SET extract_id = 2 WHERE mrn IN (%s, %s)", (h.mrn(1), h.mrn(4)))
    make = named(NEWEST)
    for queue, study in (("imaging-primary", 2), ("imaging-primary", 3), ("imaging-primary", 4), ("imaging-primary", 6),
                         ("imaging-primary", 4), ("imaging-secondary", 7)):        # 2 is done, 4 stands there twice
        publish(channel, queue, make(h.mrn(study), h.accession(study), f"{ROOT}.{study}", "", DAY, 1000 + study, h.project, TIME),
                {"x-max-priority": 5}, priority=1)
    database.execute("UPDATE pixl_pipeline.image SET pseudo_patient_id = 'PARTICIPANT-3' WHERE mrn = %s", (h.mrn(3),))
    env = {"PIXL_STORE_URL": URL, "PIXL_QUEUE_URL": broker.url, "PIXL_QUEUE_NAME": "imaging-primary", "LOCAL_SALT_VALUE": "local",
           "PIXL_SECONDARY_ARCHIVE_URL": f"directory:{h.second}", "PIXL_SECONDARY_WINDOWS": ALWAYS}
    for study in (1, 2, 3, 4, 5, 7):                              # the cohort of before, 6 was never committed
        h.ask(study)
    h.write_csv()
    w = worker(h, **env)
    until(lambda: rows(database, "SELECT mrn FROM pixl_pipeline.image WHERE exported_at IS NULL") == [(h.mrn(5),)])
    told = h.pixl("populate", h.csv, **env)                      # the row without a message
    assert MARK not in told.stdout + told.stderr
    until(lambda: rows(database, "SELECT count(*) FROM pixl_pipeline.image WHERE exported_at IS NOT NULL") == [(7,)])
    until(lambda: ready(channel, "imaging-primary") + ready(channel, "imaging-secondary") == 0)
    assert end(w) == 0
    check_once(h, database, (3, 4, 5, 6, 7))
    assert "1.2.826.0.1.3680043.8.498.3" in {z.stem for z in h.zips()}          # the name that it had been given
    assert patients(h) == {"PARTICIPANT-3", *(python_hash(h.mrn(s), "local") for s in (4, 5, 6, 7))}
    assert rows(database, "SELECT exported_at = %s FROM pixl_pipeline.image WHERE mrn IN (%s, %s)", before, h.mrn(1), h.mrn(2)) == [(True,)] * 2
    assert rows(database, "SELECT version_num FROM pixl_pipeline.alembic_version") == [("d947cc715eb1",)]
    check_as_python_reads(h, database, range(1, 8), lambda s: True)
    check_nothing_was_said(h)


def test_from_its_first_version(database, channel, hospital, broker, named):
    h = hospital
    database.execute(FIRST_TABLES)
    database.execute("INSERT INTO pipeline.extract (slug) VALUES (%s)", (h.project,))
    for study, name, at in ((1, "a" * 64, "2024-01-01 00:00+00"), (2, "b" * 64, "2024-01-01 00:00+00"), (3, "c" * 64, None), (4, None, None),
                            (5, None, None)):
        database.execute("INSERT INTO pipeline.image (accession_number, study_date, mrn, hashed_identifier, exported_at, extract_id)"
                         " VALUES (%s, %s, %s, %s, %s, 1)", (h.accession(study), DAY, h.mrn(study), name, at))
    kept = rows(database, "SELECT * FROM pipeline.image ORDER BY image_id")
    make = named(FIRST)
    for study in (2, 3, 4, 6):
        publish(channel, "imaging", make(h.mrn(study), h.accession(study), DAY, str(1000 + study), h.project, TIME), None)
    env = {"PIXL_STORE_URL": URL, "PIXL_QUEUE_URL": broker.url, "PIXL_QUEUE_NAME": "imaging"}
    # First what lies in the queue: the row without a message is not lost, and not touched.
    w = worker(h, **env)
    until(lambda: rows(database, "SELECT count(*) FROM information_schema.columns WHERE table_schema = 'pixl_pipeline'"
                                 " AND table_name = 'image' AND column_name = 'state'") == [(1,)])
    until(lambda: rows(database, "SELECT count(*) FROM pixl_pipeline.image WHERE exported_at IS NOT NULL") == [(5,)])
    assert rows(database, "SELECT mrn, state FROM pixl_pipeline.image WHERE exported_at IS NULL") == [(h.mrn(5), "adopted")]
    assert "there before pixl" in h.pixl("status", **env).stdout
    # Then its cohort, in the form of that time.
    with open(h.csv, "w", newline="") as f:
        out = csv.writer(f)
        out.writerow(["procedure_id", "mrn", "accession_number", "project_name", "extract_generated_timestamp", "study_date"])
        for study in range(1, 6):
            out.writerow([1000 + study, h.mrn(study), h.accession(study), h.project, "07/12/2023 14:08", "23/05/2020 00:00"])
    h.pixl("populate", h.csv, **env)
    until(lambda: rows(database, "SELECT count(*) FROM pixl_pipeline.image WHERE exported_at IS NOT NULL") == [(6,)])
    until(lambda: ready(channel, "imaging") == 0)
    assert end(w) == 0
    check_once(h, database, (3, 4, 5, 6))
    assert patients(h) == {python_hash(h.mrn(s), "") for s in (3, 4, 5, 6)}     # of the record number alone by now
    names = dict(rows(database, "SELECT mrn, pseudo_study_uid FROM pixl_pipeline.image"))
    assert names[h.mrn(1)] == "a" * 64 and names[h.mrn(3)].startswith("2.25.")   # a hash names no study in DICOM
    check_as_python_reads(h, database, range(1, 7), lambda s: False)
    assert rows(database, "SELECT * FROM pipeline.image ORDER BY image_id") == kept
    check_nothing_was_said(h)
