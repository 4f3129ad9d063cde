"""`pixl run` to an FTPS server: the made-up hospital of `pixl demo` once more, and our small one; read by unzip and pydicom."""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import threading
import time
import zipfile

import pydicom
import pytest
from hospital import MARK, PIXL, ROOT, Hospital, canaries

sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent / "support"))
from ftpd import PASSWORD, FtpServer  # noqa: E402


@pytest.fixture(scope="module")
def server():
    with FtpServer() as f:
        yield f


def tree(root):
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def to_ftps(yaml, server, extra=""):
    """A project file with its destination moved to the server."""
    head = yaml.read_text().split("destination:")[0]
    (yaml.parent / "certificates").mkdir(exist_ok=True)
    shutil.copy(server.certs / "ca.pem", yaml.parent / "certificates")
    yaml.write_text(f"{head}destination:\n  dicom: ftps\n  parquet: ftps\n  ftps:\n    ca_file: ca.pem\n{extra}")


@pytest.fixture
def hospital(tmp_path, server):
    """With its secrets, so far only the login."""
    shutil.rmtree(server.root / "test-project", ignore_errors=True)
    h = Hospital(tmp_path)
    to_ftps(h.configs / f"{h.project}.yaml", server)
    h.state.mkdir(mode=0o700)
    write_secrets(h, server.secrets(h.project))
    return h


def write_secrets(h, text):
    path = h.state / "secrets.env"
    path.write_text(text)
    path.chmod(0o600)


def test_the_demo_arrives_as_in_a_folder(tmp_path, server):
    demo, state = tmp_path / "demo", tmp_path / "state"
    subprocess.run([os.path.abspath(PIXL), "demo", "--dir", demo, "--studies", "12"], check=True, capture_output=True, timeout=600)
    want = tree(demo / "safe-haven")
    state.mkdir(mode=0o700)
    projects = sorted(demo.glob("configs/*.yaml"))
    keys = (demo / "state" / "secrets.env").read_text()
    for yaml in projects:
        to_ftps(yaml, server)
    (state / "secrets.env").write_text(keys + "".join(server.secrets(yaml.stem) for yaml in projects))
    (state / "secrets.env").chmod(0o600)
    env = {**os.environ, "PIXL_STATE_DIR": str(state), "PROJECT_CONFIGS_DIR": str(demo / "configs"),
           "HOST_EXPORT_ROOT_DIR": str(tmp_path / "exports"), "PIXL_ARCHIVE_URL": f"directory:{demo / 'hospital' / 'archive'}",
           "LOG_LEVEL": "debug"}
    said = ""
    for cohort in ("omop-extract", "cohort.csv"):
        r = subprocess.run([os.path.abspath(PIXL), "run", demo / "hospital" / cohort], env=env, cwd=tmp_path, capture_output=True, text=True,
                           timeout=600)
        said += r.stdout + r.stderr
    got = {name: data for name, data in tree(server.root).items() if name.startswith("demo-")}
    assert sorted(got) == sorted(want)
    assert [name for name in want if got[name] != want[name] and not name.endswith(".parquet")] == []
    for name in got:
        assert re.fullmatch(r"[a-z0-9-]+/(\.pixl-key|2\.25\.\d+\.zip|[0-9a-z-]+/parquet/(omop/public/[\w/]+|radiology/\w+)\.parquet)", name), name
    assert sum(name.endswith(".zip") for name in got) >= 6 and sum(name.endswith(".parquet") for name in got) >= 5
    assert PASSWORD not in said and "localhost" not in said and str(server.port) not in said


def test_a_whole_extraction(hospital, server):
    h = hospital
    h.add_study(1, series=2, instances=3)
    h.add_study(2, by_uid=False)
    h.ask(3)                                                      # in no archive
    h.write_csv()
    r = h.pixl("run", h.csv)
    zips = sorted((server.root / h.project).glob("*.zip"))
    assert len(zips) == 2
    for path in zips:
        subprocess.run(["unzip", "-tq", path], check=True, capture_output=True)
        with zipfile.ZipFile(path) as z:
            for name in z.namelist():
                d = pydicom.dcmread(z.open(name))
                assert name == f"{d.StudyInstanceUID}/{d.SeriesInstanceUID}/{d.SOPInstanceUID}.dcm"
                assert d.StudyInstanceUID == path.stem
    (below,) = (server.root / h.project).glob("2023-12-07t14-08-58*/parquet/radiology")
    assert sorted(p.name for p in below.iterdir()) == ["IMAGE_LINKER.parquet", "OUTCOMES.parquet"]
    assert [p for p in server.root.rglob(".*") if p.name != ".pixl-key"] == []

    # Not a trace of a patient or of the login: in what came, in names, in what the server itself has written, in what was said.
    assert canaries(server.root) == [] and canaries(h.exports) == []
    for text in (server.logs(), r.stdout + r.stderr):
        assert MARK not in text and ROOT not in text

    # Again: what is there stays as it is.
    before = {p: p.stat().st_mtime_ns for p in server.root.rglob("*") if p.is_file()}
    h.pixl("run")
    assert {p: p.stat().st_mtime_ns for p in server.root.rglob("*") if p.is_file()} == before


def test_a_lost_store_delivers_nothing_twice(hospital, server):
    h = hospital
    for study in range(1, 5):
        h.add_study(study)
    h.write_csv()
    h.pixl("run", h.csv)
    before = {p: p.stat().st_mtime_ns for p in server.root.rglob("*.zip")}
    secrets = (h.state / "secrets.env").read_text()
    shutil.rmtree(h.state)
    h.state.mkdir(mode=0o700)
    write_secrets(h, secrets)
    h.pixl("run", h.csv)
    assert len(before) >= 4 and {p: p.stat().st_mtime_ns for p in server.root.rglob("*.zip")} == before


def test_a_server_that_goes_away_costs_no_study(hospital, server):
    h = hospital
    for study in range(1, 31):
        h.add_study(study, instances=3)
    h.write_csv()

    def trouble():
        while not list((server.root / h.project).glob("*.zip")):
            time.sleep(0.005)
        server.kill()
        time.sleep(2)
        server.start()

    t = threading.Thread(target=trouble)
    t.start()
    h.pixl("run", h.csv, PIXL_FTPS_TIMEOUT_S="5")
    t.join()
    zips = list((server.root / h.project).glob("*.zip"))
    assert len(zips) == 30 and all(zipfile.ZipFile(z).testzip() is None for z in zips)
    assert [p for p in (server.root / h.project).rglob(".*") if p.name != ".pixl-key"] == []


@pytest.mark.parametrize("line, names", [
    ("password=CANARY-wrong", "test-project--ftp--password"), ("port=1", "cannot be reached"), ("host=127.0.0.3", "")])
def test_a_server_that_refuses_or_is_away_keeps_studies_waiting(hospital, server, line, names):
    h = hospital
    h.add_study(1)
    h.write_csv()
    key = line.split("=")[0]
    write_secrets(h, re.sub(rf"--{key}=.*", lambda m: f"--{line}", server.secrets(h.project)))
    r = h.pixl("run", h.csv, ok=(75,), PIXL_PATIENCE_S="1", PIXL_FTPS_TIMEOUT_S="2")
    assert names in r.stdout + r.stderr and MARK not in r.stdout + r.stderr and "127.0.0.3" not in r.stdout + r.stderr
    keys = [x for x in (h.state / "secrets.env").read_text().splitlines() if "--ftp--" not in x]
    write_secrets(h, "\n".join(keys) + "\n" + server.secrets(h.project))
    h.pixl("run")
    assert len(list((server.root / h.project).glob("*.zip"))) == 1


def test_a_login_that_is_set_right_is_taken_up_by_the_run_that_waits(hospital, server):
    h = hospital
    h.add_study(1)
    h.write_csv()
    write_secrets(h, server.secrets(h.project).replace(PASSWORD, "CANARY-wrong"))
    log = h.base / "run.log"
    with open(log, "w") as f:
        run = subprocess.Popen(h.command("run", h.csv), env={**h.environment, "PIXL_PATIENCE_S": "100"}, cwd=h.base, stdout=f, stderr=f)
    try:
        until = time.monotonic() + 60
        while "test-project--ftp--password" not in log.read_text():
            assert run.poll() is None and time.monotonic() < until, log.read_text()
            time.sleep(0.05)
        keys = [x for x in (h.state / "secrets.env").read_text().splitlines() if "--ftp--" not in x]
        write_secrets(h, "\n".join(keys) + "\n" + server.secrets(h.project))
        assert run.wait(60) == 0, log.read_text()
    finally:
        run.kill()
        run.wait()
    assert len(list((server.root / h.project).glob("*.zip"))) == 1
    assert MARK not in log.read_text()


def test_a_login_that_leads_elsewhere_when_a_run_begins(hospital, server):
    """A disk that is not mounted at the server shows an empty folder."""
    h = hospital
    h.add_study(1)
    h.write_csv()
    h.pixl("run", h.csv)
    before = tree(server.root / h.project)
    (server.root / h.project).rename(server.root / "elsewhere")
    h.add_study(2)
    h.write_csv()
    r = h.pixl("run", h.csv, "--patience", "2", ok=(75,))
    assert "its folder was there and is gone: does the login lead to another place?" in r.stderr
    assert not (server.root / h.project).exists()
    (server.root / h.project).mkdir()
    (server.root / h.project).chmod(0o777)
    r = h.pixl("run", "--patience", "2", ok=(75,))
    assert "its marker .pixl-key was there and is gone: does the login lead to another folder?" in r.stderr
    (server.root / h.project).rmdir()
    (server.root / "elsewhere").rename(server.root / h.project)
    h.pixl("run", h.csv)
    after = tree(server.root / h.project)
    assert len([p for p in after if p.endswith(".zip")]) == 2
    assert {p: b for p, b in after.items() if p in before and p.endswith(".zip")} == {p: b for p, b in before.items() if p.endswith(".zip")}


def test_another_hashing_key_delivers_nothing(hospital, server):
    h = hospital
    h.add_study(1)
    h.write_csv()
    h.pixl("run", h.csv)
    before = tree(server.root)
    shutil.rmtree(h.state)
    h.state.mkdir(mode=0o700)
    write_secrets(h, server.secrets(h.project))
    r = h.pixl("run", h.csv, ok=(1, 2, 75), PIXL_PATIENCE_S="1")
    assert ".pixl-key" in r.stdout + r.stderr and tree(server.root) == before


def test_secrets_that_lack_are_named(hospital, server):
    h = hospital
    h.add_study(1)
    h.write_csv()
    write_secrets(h, re.sub(r".*--host=.*\n", "", server.secrets(h.project)))
    r = h.pixl("run", h.csv, ok=(1, 2, 75), PIXL_PATIENCE_S="1")
    assert "test-project--ftp--host" in r.stdout + r.stderr and MARK not in r.stdout + r.stderr
