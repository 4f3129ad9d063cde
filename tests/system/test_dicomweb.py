"""Delivery to a DICOMweb server through Orthanc anon: two real Orthancs, the second one with the server's login and address in the secrets."""
import io
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import pydicom
import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from dicomweb import Orthanc  # noqa: E402
from hospital import Hospital, canaries  # noqa: E402
from services import states  # noqa: E402

LOGINS = (b"CANARYFARPASSWORD", b"CANARYANONPASSWORD")


@pytest.fixture()
def pair():
    with Orthanc("anon", password="CANARYANONPASSWORD\u00e9") as anon, \
            Orthanc("far", user="far user", password='CANARYFARPASSWORD "\\\u00fc') as far:
        yield anon, far


class Site(Hospital):
    def __init__(self, base, anon, far, project="test-project"):
        super().__init__(base, project)
        self.anon, self.far, self.more = anon, far, {}
        self.state.mkdir(mode=0o700, exist_ok=True)
        self.write_project()
        self.set_secrets(far.web, far.user, far.password)

    def write_project(self, destination="dicomweb", **how):
        super().write_project(destination, parquet="none", **how)

    def set_secrets(self, url, user, password, prefix=None):
        """Leaves key and salts as they are."""
        path, p = self.state / "secrets.env", prefix or self.project
        kept = [x for x in path.read_text().splitlines() if not x.startswith(f"{p}--dicomweb")] if path.exists() else []
        path.write_text("\n".join([*kept, f"{p}--dicomweb--url={url}", f"{p}--dicomweb--username={user}",
                                   f"{p}--dicomweb--password={password}", ""]))
        path.chmod(0o600)

    @property
    def environment(self):
        return {**super().environment, "ORTHANC_ANON_URL": self.anon.url, "ORTHANC_ANON_USERNAME": self.anon.user,
                "ORTHANC_ANON_PASSWORD": self.anon.password, "PIXL_PATIENCE_S": "1", **self.more}

    def run(self, ok=(0,), **how):
        self.write_csv()
        return self.pixl("run", self.csv, ok=ok, **how)

    def check_quiet(self):
        """Nobody wrote an identity or a password but where they belong."""
        secrets = self.state / "secrets.env"
        text = secrets.read_text()
        secrets.unlink()
        assert not canaries(self.state, LOGINS) and not canaries(self.exports)
        secrets.write_text(text)
        secrets.chmod(0o600)
        for o in (self.anon, self.far):
            assert b"canary" not in (o.folder / "log").read_bytes().lower()


def silent(r):
    assert "CANARY" not in r.stdout + r.stderr and "1.2.826.0.1.3680043.10.4242" not in r.stdout + r.stderr
    return r


def study_of(far):
    return sorted({i["0020000D"]["Value"][0] for i in far.get("/dicom-web/studies")})


def test_studies_arrive_whole_and_orthanc_is_left_tidy(pair, tmp_path):
    anon, far = pair
    s = Site(tmp_path, anon, far)
    s.add_study(1, series=2, instances=3)
    s.add_study(2, instances=4, modality="DX")
    silent(s.run())
    there = far.instances()
    assert len(there) == 10 and len(study_of(far)) == 2 and not anon.get("/instances")
    for uid, data in there.items():
        d = pydicom.dcmread(io.BytesIO(data))
        assert d.SOPInstanceUID == uid and uid.startswith("2.25.") and b"CANARY" not in data
    s.check_quiet()
    silent(s.run())                                    # again: nothing is done twice
    assert far.instances() == there


def test_a_study_of_300_instances(pair, tmp_path):
    anon, far = pair
    s = Site(tmp_path, anon, far)
    s.add_study(1, instances=300, side=16)
    silent(s.run())
    assert len(far.instances()) == 300 and not anon.get("/studies")


@pytest.mark.parametrize("destination, state", [("directory", "exported"), ("none", "kept")])
def test_what_goes_elsewhere_may_be_looked_at_in_orthanc(pair, tmp_path, destination, state):
    site = Site(tmp_path, *pair)
    site.write_project(destination)
    site.more = {"PIXL_ANON_VIEW": "1"}
    for study in (1, 2):
        site.add_study(study, series=2, instances=2)
    r = site.run()
    assert states(site) == {state: 2} and len(site.anon.get("/instances")) == 8 and site.far.get("/instances") == []
    uids = {s["MainDicomTags"]["StudyInstanceUID"] for s in site.anon.get("/studies?expand")}
    spooled = {z.stem for z in (site.haven if destination == "directory" else site.state / "spool").rglob("*.zip")}
    assert len(uids) == 2 and uids == spooled and "anon.not_shown" not in r.stderr
    # To look is not to deliver: one that hangs holds up the first two, and no others.
    for study in range(3, 9):
        site.add_study(study)
    site.anon.process.send_signal(signal.SIGSTOP)
    try:
        r = site.run(PIXL_DICOMWEB_TIMEOUT_S="10")
    finally:
        site.anon.process.send_signal(signal.SIGCONT)
    assert states(site) == {state: 8} and r.stderr.count("anon.not_shown") == 6
    assert r.stderr.count("out of order a moment ago") >= 3
    silent(r)


def test_what_is_kept_stays_in_orthanc(pair, tmp_path):
    anon, far = pair
    s = Site(tmp_path, anon, far)
    s.more["PIXL_ANON_KEEP"] = "1"
    s.add_study(1)
    s.run()
    assert len(anon.instances()) == 2 and anon.instances() == far.instances()


def spooled(s):
    return sorted((s.state / "spool").rglob("*.zip"))


@pytest.mark.parametrize("what, url, user, password, says", [
    ("password", None, None, "wrong CANARYFARPASSWORD", "refuses the login (HTTP 401): look at secrets test-project--dicomweb--username"),
    ("user", None, "nobody", None, "refuses the login (HTTP 401)"),
    ("path", "/nowhere", None, None, "no DICOMweb server answers there (HTTP 404): look at secret test-project--dicomweb--url"),
    ("page", "/app/explorer.html?", None, None, "test-project--dicomweb--url"),
    ("port", "http://127.0.0.1:1/dicom-web", None, None, "cannot be reached (the connection was refused or the host is not reached)"),
    ("host", "http://no-such-host.invalid/dicom-web", None, None, "cannot be reached (the host name is not known)"),
])
def test_a_wrong_server_or_login_says_what_to_mend(pair, tmp_path, what, url, user, password, says):
    anon, far = pair
    s = Site(tmp_path, anon, far)
    s.add_study(1)
    url = far.web if url is None else far.url + url if url.startswith("/") else url
    s.set_secrets(url, user or far.user, password or far.password)
    r = silent(s.run(ok=(1, 2, 75), timeout=120))
    assert says in r.stderr, r.stderr
    assert not far.instances() and not anon.instances()
    if r.returncode == 75:                             # it was no fault of the study: mended, it goes on without the archive
        assert len(spooled(s)) == 1
    s.set_secrets(far.web, far.user, far.password)
    silent(s.run())
    assert len(far.instances()) == 2
    s.check_quiet()


def test_orthanc_anon_with_another_login_or_none_there(pair, tmp_path):
    anon, far = pair
    s = Site(tmp_path, anon, far)
    s.add_study(1)
    for more, says in (({"ORTHANC_ANON_PASSWORD": "wrong"}, "refuses ORTHANC_ANON_USERNAME and ORTHANC_ANON_PASSWORD"),
                       ({"ORTHANC_ANON_URL": "http://127.0.0.1:1"}, "Orthanc anon: http://127.0.0.1:1"),
                       ({"ORTHANC_ANON_URL": anon.url + "/app"}, "ORTHANC_ANON_URL is no Orthanc")):
        s.more = more
        assert says in silent(s.run(ok=(75,), timeout=120)).stderr
    s.more = {"ORTHANC_ANON_URL": ""}
    assert "ORTHANC_ANON_URL is not set" in silent(s.run(ok=(1, 2, 75), timeout=120)).stderr
    s.more = {}
    s.run()
    assert len(far.instances()) == 2


def test_a_login_that_changes_is_taken_up(pair, tmp_path):
    anon, far = pair
    s = Site(tmp_path, anon, far)
    s.add_study(1)
    s.run()
    far.end()
    far.password = "another CANARYFARPASSWORD"
    far.configuration["RegisteredUsers"] = {far.user: far.password}
    far.start()
    s.set_secrets(far.web, far.user, far.password)
    s.add_study(2)
    s.run()
    assert len(far.instances()) == 4


def test_an_orthanc_that_was_restarted_is_told_of_the_server_again(pair, tmp_path):
    anon, far = pair
    s = Site(tmp_path, anon, far)
    s.add_study(1)
    s.run()
    assert anon.get("/dicom-web/servers")
    anon.end()
    anon.start()
    assert not anon.get("/dicom-web/servers")
    s.add_study(2)
    s.run()
    assert len(far.instances()) == 4


def started(s):
    s.write_csv()
    return subprocess.Popen(s.command("run", s.csv), env={**s.environment, "PIXL_PATIENCE_S": "100"}, cwd=s.base, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("which", ["far", "anon"])
def test_a_server_that_goes_and_comes_back_in_mid_run(pair, tmp_path, which):
    anon, far = pair
    s = Site(tmp_path, anon, far)
    for study in range(1, 7):
        s.add_study(study, instances=20)
    run = started(s)
    try:
        end = time.monotonic() + 60
        while len(far.get("/instances")) < 20 and time.monotonic() < end:
            time.sleep(0.02)
        one = far if which == "far" else anon
        one.end(signal.SIGKILL)
        time.sleep(2)
        one.start()
        out, err = run.communicate(timeout=200)
    finally:
        run.kill()
    assert run.returncode == 0, err
    assert "CANARY" not in out + err
    there = far.instances()
    assert len(there) == 120 and not anon.get("/studies")
    assert len(study_of(far)) == 6
    s.check_quiet()


def test_half_a_study_there_is_completed(pair, tmp_path):
    anon, far = pair
    s = Site(tmp_path / "first", anon, far)
    s.add_study(1, instances=10)
    s.run()
    whole = far.instances()
    for i in far.get("/instances?expand"):
        if int(i["MainDicomTags"]["InstanceNumber"]) % 2:
            far.ask("DELETE", f"/instances/{i['ID']}")
    left = far.get("/instances")
    received = {i: far.ask("GET", f"/instances/{i}/metadata/ReceptionDate") for i in left}
    # A store that knows nothing of the first delivery, with its keys.
    again = Site(tmp_path / "second", anon, far)
    (again.state / "secrets.env").write_text((s.state / "secrets.env").read_text())
    again.add_study(1, instances=10)
    time.sleep(1.1)
    silent(again.run())
    assert far.instances() == whole
    assert {i: far.ask("GET", f"/instances/{i}/metadata/ReceptionDate") for i in left} == received     # what was there was not sent again


def test_foreign_instances_of_the_study_are_not_passed_over(pair, tmp_path):
    anon, far = pair
    s = Site(tmp_path / "first", anon, far)
    s.add_study(1, instances=3)
    s.run()
    again = Site(tmp_path / "second", anon, far)
    (again.state / "secrets.env").write_text((s.state / "secrets.env").read_text())
    again.add_study(1, instances=2)                    # the third is gone from the archive
    r = silent(again.run(ok=(1,)))
    assert len(far.instances()) == 3 and not anon.instances()
    assert again.pixl("failed", ok=None).stdout.count("delivery-error") == 1, r.stderr


def test_two_projects_with_two_logins_share_an_orthanc(pair, tmp_path):
    anon, far = pair
    with Orthanc("other", user="second", password="CANARYFARPASSWORD2") as other:
        s = Site(tmp_path, anon, far)
        s.add_study(1)
        second = "second-project"
        text = (s.configs / "test-project.yaml").read_text()
        (s.configs / f"{second}.yaml").write_text(
            text.replace("Test Project", "Second Project").replace("  modalities", "  azure_kv_alias: elsewhere\n  modalities"))
        s.set_secrets(other.web, other.user, other.password, prefix="elsewhere")
        s.rows.append({**s.rows[0], "project_name": second, "procedure_id": 9})
        silent(s.run())
        assert len(far.instances()) == len(other.instances()) == 2
        assert not set(far.instances()) & set(other.instances())
        assert sorted(anon.get("/dicom-web/servers")) == ["elsewhere", "test-project"]
        s.check_quiet()


def states_of_transfers(anon):
    return [j["State"] for j in anon.get("/jobs?expand") if j["Type"] == "DicomWebStowClient"]


def test_a_transfer_that_does_not_end_is_cancelled(pair, tmp_path):
    """A server that accepts connections and says nothing: the deadline ends it, nothing runs on in Orthanc, and later it goes through."""
    anon, far = pair
    s = Site(tmp_path, anon, far)
    s.more["PIXL_DICOMWEB_TIMEOUT_S"] = "10"
    s.add_study(1)
    run = started(s)
    try:
        end = time.monotonic() + 60
        while not anon.get("/instances") and time.monotonic() < end:
            time.sleep(0.005)
        os.kill(far.process.pid, signal.SIGSTOP)       # looked at already, not sent to yet: jobs begin with a pause of half a second
        while "Failure" not in states_of_transfers(anon) and time.monotonic() < end:
            time.sleep(0.1)
        assert "Failure" in states_of_transfers(anon)
        os.kill(far.process.pid, signal.SIGCONT)
        out, err = run.communicate(timeout=200)
    finally:
        os.kill(far.process.pid, signal.SIGCONT)
        run.kill()
    assert run.returncode == 0, err
    assert len(far.instances()) == 2
