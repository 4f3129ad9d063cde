"""docs/operations.md: its commands do what it says, and its tables name what the program says; SECURITY.md and the pages on the
Python system name what there is."""
import json
import os
import pathlib
import re
import shutil
import subprocess
import time

import psycopg2
import pytest
from hospital import PIXL, Hospital

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/operations.md").read_text()
BLOCKS = dict(re.findall(r"<!-- tried: (.*?) -->\n```sh\n(.*?)```\n", PAGE, re.S))


def run_block(h, name, **variables):
    env = {**h.environment, **{k: str(v) for k, v in variables.items()}}
    env["PATH"] = f"{pathlib.Path(PIXL).resolve().parent}:{env['PATH']}"
    r = subprocess.run(["bash", "-euc", BLOCKS[name]], env=env, cwd=h.base, capture_output=True, text=True)
    assert r.returncode == 0, (name, r.stdout, r.stderr)
    return r.stdout


@pytest.fixture
def hospital(tmp_path):
    h = Hospital(tmp_path)
    for study in (1, 2, 3):
        h.add_study(study)
    h.write_csv()
    for folder in ("key-backup", "store-backup"):
        (h.base / folder).mkdir()
    return h


def backups(h):
    return dict(KEY_BACKUP=h.base / "key-backup", STORE_BACKUP=h.base / "store-backup")


def zips(h):
    return {p.name: v for p, v in h.snapshot().items() if p.suffix == ".zip"}


def test_what_was_backed_up_is_restored(hospital):
    h = hospital
    h.pixl("run", h.csv)
    run_block(h, "back up the key", **backups(h))
    run_block(h, "back up the store", **backups(h))
    assert {p.stat().st_mode & 0o777 for p in [*(h.base / "key-backup").iterdir(), *(h.base / "store-backup").iterdir()]} == {0o600}
    # One more is delivered after the backup, and then the machine burns.
    h.add_study(4)
    h.write_csv()
    h.pixl("run", h.csv)
    before = zips(h)
    assert len(before) == 4
    shutil.rmtree(h.state)
    said = run_block(h, "restore", **backups(h))
    assert said.startswith("ok\n") and "agrees with the store" in said and "its key is ours" in said
    h.pixl("run", h.csv)
    assert zips(h) == before, "nothing is delivered twice, and nothing otherwise"
    states = json.loads(h.pixl("status", "--json").stdout)["projects"][0]["states"]
    assert states["exported"] == 4


def test_a_store_is_backed_up_while_services_work(hospital):
    """From a backup that knows of less than was delivered since, and of studies in hand."""
    h = hospital
    h.pixl("populate", h.csv)
    h.pixl("stop")
    worker = subprocess.Popen(h.command("worker"), env=h.environment, cwd=h.base, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while not (h.state / "spool-id").exists():
            assert worker.poll() is None
            time.sleep(0.05)
        run_block(h, "back up the key", **backups(h))
        run_block(h, "back up the store", **backups(h))
        h.pixl("start", "--rate", "2")
        states = {}
        while states.get("exported") != 3:
            assert worker.poll() is None
            states = json.loads(h.pixl("status", "--json").stdout)["projects"][0]["states"]
            if states.get("exported", 0) == 0:
                run_block(h, "back up the store", **backups(h))
        assert worker.poll() is None
    finally:
        worker.kill()
        worker.wait()
    before = zips(h)
    shutil.rmtree(h.state)
    assert run_block(h, "restore", **backups(h)).startswith("ok\n")
    h.pixl("run")
    assert zips(h) == before and len(before) == 3


def test_what_waited_in_a_lost_spool_begins_anew(hospital):
    h = hospital
    h.haven.rename(h.base / "unmounted")
    h.pixl("run", h.csv, "--patience", "1", ok=(75,))
    assert json.loads(h.pixl("status", "--json").stdout)["projects"][0]["states"]["deidentified"] == 3
    run_block(h, "back up the key", **backups(h))
    run_block(h, "back up the store", **backups(h))
    shutil.rmtree(h.state)
    (h.base / "unmounted").rename(h.haven)
    run_block(h, "restore", **backups(h))
    h.pixl("run")
    assert len(zips(h)) == 3


def test_without_the_store_the_key_is_enough(hospital):
    h = hospital
    h.pixl("run", h.csv)
    run_block(h, "back up the key", **backups(h))
    before = zips(h)
    shutil.rmtree(h.state)
    h.state.mkdir(mode=0o700)
    shutil.copy2(h.base / "key-backup/secrets.env", h.state)
    h.pixl("run", h.csv)
    assert zips(h) == before


def test_the_state_moves(hospital):
    h = hospital
    h.pixl("run", h.csv)
    said = run_block(h, "move the state", NEW_STATE_DIR=h.base / "new-state")
    assert "agrees with the store" in said and h.state.stat().st_mode & 0o777 == 0
    h.state.chmod(0o700)
    shutil.rmtree(h.state)
    h.state = h.base / "new-state"
    before = zips(h)
    h.pixl("run", h.csv)
    assert zips(h) == before


def test_a_project_ends_with_its_state(hospital):
    h = hospital
    h.pixl("run", h.csv)
    run_block(h, "end a project")
    assert list(h.state.iterdir()) == []


def test_a_database_is_backed_up_and_restored(hospital):
    h = hospital
    socket = f"{os.environ['TEST_POSTGRES']}/sock"
    url = f"postgresql:///postgres?host={socket}&user=pixl"
    database = psycopg2.connect(f"host={socket} user=pixl dbname=postgres")
    database.autocommit = True
    with database.cursor() as c:
        c.execute("DROP SCHEMA IF EXISTS pixl_pipeline CASCADE")
        h.pixl("run", h.csv, PIXL_STORE_URL=url)
        before, delivered = h.pixl("status", "--json", PIXL_STORE_URL=url).stdout, zips(h)
        run_block(h, "back up the key", **backups(h))
        run_block(h, "back up PostgreSQL", PIXL_STORE_URL=url, **backups(h))
        c.execute("DROP SCHEMA pixl_pipeline CASCADE")
        shutil.rmtree(h.state)
        said = run_block(h, "restore PostgreSQL", PIXL_STORE_URL=url, **backups(h))
        assert "agrees with the store" in said and "its key is ours" in said
        assert h.pixl("status", "--json", PIXL_STORE_URL=url).stdout == before
        h.pixl("run", h.csv, PIXL_STORE_URL=url)
        assert zips(h) == delivered
    database.close()


def test_every_block_is_tried():
    source = pathlib.Path(__file__).read_text()
    assert len(BLOCKS) == 7 and all(f'"{name}"' in source for name in BLOCKS)


def rows(heading):
    part = PAGE.split(f"### {heading}\n")[1].split("\n#")[0]
    return [[c.strip() for c in line.split("|")[1:-1]] for line in part.splitlines() if line.startswith("|")][2:]


def test_every_event_is_explained():
    logged = set()
    for path in (ROOT / "src").rglob("*.c"):
        if path.name != "log.c":
            for call in re.findall(r"log_event\((.*?);", path.read_text(), re.S):
                logged |= set(re.findall(r'"([a-z]+\.[a-z_]+)"', call))
    told = rows("Events")
    assert len(logged) > 15 and {name for cell, _, _ in told for name in re.findall(r"`(.*?)`", cell)} == logged
    assert all(means and then for _, means, then in told)


def test_every_metric_is_explained():
    source = (ROOT / "src/pipeline/metrics.c").read_text()
    written = set(re.findall(r'head\(out, "(\w+)"', source))
    assert len(written) > 8 and {name for cell, _, _ in rows("Metrics") for name in re.findall(r"`(.*?)`", cell)} == written


def test_every_exit_code_is_explained():
    source = (ROOT / "src/cli/cli.h").read_text()
    codes = re.findall(r"^    CLI_\w+ += (\d+),", source, re.M)
    assert [code for code, _, _ in rows("Exit codes")] == codes


def test_what_security_names_is_there():
    page = (ROOT / "SECURITY.md").read_text()
    named = set(re.findall(r"`([a-zA-Z_./-]+)`", page))
    paths = {n for n in named if n.startswith(("src/", "tests/", "packaging/"))}
    assert len(paths) >= 15 and not [p for p in paths if not (ROOT / p).exists()]
    tests = {n for n in named if n.startswith("test_")}
    source = "".join(p.read_text() for p in (ROOT / "tests").rglob("test_*") if p.suffix in (".c", ".py"))
    defined = set(re.findall(r"(?:void|def) (test_\w+)\(", source))
    assert len(tests) >= 15 and tests <= defined, tests - defined


def test_every_weakness_names_a_file_and_a_test_that_are_there():
    page = (ROOT / "docs/reference-weaknesses.md").read_text()
    lines = re.findall(r"^\| (W\d\d) \|(.*)\|(.*)\|(.*)\|$", page, re.M)
    assert [number for number, *_ in lines] == [f"W{n:02}" for n in range(1, 49)]
    for number, _, here, shown in lines:
        for path in re.findall(r"`((?:src|policies)/[a-z0-9_/.]*)`", here + shown):
            assert (ROOT / path).exists(), (number, path)
        tests = re.findall(r"`([a-z_/]+\.(?:c|py))::(\w+)`", shown)
        assert tests or "*not covered*" in shown, number
        for file, name in tests:
            source = (ROOT / "tests" / file).read_text()
            if file.endswith(".py"):
                assert re.search(rf"^def {name}\(", source, re.M), (number, file, name)
            else:                                                 # defined, and among those that run
                assert re.search(rf"^static void {name}\(", source, re.M) and re.search(rf"TEST\w*\({name}\b", source), (number, file, name)


# Every variable that the Python system knows, in either of its eras.
PYTHON_VARIABLES = """
ENV DEBUG LOG_LEVEL TZ PROJECT_CONFIGS_DIR RABBITMQ_HOST RABBITMQ_PORT RABBITMQ_USERNAME RABBITMQ_PASSWORD RABBITMQ_ADMIN_PORT
PIXL_MAX_MESSAGES_IN_FLIGHT PIXL_QUERY_TIMEOUT PIXL_DICOM_TRANSFER_TIMEOUT CLI_RETRY_SECONDS PIXL_IMAGING_API_HOST PIXL_IMAGING_API_PORT
PIXL_IMAGING_API_RATE PIXL_EXPORT_API_HOST PIXL_EXPORT_API_PORT PIXL_EXPORT_API_RATE PIXL_DB_HOST PIXL_DB_PORT PIXL_DB_NAME PIXL_DB_USER
PIXL_DB_PASSWORD POSTGRES_HOST POSTGRES_PORT CLI_PIXL_DB_HOST CLI_PIXL_DB_PORT ORTHANC_RAW_DB_* SKIP_ALEMBIC ORTHANC_RAW_URL
ORTHANC_RAW_USERNAME ORTHANC_RAW_PASSWORD ORTHANC_RAW_AE_TITLE ORTHANC_AUTOROUTE_RAW_TO_ANON ORTHANC_RAW_MAXIMUM_STORAGE_SIZE
ORTHANC_RAW_JOB_HISTORY_SIZE ORTHANC_RAW_CONCURRENT_JOBS ORTHANC_CONCURRENT_JOBS ORTHANC_RAW_RECORD_HEADERS ORTHANC_RAW_HEADER_LOG_PATH
ORTHANC_ANON_URL ORTHANC_ANON_USERNAME ORTHANC_ANON_PASSWORD ORTHANC_ANON_AE_TITLE ORTHANC_AUTOROUTE_ANON_TO_ENDPOINT
ORTHANC_ANON_HTTP_TIMEOUT HTTP_TIMEOUT ORTHANC_USERNAME ORTHANC_PASSWORD ORTHANC_NAME ENABLE_DICOM_WEB VNAQR_AE_TITLE VNAQR_DICOM_PORT
VNAQR_IP_ADDR VNAQR_MODALITY PRIMARY_DICOM_SOURCE_AE_TITLE PRIMARY_DICOM_SOURCE_PORT PRIMARY_DICOM_SOURCE_IP_ADDR
PRIMARY_DICOM_SOURCE_MODALITY SECONDARY_DICOM_SOURCE_AE_TITLE SECONDARY_DICOM_SOURCE_PORT SECONDARY_DICOM_SOURCE_IP_ADDR
SECONDARY_DICOM_SOURCE_MODALITY HASHER_API_AZ_NAME HASHER_API_PORT AZURE_CLIENT_ID AZURE_CLIENT_SECRET AZURE_TENANT_ID
AZURE_KEY_VAULT_NAME AZURE_KEY_VAULT_SECRET_NAME EXPORT_AZ_CLIENT_ID EXPORT_AZ_CLIENT_PASSWORD EXPORT_AZ_TENANT_ID
EXPORT_AZ_KEY_VAULT_NAME HASHER_API_AZ_CLIENT_ID HASHER_API_AZ_CLIENT_PASSWORD HASHER_API_AZ_TENANT_ID HASHER_API_AZ_KEY_VAULT_NAME
HASHER_API_AZ_KEY_VAULT_SECRET_NAME LOCAL_SALT_VALUE SALT_VALUE STUDY_TIME_OFFSET TIME_OFFSET AZ_DICOM_ENDPOINT_TOKEN
AZ_DICOM_ENDPOINT_NAME AZ_DICOM_ENDPOINT_URL AZ_DICOM_ENDPOINT_CLIENT_ID AZ_DICOM_ENDPOINT_CLIENT_SECRET AZ_DICOM_ENDPOINT_TENANT_ID
AZ_DICOM_TOKEN_REFRESH_SECS XNAT_DESTINATION XNAT_OVERWRITE PIXL_ROOT HOST_EXPORT_ROOT_DIR HOST_EXPORT_ROOT_DIR_MOUNT OTEL_SDK_DISABLED
OTEL_EXPORTER_OTLP_ENDPOINT EMAP_UDS_* HTTP_PROXY HTTPS_PROXY LANG LC_ALL PYTHONUNBUFFERED LOG_ROOT_DIR FTP_HOST FTP_PORT FTP_USER_NAME
FTP_USER_PASSWORD""".split()


def settings_of_pixl():
    page = subprocess.run([PIXL, "reference", "settings"], capture_output=True, text=True, check=True).stdout
    return set(re.findall(r"^\| `(\w+)` \|", page, re.M))


def test_every_variable_of_the_python_system_has_its_line():
    page = (ROOT / "docs/from-python-pixl.md").read_text()
    lines = re.findall(r"^\| `([A-Z_*]+)` \| (read|renamed|needless) \|(.*)\|$", page, re.M)
    ours = settings_of_pixl()
    assert sorted(name for name, *_ in lines) == sorted(PYTHON_VARIABLES)
    assert {name for name, what, _ in lines if what == "read"} == {name for name, *_ in lines} & ours
    for name, what, text in lines:
        named = set(re.findall(r"`([A-Z]+_[A-Z_]+)`", text))
        assert what != "renamed" or (named and named <= ours), name
        assert what != "needless" or text.strip(), name


def test_a_dotenv_of_the_python_system_is_taken(tmp_path):
    h = Hospital(tmp_path)
    given = {"LOG_LEVEL": "WARNING", "TZ": "Europe/London", "PROJECT_CONFIGS_DIR": "projects/configs", "DEBUG": "True",
             "ORTHANC_RAW_URL": "http://orthanc-raw:8042"}
    (h.base / ".env").write_text("".join(
        f"{name}={given.get(name, '5' if re.search('PORT|TIMEOUT|RATE|SECONDS|FLIGHT', name) else 'x')}\n"
        for name in PYTHON_VARIABLES if "*" not in name))
    r = h.pixl("config", "show")
    assert re.search(r"^PIXL_DB_NAME +x ", r.stdout, re.M), r.stdout


def test_every_decision_is_listed_and_names_what_is_there():
    folder = ROOT / "docs/decisions"
    listed = re.findall(r"\]\((\d{4}-[a-z-]+\.md)\)", (folder / "README.md").read_text())
    assert listed == sorted(p.name for p in folder.glob("[0-9]*.md")) and len(listed) >= 10
    for name in listed:
        text = (folder / name).read_text()
        assert all(f"**{part}.**" in text for part in ("Context", "Decision", "Rejected", "Price")), name
        for path in re.findall(r"`(src/[a-z0-9_/.]+)`", text):
            assert (ROOT / path).exists(), (name, path)
