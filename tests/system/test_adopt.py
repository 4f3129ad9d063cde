"""`POST /export-dicom-from-orthanc`: what others put into a real Orthanc anon goes to its destination, once, or is refused."""
import concurrent.futures
import contextlib
import io
import json
import pathlib
import re
import shutil
import signal
import sqlite3
import sys
import time
import zipfile

import pydicom
import pytest
from hospital import MARK, ROOT, Hospital, canaries, instance
from test_services import Service, wait_for

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from cables import Cable  # noqa: E402
from dicomweb import Orthanc  # noqa: E402
from ftpd import FtpServer  # noqa: E402

PATH = "/export-dicom-from-orthanc"
PASSWORD = "CANARYANONPASSWORD"
TAG_OF = "test project"              # a name, of which the slug is the project's


@pytest.fixture(scope="module")
def orthanc():
    with Orthanc("anon", password=PASSWORD) as o:
        yield o


@pytest.fixture
def anon(orthanc):
    for study in orthanc.get("/studies"):
        orthanc.ask("DELETE", f"/studies/{study}")
    return orthanc


class Site(Hospital):
    def __init__(self, base, anon):
        super().__init__(base)
        self.anon, self.more, self.services, self.cables = anon, {}, [], []

    @property
    def environment(self):
        return {**super().environment, "ORTHANC_ANON_URL": self.anon.url, "ORTHANC_ANON_USERNAME": self.anon.user,
                "ORTHANC_ANON_PASSWORD": self.anon.password, "PIXL_LEASE_S": "10", **self.more}

    def database(self, sql, *args):
        with sqlite3.connect(self.state / "pixl.db", timeout=60) as db:
            return db.execute(sql, args).fetchall()

    def ask_for(self, *studies, **how):
        """Rows that wait for an archive, which has nothing, each with the pseudo study UID that others gave it."""
        for study in studies:
            self.ask(study, **how)
        self.write_csv()
        self.pixl("populate", self.csv, "--no-start")
        for study in studies:
            self.database("UPDATE image SET pseudo_study_uid = ? WHERE mrn = ?", pseudo(study), self.mrn(study))

    def put(self, study, series=1, instances=2, **how):
        """The id of the study in Orthanc anon."""
        for s in range(1, series + 1):
            for n in range(1, instances + 1):
                said = json.loads(self.anon.ask("POST", "/instances", part10(cleaned(study, s, n, **how))))
        return said["ParentStudy"]

    def serve(self, **env):
        self.services.append(Service(self, "export-api", **env))
        return self.services[-1]

    @contextlib.contextmanager
    def asked_half_way(self, study, files, timeout=60, **env):
        """A service that was asked for study 1, its answer to come, and its cable to Orthanc anon, stalled once so many files are read."""
        cable = Cable(self.anon.port, stall_at=rb"GET /instances/[^/]+/file ", n=files + 1)
        self.cables.append(cable)
        s = self.serve(ORTHANC_ANON_URL=f"http://127.0.0.1:{cable.port}", **env)
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            asked = pool.submit(s.ask, "POST", PATH, {"study_id": study, "project_name": self.project}, timeout=timeout)
            try:
                assert cable.stalled.wait(30) and self.row(1)[0] == "retrieving"
                yield s, asked, cable
            finally:
                cable.go_on()

    def row(self, study):
        return self.database("SELECT state, reason, detail, fence FROM image WHERE mrn = ?", self.mrn(study))[0]

    def moves(self, study):
        return [to for to, in self.database("SELECT e.to_state FROM image_event e JOIN image i USING (image_id) WHERE i.mrn = ?"
                                            " ORDER BY event_no", self.mrn(study))]

    def check_quiet(self):
        """No log holds an identity, what a caller said or a password; nothing is left behind but the ledger."""
        for s in self.services:
            log = s.log.read_text()
            assert MARK not in log and ROOT not in log and "study_id" not in log
        assert b"canary" not in (self.anon.folder / "log").read_bytes().lower()
        assert not canaries(self.haven) and not canaries(self.state / "spool")
        assert [p for p in self.state.rglob("*") if p.name.endswith(".part") or p.parent.name == "tmp"] == []


@pytest.fixture
def site(tmp_path, anon):
    s = Site(tmp_path, anon)
    yield s
    for service in s.services:
        if service.process.poll() is None:
            service.process.kill()
            service.process.wait()
    for cable in s.cables:
        cable.end()


def pseudo(study):
    return f"1.2.826.0.1.3680043.8.498.77{study:04d}"


def part10(dataset):
    b = io.BytesIO()
    dataset.save_as(b, write_like_original=False)
    return b.getvalue()


def cleaned(study, series, number, side=16, change=None, tag=None, patient="f00d" * 16):
    """An image as the Python system leaves it: new UIDs, hashed PatientID, preamble and file meta as they were."""
    d = instance(study, series, number, mrn="x", accession="x", side=side)
    d.StudyInstanceUID, d.SeriesInstanceUID = pseudo(study), f"2.25.{study}{series}"
    d.SOPInstanceUID = d.file_meta.MediaStorageSOPInstanceUID = f"2.25.{study}{series}{number:04d}"
    d.PatientName, d.PatientID, d.AccessionNumber = "ANONYMIZED", patient, "ANONYMIZED"
    for name in ("PatientBirthDate", "OtherPatientIDs", "ReferringPhysicianName", "InstitutionName", "ReferencedImageSequence"):
        delattr(d, name)
    d.remove_private_tags()
    if tag is not None:
        d.private_block(0x000D, "UCLH PIXL", create=True).add_new(0x01, "LO", tag)
    if change is not None:
        change(d)
    return d


def read(path):
    with zipfile.ZipFile(path) as z:
        assert z.testzip() is None
        return {n: pydicom.dcmread(io.BytesIO(z.read(n))) for n in z.namelist()}


def detail(answer):
    return json.loads(answer[1])["detail"]


def test_what_others_put_there_is_delivered_once(site):
    site.ask_for(1, 2)
    study = site.put(1, series=2, instances=3)
    s = site.serve()
    assert s.ask("POST", PATH, {"study_id": study, "project_name": site.project}) == (200, "null")
    path, = site.zips()
    assert path.name == f"{pseudo(1)}.zip" and path.parent.name == site.project
    got = read(path)
    assert list(got) == sorted(got) and len(got) == 6
    for name, d in got.items():
        assert name == f"{pseudo(1)}/{d.SeriesInstanceUID}/{d.SOPInstanceUID}.dcm"
        original = cleaned(1, int(d.SeriesNumber), int(d.InstanceNumber))
        assert d == original                                         # the data set as it lay there ...
        assert d.preamble == bytes(128) and "SourceApplicationEntityTitle" not in d.file_meta    # ... and nothing of around it
    assert site.row(1)[:2] == ("exported", "") and site.row(2)[0] == "queued"
    assert site.moves(1) == ["queued", "retrieving", "deidentified", "delivering", "exported"]
    before = site.snapshot()
    again = s.ask("POST", PATH, {"study_id": study, "project_name": site.project})
    assert again == (409, '{"detail":"Image already exported"}')
    assert site.snapshot() == before and len(site.moves(1)) == 5
    assert len(site.anon.get("/instances")) == 6                     # what is theirs stays theirs
    assert s.stop() == 0
    site.check_quiet()


def test_the_older_body_and_its_private_tag(site):
    site.ask_for(1, 2, 3)
    by_tag, by_row, other = site.put(1, tag=TAG_OF), site.put(2), site.put(3, tag="another project")
    s = site.serve()
    assert s.ask("POST", PATH, {"study_id": by_tag}) == (200, "null")
    assert s.ask("POST", PATH, {"study_id": by_row, "project_name": None}) == (200, "null")
    assert s.ask("POST", PATH, {"study_id": other})[0] == 404
    assert [p.stem for p in site.zips()] == [pseudo(1), pseudo(2)] and site.row(3)[0] == "queued"
    assert s.stop() == 0
    site.check_quiet()


def test_what_is_not_known_is_refused(site):
    site.ask_for(1)
    study, stranger = site.put(1), site.put(2)
    s = site.serve()
    for body, status in (({"study_id": "0" * 8, "project_name": site.project}, 404),
                         ({"study_id": f"../{MARK}", "project_name": site.project}, 404),
                         ({"study_id": study, "project_name": f"no such {MARK}"}, 404),
                         ({"study_id": study, "project_name": "\u5f71\u5e2b"}, 404),
                         ({"study_id": stranger, "project_name": site.project}, 404),
                         ({"study_id": stranger}, 404),
                         ({"project_name": site.project}, 422),
                         ({"study_id": 7}, 422),
                         ({"study_id": study, "project_name": 7}, 422),
                         ([], 422)):
        answer = s.ask("POST", PATH, body)
        assert answer[0] == status and "detail" in json.loads(answer[1]), (body, answer)
    assert detail(s.ask("POST", PATH, {"study_id": "0" * 8})) == "Orthanc anon has no such study"
    assert s.ask("GET", PATH)[0] == 405
    assert not site.zips() and site.row(1)[0] == "queued" and site.moves(1) == ["queued"]
    for state in ("skipped", "withheld"):
        site.database("UPDATE image SET state = ?, reason = 'modality' WHERE mrn = ?", state, site.mrn(1))
        answer = s.ask("POST", PATH, {"study_id": study})
        assert answer[0] == 500 and f"image 1 is {state}" in detail(answer)
    assert not site.zips() and s.stop() == 0
    log = s.log.read_text()
    assert log.count("adopt.refused") == 9 and "image=1 code=" in log
    site.check_quiet()


def test_without_orthanc(site):
    site.ask_for(1)
    s = site.serve(ORTHANC_ANON_URL="")
    answer = s.ask("POST", PATH, {"study_id": "abc", "project_name": site.project})
    assert answer[0] == 400 and "ORTHANC_ANON_URL" in detail(answer)


def nested(d):
    item = pydicom.Dataset()
    item.CodeMeaning = f"seen with {MARK}000001"
    d.ProcedureCodeSequence = pydicom.Sequence([item])


def private(d):
    d.private_block(0x0019, "MAKER", create=True).add_new(0x10, "OB", b"\1\2\0" + f"{MARK}ACC000001".encode() + b"\0\3\4")


CHANGES = {
    "mrn": (lambda d: setattr(d, "ImageComments", f"for {MARK}000001, again"), "withheld", "residue", "(0020,4000)"),
    "nested": (nested, "withheld", "residue", "(0008,1032)[0].(0008,0104)"),
    "accession": (private, "withheld", "residue", "(0019,1010)"),
    "study": (lambda d: setattr(d, "FrameOfReferenceUID", f"{ROOT}.1"), "withheld", "residue", "(0020,0052)"),
    "series": (lambda d: setattr(d, "DeviceSerialNumber", f"{ROOT}.1.2"), "withheld", "residue", "(0018,1000)"),
    "patient": (lambda d: setattr(d, "PatientID", "somebody else"), "failed", "identity-mismatch", ""),
}


@pytest.mark.parametrize("what", CHANGES)
def test_identity_that_is_left_withholds_the_study(site, what):
    change, state, reason, where = CHANGES[what]
    site.ask_for(1, participant="f00d" * 16, series_uid=f"{ROOT}.1.2")
    study = site.put(1, instances=2)
    site.anon.ask("POST", "/instances", part10(cleaned(1, 1, 3, change=change)))
    # Of another patient the study is another one there; what it holds is the row's all the same.
    ids = {i["ParentSeries"] for i in site.anon.get("/instances?expand")}
    if len(ids) > 1:
        study = next(s["ID"] for s in site.anon.get("/studies?expand") if s["PatientMainDicomTags"]["PatientID"] == "somebody else")
    s = site.serve()
    answer = s.ask("POST", PATH, {"study_id": study, "project_name": site.project})
    assert answer[0] == 500 and "image 1 is not delivered" in detail(answer) and MARK not in answer[1]
    assert site.row(1)[:3] == (state, reason, where)
    failed = site.pixl("failed", "--all").stdout
    assert reason in failed or "identity" in failed, failed
    assert where in site.pixl("trace", "1").stdout
    assert not site.zips() and not list((site.state / "spool").rglob("*.zip"))
    answer = s.ask("POST", PATH, {"study_id": study, "project_name": site.project})
    assert answer[0] == 500 and not site.zips()
    assert s.stop() == 0
    site.check_quiet()


def test_it_can_be_mended_and_asked_for_again(site):
    site.ask_for(1)
    study = site.put(1, change=CHANGES["mrn"][0])
    s = site.serve()
    assert s.ask("POST", PATH, {"study_id": study})[0] == 500
    site.put(1)                                                      # the same instances, as they should be
    site.pixl("retry", "1")
    assert s.ask("POST", PATH, {"study_id": study}) == (200, "null")
    assert len(site.zips()) == 1 and s.stop() == 0
    site.check_quiet()


def test_many_ask_at_once(site):
    site.ask_for(1, 2, 3)
    studies = [site.put(n, instances=20, side=128) for n in (1, 2, 3)]
    here, beside = site.serve(), site.serve()
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        asked = [pool.submit(s.ask, "POST", PATH, {"study_id": study}) for study in studies for s in (here, beside) for _ in range(2)]
        answers = [a.result() for a in asked]
    assert {a[0] for a in answers} <= {200, 409} and answers.count((200, "null")) >= 3, answers
    assert len(site.zips()) == 3 and all(len(read(z)) == 20 for z in site.zips())
    for n in (1, 2, 3):
        assert site.moves(n).count("retrieving") == site.moves(n).count("exported") == 1
    assert here.stop() == 0 and beside.stop() == 0
    site.check_quiet()


def test_orthanc_that_is_away_loses_nothing(site, tmp_path):
    site.ask_for(1)
    study = site.put(1, instances=4)
    body = {"study_id": study, "project_name": site.project}
    s = site.serve(ORTHANC_ANON_URL="http://127.0.0.1:1")
    answer = s.ask("POST", PATH, body)
    assert answer[0] == 503 and "Orthanc anon" in detail(answer)
    assert site.moves(1) == ["queued"] and s.stop() == 0
    # In the midst of it, too.
    with site.asked_half_way(study, 2, PIXL_DICOMWEB_TIMEOUT_S="10") as (s, asked, _):
        assert asked.result()[0] == 503 and site.row(1)[:2] == ("queued", "unavailable")
        assert not site.zips()
    assert s.ask("POST", PATH, body) == (200, "null")
    assert len(read(site.zips()[0])) == 4 and s.stop() == 0
    site.check_quiet()


def test_instances_that_come_meanwhile_are_not_forgotten(site):
    site.ask_for(1)
    study = site.put(1, instances=2)
    with site.asked_half_way(study, 1) as (s, asked, cable):
        site.anon.ask("POST", "/instances", part10(cleaned(1, 1, 3)))
        cable.go_on()
        assert asked.result()[0] == 503
    assert site.row(1)[:2] == ("queued", "changed-while-read") and not site.zips()
    assert s.ask("POST", PATH, {"study_id": study}) == (200, "null")
    assert len(read(site.zips()[0])) == 3 and s.stop() == 0
    site.check_quiet()


def test_an_instance_that_is_replaced_meanwhile_goes_out_as_it_is_last(site):
    """Its number and its id are those that were listed."""
    site.ask_for(1)
    study = site.put(1, instances=3)
    with site.asked_half_way(study, 2) as (s, asked, cable):
        site.anon.ask("POST", "/instances", part10(cleaned(1, 1, 1, change=lambda d: setattr(d, "ImageComments", "mended"))))
        cable.go_on()
        assert asked.result()[0] == 503
    assert site.row(1)[:2] == ("queued", "changed-while-read") and not site.zips()
    assert s.ask("POST", PATH, {"study_id": study}) == (200, "null")
    got = read(site.zips()[0]).values()
    assert sorted(d.get("ImageComments", "") for d in got) == ["", "", "mended"] and s.stop() == 0
    site.check_quiet()


def test_instances_that_still_come_are_waited_for(site):
    site.ask_for(1)
    study = site.put(1, instances=1)
    s = site.serve()
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        asked = pool.submit(s.ask, "POST", PATH, {"study_id": study})
        for n in range(2, 12):
            time.sleep(0.3)
            site.anon.ask("POST", "/instances", part10(cleaned(1, 1, n)))
        assert asked.result() == (200, "null")
    assert len(read(site.zips()[0])) == 11 and s.stop() == 0
    site.check_quiet()


def test_kill_9_in_the_midst_of_it(site):
    site.ask_for(1)
    study = site.put(1, instances=4)
    with site.asked_half_way(study, 2) as (s, asked, _):
        s.process.send_signal(signal.SIGKILL)
        s.process.wait()
        with pytest.raises(Exception):
            asked.result()
    assert not site.zips()
    s = site.serve()
    assert s.ask("POST", PATH, {"study_id": study}) == (200, "null")
    assert ("lease-lost",) in site.database("SELECT reason FROM image_event")
    assert len(read(site.zips()[0])) == 4 and site.moves(1).count("exported") == 1
    assert s.stop() == 0
    site.check_quiet()


def test_who_asked_need_not_wait_for_it(site):
    site.ask_for(1)
    study = site.put(1, instances=4)
    with site.asked_half_way(study, 2, timeout=1) as (s, asked, _), pytest.raises(TimeoutError):
        asked.result()
    wait_for(site, {"exported": 1})
    assert len(read(site.zips()[0])) == 4 and s.stop() == 0
    site.check_quiet()


def test_a_claim_that_is_lost_meanwhile(site):
    site.ask_for(1)
    study = site.put(1, instances=4)
    with site.asked_half_way(study, 2) as (s, asked, cable):
        site.database("UPDATE image SET state = 'queued', owner = '', lease_until_us = 0, fence = fence + 1")    # as others take it back
        cable.go_on()
        assert asked.result() == (200, "null")
    assert "study.left image=1" in s.log.read_text() and site.moves(1).count("retrieving") == 2
    assert len(read(site.zips()[0])) == 4 and site.moves(1).count("deidentified") == site.moves(1).count("exported") == 1
    assert s.stop() == 0
    site.check_quiet()


def test_a_cohort_that_asks_for_more_meanwhile(site):
    site.ask_for(1, series_uid=f"{ROOT}.1.8")
    study = site.put(1, instances=4)
    with site.asked_half_way(study, 2) as (s, asked, cable):
        site.ask(1, series_uid=f"{ROOT}.1.9", procedure=77)
        site.write_csv()
        site.pixl("populate", site.csv, "--no-start")
        cable.go_on()
        assert asked.result() == (200, "null")
    assert site.moves(1) == ["queued", "retrieving", "queued", "retrieving", "deidentified", "delivering", "exported"]
    assert len(read(site.zips()[0])) == 4 and s.stop() == 0
    site.check_quiet()


def test_a_service_that_is_told_to_stop_gives_it_back(site):
    site.ask_for(1)
    study = site.put(1, instances=4)
    with site.asked_half_way(study, 2) as (s, asked, _):
        assert s.stop() == 0
        assert asked.result()[0] == 503
    assert site.row(1)[:2] == ("queued", "stopped") and not site.zips()
    s = site.serve()
    assert s.ask("POST", PATH, {"study_id": study}) == (200, "null")
    assert len(read(site.zips()[0])) == 4 and s.stop() == 0
    site.check_quiet()


def test_a_destination_that_is_away(site):
    site.ask_for(1, 2)
    first, second = site.put(1), site.put(2)
    s = site.serve()
    assert s.ask("POST", PATH, {"study_id": first}) == (200, "null")
    away = site.base / "away"
    site.haven.rename(away)
    answer = s.ask("POST", PATH, {"study_id": second})
    assert answer[0] == 503 and "goes out by itself" in detail(answer), answer
    assert site.row(2)[0] == "deidentified"
    away.rename(site.haven)
    wait_for(site, {"exported": 2})
    assert len(site.zips()) == 2 and s.ask("POST", PATH, {"study_id": second})[0] == 409
    assert s.stop() == 0
    site.check_quiet()


def test_a_project_without_destination_keeps_it(site):
    site.write_project("none")
    site.ask_for(1)
    study = site.put(1)
    s = site.serve()
    assert s.ask("POST", PATH, {"study_id": study}) == (200, "null")
    assert site.row(1)[0] == "kept" and len(list((site.state / "spool").rglob("*.zip"))) == 1
    assert s.ask("POST", PATH, {"study_id": study})[0] == 409 and s.stop() == 0


def test_through_ftps(site):
    with FtpServer() as server:
        yaml = site.configs / f"{site.project}.yaml"
        (site.configs / "certificates").mkdir()
        shutil.copy(server.certs / "ca.pem", site.configs / "certificates")
        yaml.write_text(yaml.read_text().split("destination:")[0]
                        + "destination:\n  dicom: ftps\n  parquet: ftps\n  ftps:\n    ca_file: ca.pem\n")
        site.state.mkdir(mode=0o700)
        (site.state / "secrets.env").write_text(server.secrets(site.project))
        (site.state / "secrets.env").chmod(0o600)
        site.ask_for(1)
        study = site.put(1, instances=3)
        s = site.serve()
        assert s.ask("POST", PATH, {"study_id": study, "project_name": site.project}) == (200, "null")
        path, = (server.root / site.project).glob("*.zip")
        assert path.name == f"{pseudo(1)}.zip" and len(read(path)) == 3 and s.stop() == 0


def send_to(site, far):
    site.write_project("dicomweb")
    yaml = site.configs / f"{site.project}.yaml"
    yaml.write_text(yaml.read_text().replace("parquet: dicomweb", "parquet: none"))
    site.state.mkdir(mode=0o700)
    (site.state / "secrets.env").write_text("".join(f"{site.project}--dicomweb--{k}={v}\n" for k, v in (
        ("url", far.web), ("username", far.user), ("password", far.password))))
    (site.state / "secrets.env").chmod(0o600)


def test_through_dicomweb(site):
    """By way of the very Orthanc that the study lies in, and is deleted from once it has arrived."""
    with Orthanc("far", user="far", password="CANARYFAR") as far:
        send_to(site, far)
        site.ask_for(1)
        study = site.put(1, series=2, instances=3)
        s = site.serve()
        assert s.ask("POST", PATH, {"study_id": study, "project_name": site.project}) == (200, "null")
        there = far.instances()
        assert sorted(there) == sorted(f"2.25.1{s}{n:04d}" for s in (1, 2) for n in (1, 2, 3))
        assert not site.anon.get("/studies") and s.ask("POST", PATH, {"study_id": study})[0] == 404
        assert s.stop() == 0


def test_what_came_while_it_waited_to_go_out_is_not_deleted(site):
    with Orthanc("far", user="far", password="CANARYFAR") as far:
        send_to(site, far)
        site.ask_for(1)
        study = site.put(1, instances=2)
        far.end()
        s = site.serve()
        answer = s.ask("POST", PATH, {"study_id": study})
        assert answer[0] == 503 and "goes out by itself" in detail(answer), answer
        site.anon.ask("POST", "/instances", part10(cleaned(1, 1, 3)))
        far.start()
        wait_for(site, {"exported": 1})
        assert len(far.instances()) == 2 and len(site.anon.get("/instances")) == 3
        assert s.stop() == 0


def test_large_instances_take_little_memory(site):
    site.ask_for(1)
    study = site.put(1, instances=40, side=1024)                     # 80 MiB
    s = site.serve()
    before = memory(s)
    assert s.ask("POST", PATH, {"study_id": study}, timeout=300) == (200, "null")
    assert memory(s) - before < 48 << 20 and len(read(site.zips()[0])) == 40
    assert s.stop() == 0


def memory(service):
    text = pathlib.Path(f"/proc/{service.process.pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", text)[1]) << 10
