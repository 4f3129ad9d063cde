"""The services with their store on a PostgreSQL server."""
import os

import psycopg2
from hospital import ROOT, canaries
from test_adopt import PASSWORD, PATH, Orthanc, Site, detail, pseudo, read
from test_postgres import INSERT, PYTHON_TABLES
from test_services import hospital, serve, whole_run  # noqa: F401

SERVER = os.environ["TEST_POSTGRES"]


def test_a_whole_service_run(hospital, serve):  # noqa: F811
    connection = psycopg2.connect(f"host={SERVER}/sock user=pixl dbname=postgres")
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("DROP SCHEMA IF EXISTS pixl_pipeline CASCADE")
    whole_run(hospital, serve, PIXL_STORE_URL=f"postgresql:///postgres?host={SERVER}/sock&user=pixl")
    with connection.cursor() as cursor:
        cursor.execute("SELECT state, count(*) FROM pixl_pipeline.image GROUP BY 1 ORDER BY 1")
        assert cursor.fetchall() == [("exported", 6), ("missing", 1)]
        cursor.execute("SELECT name, rate_per_s FROM pixl_pipeline.bucket")
        assert cursor.fetchall() == [("primary", 50)]


def test_reports_of_the_ehr_system(hospital, serve):  # noqa: F811
    h = hospital
    url = f"postgresql:///postgres?host={SERVER}/sock&user=pixl"
    connection = psycopg2.connect(f"host={SERVER}/sock user=pixl dbname=postgres")
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("DROP SCHEMA IF EXISTS pixl_pipeline CASCADE")
        cursor.execute("CREATE SCHEMA emap_data")
        cursor.execute("CREATE TABLE emap_data.ehr_anon (image_identifier text, procedure_occurrence_id integer, xray_report text,"
                       " project_name text, extract_datetime timestamptz)")
        cursor.executemany("INSERT INTO emap_data.ehr_anon VALUES (%s, %s, %s, %s, %s)", [
            ("abc", 1001, "The lungs are clear.", "test-project", "2023-12-07T14:08:58+00:00"),
            ("abd", 1002, f"As seen for {h.mrn(2)} before.", "test-project", "2023-12-07T14:08:58+00:00"),
            ("abe", 1003, "Never asked for.", "test-project", "2023-12-07T14:08:58+00:00"),
            ("abf", 1001, "Of another project.", "other-project", "2023-12-07T14:08:58+00:00")])
    try:
        h.add_study(1)
        h.add_study(2)
        h.write_csv()
        h.pixl("run", h.csv, PIXL_STORE_URL=url, ok=(0, 1))
        tables = sorted(p.name for p in h.haven.glob("test-project/*/parquet/radiology/*"))
        assert tables == ["IMAGE_LINKER.parquet", "OUTCOMES.parquet", "radiology.parquet"]
        text = next(h.haven.glob("test-project/*/parquet/radiology/radiology.parquet")).read_bytes()
        assert b"The lungs are clear." in text and b"another project" not in text and b"As seen for" not in text
        assert not canaries(h.haven)
        # What the system takes back goes from the destination too.
        with connection.cursor() as cursor:
            cursor.execute("UPDATE emap_data.ehr_anon SET xray_report = NULL WHERE procedure_occurrence_id = 1001")
        export = serve("export-api", PIXL_STORE_URL=url)
        body = {"project_name": "test-project", "extract_datetime": "2023-12-07T14:08:58Z"}
        assert export.ask("POST", "/export-patient-data", body) == (200, "null")
        assert not list(h.haven.glob("test-project/*/parquet/radiology/radiology.parquet"))
        assert "withheld=1" in export.log.read_text() and "never_asked=1" in export.log.read_text()
        # A table that cannot be read is told, and nothing is sent without it.
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE emap_data.ehr_anon DROP COLUMN xray_report")
        assert export.ask("POST", "/export-patient-data", body)[0] in (400, 500)
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP SCHEMA emap_data CASCADE")


def test_what_the_python_system_anonymises_beside_us(tmp_path):
    """Its rows, its random UIDs and its pseudonyms, in its tables and in its Orthanc; pixl delivers, and it sees that."""
    connection = psycopg2.connect(f"host={SERVER}/sock user=pixl dbname=postgres")
    connection.autocommit = True
    with connection.cursor() as cursor, Orthanc("anon", password=PASSWORD) as anon:
        cursor.execute("DROP SCHEMA IF EXISTS pixl_pipeline CASCADE")
        cursor.execute(PYTHON_TABLES)
        cursor.execute("INSERT INTO pixl_pipeline.extract (slug) VALUES ('test-project'), ('another-project')")
        h = Site(tmp_path, anon)
        h.more["PIXL_STORE_URL"] = f"postgresql:///postgres?host={SERVER}/sock&user=pixl"
        h.state.mkdir(mode=0o700)
        (h.state / "secrets.env").write_text("hash--key=the-key-of-before\ntest-project=its-salt\n")
        (h.state / "secrets.env").chmod(0o600)

        def insert(study, extract=1, patient="f00d" * 16, exported=None):
            cursor.execute(INSERT, (h.accession(study), "2020-05-23", h.mrn(study), None if study == 2 else f"{ROOT}.{study}",
                                    pseudo(study), exported, extract, patient))

        def state(study):
            cursor.execute("SELECT state, reason, exported_at IS NOT NULL FROM pixl_pipeline.image WHERE mrn = %s", (h.mrn(study),))
            return cursor.fetchall()
        insert(1)
        s = h.serve()
        for study in (2, 3, 4, 5, 6):                    # while pixl is there
            insert(study, extract=2 if study == 5 else 1, exported="2024-01-01 00:00+00" if study == 4 else None)
        insert(6)
        insert(7, patient="beef" * 16)
        ids = {study: h.put(study) for study in range(1, 8)}
        for study in (1, 2, 3):
            assert s.ask("POST", PATH, {"study_id": ids[study], "project_name": "test-project"}) == (200, "null")
            assert state(study) == [("exported", "", True)]
        assert s.ask("POST", PATH, {"study_id": ids[4], "project_name": "test-project"}) == (409, '{"detail":"Image already exported"}')
        assert s.ask("POST", PATH, {"study_id": ids[5], "project_name": "test-project"})[0] == 404
        answer = s.ask("POST", PATH, {"study_id": ids[6], "project_name": "test-project"})
        assert answer[0] == 500 and "2 rows" in detail(answer)
        assert s.ask("POST", PATH, {"study_id": ids[7], "project_name": "test-project"})[0] == 500
        assert state(5) == [("adopted", "", False)] and state(6) == [("adopted", "", False)] * 2
        assert state(7) == [("failed", "identity-mismatch", False)]
        assert [(z.stem, len(read(z))) for z in h.zips()] == [(pseudo(n), 2) for n in (1, 2, 3)]
        cursor.execute("SELECT to_state FROM pixl_pipeline.image_event e JOIN pixl_pipeline.image i USING (image_id)"
                       " WHERE i.mrn = %s ORDER BY event_no", (h.mrn(2),))
        assert [r[0] for r in cursor.fetchall()] == ["adopted", "queued", "retrieving", "deidentified", "delivering", "exported"]
        assert s.stop() == 0
        h.check_quiet()
    connection.close()
