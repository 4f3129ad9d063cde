"""pixl with its store on a PostgreSQL server, beside psycopg2 as the client that the Python system uses."""
import json
import os
import pathlib

import psycopg2
import pytest
from hospital import MARK, ROOT, Hospital

SERVER = os.environ["TEST_POSTGRES"]
DSN = f"host={SERVER}/sock user=pixl dbname=postgres"
URL = f"postgresql:///postgres?host={SERVER}/sock&user=pixl&options=-c%20log_statement%3Dall"

PYTHON_TABLES = """
CREATE SCHEMA pixl_pipeline;
CREATE TABLE pixl_pipeline.alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY);
INSERT INTO pixl_pipeline.alembic_version VALUES ('d947cc715eb1');
CREATE TABLE pixl_pipeline.extract (extract_id SERIAL PRIMARY KEY, slug VARCHAR NOT NULL);
CREATE TABLE pixl_pipeline.image (image_id SERIAL PRIMARY KEY, accession_number VARCHAR NOT NULL,
    study_date DATE NOT NULL, mrn VARCHAR NOT NULL, study_uid VARCHAR, pseudo_study_uid VARCHAR,
    exported_at TIMESTAMP WITH TIME ZONE, extract_id INTEGER NOT NULL REFERENCES pixl_pipeline.extract,
    pseudo_patient_id VARCHAR(255));
"""
INSERT = """INSERT INTO pixl_pipeline.image (accession_number, study_date, mrn, study_uid, pseudo_study_uid, exported_at,
    extract_id, pseudo_patient_id) VALUES (%s, %s, %s, %s, %s, %s, %s, %s) RETURNING pixl_pipeline.image.image_id"""


@pytest.fixture
def database():
    connection = psycopg2.connect(DSN)
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("DROP SCHEMA IF EXISTS pixl_pipeline CASCADE")
        yield cursor
    connection.close()


@pytest.fixture
def hospital(tmp_path):
    return Hospital(tmp_path)


def image(h, study, pseudo=None, exported=None, extract=1):
    return (h.accession(study), "2020-05-23", h.mrn(study), f"{ROOT}.{study}", pseudo, exported, extract, None)


def states(database):
    database.execute("SELECT mrn, state FROM pixl_pipeline.image ORDER BY mrn, image_id")
    return [(int(mrn.removeprefix(MARK)), state) for mrn, state in database.fetchall()]


def test_a_whole_extraction(database, hospital):
    h = hospital
    for study in (1, 2, 3):
        h.add_study(study)
    h.ask(4)
    h.write_csv()
    h.pixl("run", h.csv, PIXL_STORE_URL=URL)
    assert states(database) == [(1, "exported"), (2, "exported"), (3, "exported"), (4, "missing")]
    # As the Python system reads it.
    database.execute("SELECT pseudo_study_uid FROM pixl_pipeline.image WHERE exported_at IS NOT NULL"
                     " AND exported_at BETWEEN now() - interval '1 hour' AND now()")
    assert sorted(row[0] for row in database.fetchall()) == sorted(z.stem for z in h.zips())
    before = h.snapshot()
    h.pixl("run", h.csv, PIXL_STORE_URL=URL)
    assert {p: v for p, v in h.snapshot().items() if p.suffix == ".zip"} == {
        p: v for p, v in before.items() if p.suffix == ".zip"}
    assert not (h.state / "pixl.db").exists()


def test_a_server_that_is_away_is_named_once(hospital):
    hospital.state.mkdir(mode=0o700)
    r = hospital.pixl("status", PIXL_STORE_URL="postgresql://pixl:CANARYword@127.0.0.1:1/pixl", ok=(75,))
    assert r.stderr == "pixl status: store: database: connect: the server cannot be reached, or not with the encryption that was asked for\n"


def test_a_check_makes_nothing_in_the_database(database, hospital):
    h = hospital
    h.add_study(1)
    h.write_csv()

    def store(**env):
        told = json.loads(h.pixl("check", "--json", **{"ok": (0, 1, 75), "PIXL_STORE_URL": URL, **env}).stdout)
        return next((line["result"], line["text"]) for line in told["lines"] if line["check"] == "store")

    assert store() == ("ok", "no tables yet: the first run or populate makes them")
    database.execute("SELECT count(*) FROM pg_namespace WHERE nspname = 'pixl_pipeline'")
    assert database.fetchone() == (0,)
    h.pixl("run", h.csv, PIXL_STORE_URL=URL)
    assert store() == ("ok", "opens; 0 studies wait")
    database.execute("UPDATE pixl_pipeline.pixl_version SET version = 999")
    assert store()[0] == "BAD"
    result, text = store(PIXL_STORE_URL=f"postgresql:///none?host={SERVER}/no-sock&user=pixl&password={MARK}")
    assert result == "away" and MARK not in text


def test_what_python_began_is_gone_on_with(database, hospital):
    h = hospital
    for study in (1, 2, 3):
        h.add_study(study)
    h.write_csv()
    h.state.mkdir(mode=0o700)
    secrets = h.state / "secrets.env"                             # pseudonyms were made: the key comes along
    secrets.write_text(f"hash--key=the-key-of-before\n{h.project}=its-salt\n")
    secrets.chmod(0o600)
    database.execute(PYTHON_TABLES)
    database.execute("INSERT INTO pixl_pipeline.extract (slug) VALUES (%s)", (h.project,))
    database.execute(INSERT, image(h, 1, "2.25.111", "2024-01-01 00:00+00"))
    database.execute(INSERT, image(h, 2, "2.25.222"))
    database.execute(INSERT, image(h, 8))                         # nobody asks for it any more
    h.pixl("run", h.csv, PIXL_STORE_URL=URL)
    assert states(database) == [(1, "exported"), (2, "exported"), (3, "exported"), (8, "adopted")]
    assert {z.stem for z in h.zips()} >= {"2.25.222"} and "2.25.111" not in {z.stem for z in h.zips()}
    assert len(h.zips()) == 2
    # It goes on inserting, and exports one by itself.
    database.execute(INSERT, image(h, 9))
    number = database.fetchone()[0]
    database.execute("UPDATE pixl_pipeline.image SET exported_at = now() WHERE image_id = %s", (number,))
    assert states(database)[-1] == (9, "exported")
    database.execute(INSERT, image(h, 8))
    status = h.pixl("status", PIXL_STORE_URL=URL).stdout
    assert "2 studies were there before pixl" in status
    assert f"1 row of the Python system repeats another one and is passed over: image {number + 1}\n" in status


def test_the_server_logs_statements_without_identities(database, hospital):
    h = hospital
    h.add_study(1)
    h.add_study(2, by_uid=False)
    h.write_csv()
    h.pixl("run", h.csv, PIXL_STORE_URL=URL)
    h.pixl("trace", h.accession(1), PIXL_STORE_URL=URL)
    log = pathlib.Path(SERVER, "log").read_text(errors="replace")     # of pixl's statements alone, see URL
    assert "INSERT INTO image (" in log and "UPDATE image SET state" in log
    assert MARK not in log and ROOT not in log
