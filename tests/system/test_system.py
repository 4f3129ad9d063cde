"""The whole system: every server that pixl can have beside it, real and on loopback; the two APIs as services; the rest as a user types it.

A VNA behind an Orthanc ("raw"), RabbitMQ, PostgreSQL, a key vault (the stand-in), and at the far side an FTPS server, and a DICOMweb server
(an Orthanc) behind another Orthanc ("anon").  All settings stand in one .env, those of docs/operations.md.
"""
import concurrent.futures
import contextlib
import io
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections import Counter

import dicomweb
import orthancs
import pika
import psycopg2
import pydicom
import pytest
from cables import Cable
from ftpd import FtpServer
from hospital import MARK, ROOT, Hospital, canaries, instance
from pydicom.uid import DigitalXRayImageStorageForPresentation, MRImageStorage
from rabbitmq import Broker
from services import Service, free_port
from tables import LINKER, OUTCOMES, SLUG, columns, make_parquet, parquet, rows
from vault import Vault

SOURCE = pathlib.Path(__file__).parents[2]
SOCKET = f"{os.environ['TEST_POSTGRES']}/sock"
MRN, ACCESSION = "987654321", "AA123456"
IDENTITIES = (MARK.encode(), ROOT.encode(), MRN.encode(), ACCESSION.encode())
OMOP, FTPS, WEB = "test-extract-uclh-omop-cdm", "to-ftps", "to-dicomweb"
ONE, SOME, ALL = "one-series", "some-series", "all-series"
NIGHT_FTPS, NIGHT_WEB = "night-ftps", "night-dicomweb"
EXTRACT = {OMOP: "2023-12-07t14-08-58"}                        # a time without a zone, as such an extract has it; those of the CSV: SLUG
WANTED = {1: {"AP", "include123"}, 5: {"include123"}}          # study -> descriptions of what is to arrive
NIGHT, LARGE = {study: 10 for study in range(21, 27)}, {21, 22, 23}                # study -> instances; those of 5 MB
PROCEDURE = {1: 4, 5: 5}
TOKEN = "CANARY-token-of-the-apis"


class Town(Hospital):
    """The hospital with its servers: studies 1 and 5 of the fixture cohort, 21 to 26 of the night."""

    def __init__(self, base, servers):
        super().__init__(base, OMOP)
        self.__dict__.update(servers)
        (self.configs / f"{OMOP}.yaml").unlink()
        self.said, self.services, self.ended = [], {}, []
        (self.configs / "certificates").mkdir()
        shutil.copy(self.ftp.certs / "ca.pem", self.configs / "certificates")
        self.settings = {
            "PIXL_STATE_DIR": self.state, "PROJECT_CONFIGS_DIR": self.configs, "HOST_EXPORT_ROOT_DIR": self.exports,
            "PIXL_STORE_URL": f"postgresql:///postgres?host={SOCKET}&user=pixl", "PIXL_QUEUE_URL": self.broker.url,
            "PIXL_ARCHIVE_URL": "orthanc+" + self.raw.login_url,
            "ORTHANC_ANON_URL": self.anon.url, "ORTHANC_ANON_USERNAME": self.anon.user, "ORTHANC_ANON_PASSWORD": self.anon.password,
            **self.vault.environment(),
            "PIXL_IMAGING_API_HOST": "127.0.0.1", "PIXL_IMAGING_API_PORT": free_port(),
            "PIXL_EXPORT_API_HOST": "127.0.0.1", "PIXL_EXPORT_API_PORT": free_port(), "PIXL_API_TOKEN": TOKEN,
            "PIXL_LEASE_S": 10, "LOG_LEVEL": "debug"}
        (self.base / ".env").write_text("".join(f"{name}='{value}'\n" for name, value in self.settings.items()))
        self.vault.put("hash--key", "CANARYKEY" * 4)
        self.fill_archive()

    @property
    def environment(self):
        """Nothing but what is in the .env."""
        return {k: v for k, v in os.environ.items() if not k.startswith(("PIXL_", "PROJECT_", "HOST_EXPORT", "ORTHANC_", "AZURE_", "RABBITMQ_"))}

    def mrn(self, study):
        return MRN

    def accession(self, study):
        return f"{ACCESSION}{study:02d}"

    def pixl(self, *args, **how):
        r = super().pixl(*args, **how)
        self.said += [r.stdout, r.stderr]
        return r

    def series(self, study, number, description, modality="DX", instances=2, side=32):
        for n in range(1, instances + 1):
            d = instance(study, number, n, mrn=MRN, accession=self.accession(study), modality=modality, description=description,
                         study_description="XR CHEST", side=side)
            d.SOPClassUID = d.file_meta.MediaStorageSOPClassUID = MRImageStorage if modality == "MR" else DigitalXRayImageStorageForPresentation
            self.vna.upload(d)
            self.pixels[d.StudyInstanceUID, description, n] = d.PixelData

    def fill_archive(self):
        self.pixels = {}
        self.series(1, 1, "AP")
        self.series(1, 2, "include123")
        self.series(1, 3, "exclude123", modality="MR")
        self.series(1, 4, "positioning")
        self.series(5, 1, "include123")
        self.series(5, 2, "positioning")
        for study, n in NIGHT.items():
            self.series(study, 1, "night", instances=n, side=512 if study in LARGE else 32)

    def make_project(self, slug, images="ftps"):
        self.project = slug
        self.write_project(images, parquet="ftps", ca_file="ca.pem", filters='"localizer", "positioning"', modalities="DX, CR", alias=f"{slug}-kv",
                           min_instances=2)
        if slug != OMOP:                                 # whose salt pixl makes, which takes it some seconds
            self.vault.put(slug, f"CANARYSALT{slug}")
        for line in self.ftp.secrets(f"{slug}-kv").split():
            self.vault.put(*line.split("=", 1))
        if images == "dicomweb":
            for name, value in (("url", self.far.web), ("username", self.far.user), ("password", self.far.password)):
                self.vault.put(f"{slug}-kv--dicomweb--{name}", value)

    def serve(self, command):
        port = self.settings[f"PIXL_{command.upper().replace('-', '_')}_PORT"]
        s = self.services[command] = Service(self, command, port=port, PIXL_API_TOKEN=TOKEN)
        return s

    def kill(self, command):
        s = self.services[command]
        s.process.kill()
        s.process.wait()
        s.log_file.close()

    def status(self):
        """project -> its states that are not empty"""
        return {p["project"]: {k: v for k, v in p["states"].items() if v} for p in json.loads(self.pixl("status", "--json").stdout)["projects"]}

    def wait_until_exported(self, wanted, seconds=60):
        until(lambda: all(self.status().get(p) == {"exported": n} for p, n in wanted.items()), seconds, self.status, pause=0.2)

    def sql(self, sql, *args):
        with self.database.cursor() as c:
            c.execute(sql, args)
            return c.fetchall()

    def in_state(self, project, state):
        return self.sql("SELECT count(*) FROM pixl_pipeline.image JOIN pixl_pipeline.extract USING (extract_id) WHERE slug = %s AND state = %s",
                         project, state)[0][0]


    def populate(self, *wanted):
        """A CSV of (project, study, UIDs of series)."""
        self.rows = []
        for self.project, study, series_uid in wanted:
            self.ask(study, series_uid=series_uid, procedure=PROCEDURE.get(study, study))
        self.write_csv()
        self.pixl("populate", self.csv, "--no-start")


def until(what, seconds=60, tell=lambda: "it never happened", pause=0.002):
    last = time.monotonic() + seconds
    while not (answer := what()):
        assert time.monotonic() < last, tell()
        time.sleep(pause)
    return answer


def begin_servers(stack):
    """Those that take long begin at the same time; an Orthanc of orthancs.py dies with the thread that began it.  The ways from the archive
    and to the FTPS server are slow enough for a study to be met on them."""
    broker, ftp, vault = Broker(), FtpServer(extra="TransferRate STOR 1500"), Vault()
    anon = dicomweb.Orthanc("anon", password="CANARYANONPASSWORD", options=("--verbose",))
    far = dicomweb.Orthanc("far", user="far user", password="CANARYFARPASSWORD", options=("--verbose",))
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        begun = [pool.submit(stack.enter_context, server) for server in (broker, ftp, anon, far)]
        stack.enter_context(vault)
        rig = stack.enter_context(orthancs.Rig())
        vna = rig.orthanc("VNA", start=False)
        raw = rig.orthanc("RAW", modalities={"UCPRIMARYQR": vna}, start=False)
        cable = stack.enter_context(Cable(raw.port, bytes_per_s=5_000_000))
        vna.let("RAW", orthancs.Peer("RAW", cable.port))
        vna.start()
        raw.start()
        for one in begun:
            one.result()
    return {"broker": broker, "ftp": ftp, "vault": vault, "anon": anon, "far": far, "vna": vna, "raw": raw}


@pytest.fixture(scope="module")
def town(tmp_path_factory):
    with contextlib.ExitStack() as stack:
        t = Town(tmp_path_factory.mktemp("town"), begin_servers(stack))
        t.database = stack.enter_context(contextlib.closing(psycopg2.connect(host=SOCKET, user="pixl", dbname="postgres")))
        t.database.autocommit = True
        with t.database.cursor() as c:
            c.execute("DROP SCHEMA IF EXISTS pixl_pipeline CASCADE")
        try:
            yield t
        finally:
            for s in t.services.values():
                if s.process.poll() is None:
                    s.process.kill()
                    s.process.wait()


def write_extract(t):
    folder = t.base / "omop-extract"
    folder.mkdir()
    (folder / "extract_summary.json").write_text(json.dumps(
        {"datetime": "2023-12-07T14:08:58", "settings": {"site": "UCLH", "cdm_source_name": "Test Extract UCLH OMOP CDM"}}))
    procedures = "(VALUES (4, '{a}01', '{r}.1'), (5, '{a}05', NULL)) AS p(id, accession, uid)".format(a=ACCESSION, r=ROOT)
    for name, select in (
            ("public/omop/PROCEDURE_OCCURRENCE", "SELECT id AS procedure_occurrence_id, 63 AS person_id, DATE '2020-05-23' AS procedure_date,"
                                                 f" 4163872 AS procedure_concept_id FROM {procedures}"),
            ("public/omop/PERSON", "SELECT 63 AS person_id, 1962 AS year_of_birth, 9007199254740993 AS gender_concept_id"),
            ("public/omop/OBSERVATION", "SELECT i AS observation_id, 63 AS person_id, i / 4 AS value_as_number, 'a ' || i AS value_as_string"
                                        " FROM range(50) AS r(i)"),
            ("private/PERSON_LINKS", f"SELECT 63 AS person_id, '{MRN}' AS PrimaryMrn, 'CANARYNHS' AS NhsNumber"),
            ("private/PROCEDURE_OCCURRENCE_LINKS", "SELECT id AS procedure_occurrence_id, accession AS AccessionNumber, uid AS StudyUid_X"
                                                   f" FROM {procedures}")):
        make_parquet(t, folder / f"{name}.parquet", select)
    return folder


@pytest.fixture(scope="module")
def omop(town):
    """(a): an OMOP extract, from the first check to its tables."""
    t = town
    t.make_project(OMOP)
    t.extract = write_extract(t)
    t.pixl("config", "check")
    r = t.pixl("config", "check", "--secrets", ok=(1,))
    assert [line.split(": ")[1] for line in r.stdout.splitlines() if line.endswith(": missing")] == ["salt, secret " + OMOP], r.stdout
    t.pixl("check")
    t.serve("imaging-api")
    t.serve("export-api")
    t.pixl("populate", t.extract, "--no-start")
    assert t.status() == {OMOP: {"queued": 2}}
    t.pixl("start", "--rate", "3")
    t.pixl("update", "--rate", "50")
    t.wait_until_exported({OMOP: 2})
    t.pixl("export-patient-data", t.extract)
    t.first_tree = tree(t.ftp.root / OMOP)
    return t


@pytest.fixture(scope="module")
def two_projects(omop):
    """(b): both studies for two projects, by one CSV."""
    t = omop
    t.make_project(FTPS)
    t.make_project(WEB, images="dicomweb")
    t.populate(*((project, study, "") for project in (FTPS, WEB) for study in (1, 5)))
    t.wait_until_exported({FTPS: 2, WEB: 2})
    for project in (FTPS, WEB):
        t.pixl("export-patient-data", "--project", project)
    return t


@pytest.fixture(scope="module")
def series(omop):
    t = omop
    for project in (ONE, SOME, ALL):
        t.make_project(project)
    t.populate((ONE, 1, f"{ROOT}.1.2"), (SOME, 1, f"{ROOT}.1.2\\{ROOT}.1.4\\{ROOT}.1.1"), (ALL, 1, ""))
    t.wait_until_exported({ONE: 1, SOME: 1, ALL: 1})
    return t


# --- what arrived, as others read it


def tree(root):
    return {str(p.relative_to(root)): (p.read_bytes(), p.stat().st_mtime_ns) for p in sorted(root.rglob("*")) if p.is_file()}


def read_zips(t, project):
    """{pseudo study UID: data sets}; unzip, Python and Java have each read every zip."""
    out = {}
    for path in sorted((t.ftp.root / project).glob("*.zip")):
        subprocess.run(["unzip", "-tqq", path], check=True, capture_output=True)
        with zipfile.ZipFile(path) as z:
            out[path.stem] = [pydicom.dcmread(io.BytesIO(z.read(name))) for name in z.namelist()]
            assert sorted(z.namelist()) == sorted(f"{d.StudyInstanceUID}/{d.SeriesInstanceUID}/{d.SOPInstanceUID}.dcm" for d in out[path.stem])
    return out


def java_agrees(path):
    here = SOURCE / "tests/unit/upload"
    said = [subprocess.run([*how, path], check=True, capture_output=True, text=True).stdout
            for how in (["java", here / "ReadZip.java"], [sys.executable, here / "read_zip.py"])]
    return said[0] == said[1] != ""


def read_web(t):
    """The same of the DICOMweb server: QIDO-RS lists studies and instances, WADO-RS gives them."""
    out = {}
    for study in t.far.get("/dicom-web/studies"):
        uid, = study["0020000D"]["Value"]
        body = t.far.ask("GET", f"/dicom-web/studies/{uid}", headers={"Accept": 'multipart/related; type="application/dicom"'}.items())
        boundary = body[:body.index(b"\r\n")]
        parts = [part.split(b"\r\n\r\n", 1)[1] for part in body.split(boundary)[1:-1]]
        out[uid] = [pydicom.dcmread(io.BytesIO(part)) for part in parts]
        listed = [i["00080018"]["Value"][0] for i in t.far.get(f"/dicom-web/studies/{uid}/instances")]
        assert sorted(listed) == sorted(d.SOPInstanceUID for d in out[uid])
    return out


def labels(datasets):
    return {(d.AccessionNumber, d.SeriesDescription) for d in datasets}


def labels_of(descriptions):
    return {("ANONYMIZED", d) for d in descriptions}


def check_study(t, uid, datasets, study, descriptions, instances=2):
    """Every instance of the series once, under new UIDs, with the pixels that it had."""
    assert re.fullmatch(r"2\.25\.[1-9][0-9]{0,38}", uid) and {d.StudyInstanceUID for d in datasets} == {uid}
    assert labels(datasets) == labels_of(descriptions)
    assert Counter((d.SeriesDescription, d.InstanceNumber) for d in datasets) == \
        {(s, n): 1 for s in descriptions for n in range(1, instances + 1)}
    assert len({d.SOPInstanceUID for d in datasets}) == len(datasets) and len({d.SeriesInstanceUID for d in datasets}) == len(descriptions)
    for d in datasets:
        assert d.SOPInstanceUID == d.file_meta.MediaStorageSOPInstanceUID and d.SOPInstanceUID.startswith("2.25.")
        assert d.PixelData == t.pixels[f"{ROOT}.{study}", d.SeriesDescription, d.InstanceNumber]


def check_studies(t, found, wanted):
    """found: {pseudo study UID: data sets}.  Which of them is which study shows in what each holds."""
    assert sorted(map(labels, found.values()), key=len) == sorted(map(labels_of, wanted.values()), key=len)
    uids = {study: uid for study, series in wanted.items() for uid, datasets in found.items() if labels(datasets) == labels_of(series)}
    for study, uid in uids.items():
        check_study(t, uid, found[uid], study, wanted[study])
    return uids


def linker_of(t, project):
    below = t.ftp.root / project / EXTRACT.get(project, SLUG) / "parquet" / "radiology"
    linker, outcomes = parquet(below / "IMAGE_LINKER.parquet", below / "OUTCOMES.parquet")
    assert columns(linker) == LINKER and columns(outcomes) == OUTCOMES
    assert {row[:4] for row in rows(outcomes)} == {(procedure, "exported", None, uid) for procedure, uid in rows(linker)}
    return rows(linker)


# --- (a)


def test_parquet_arrives_by_ftps(omop):
    below = omop.ftp.root / OMOP / EXTRACT[OMOP] / "parquet"
    there = {str(p.relative_to(below)) for p in below.rglob("*") if p.is_file()}
    assert there == {"omop/public/omop/PROCEDURE_OCCURRENCE.parquet", "omop/public/omop/PERSON.parquet", "omop/public/omop/OBSERVATION.parquet",
                     "radiology/IMAGE_LINKER.parquet", "radiology/OUTCOMES.parquet"}
    assert all(table["rows"] for table in parquet(*(below / name for name in there)))


def test_the_linker_joins_procedures_to_zips(omop):
    uids = check_studies(omop, read_zips(omop, OMOP), WANTED)
    assert sorted(linker_of(omop, OMOP)) == [(PROCEDURE[1], uids[1]), (PROCEDURE[5], uids[5])]


def test_two_zips_arrive_by_ftps(omop):
    found = read_zips(omop, OMOP)
    assert len(found) == 2
    assert {p.name for p in (omop.ftp.root / OMOP).iterdir()} == {".pixl-key", EXTRACT[OMOP], *(f"{uid}.zip" for uid in found)}
    check_studies(omop, found, WANTED)
    for uid in found:
        assert java_agrees(omop.ftp.root / OMOP / f"{uid}.zip")


def test_public_tables_are_those_of_the_extract(omop):
    source = omop.extract / "public"
    names = sorted(p.relative_to(source) for p in source.rglob("*.parquet"))
    assert len(names) == 3
    far, here = omop.ftp.root / OMOP / EXTRACT[OMOP] / "parquet/omop/public", omop.exports / OMOP / "latest/omop/public"
    assert (omop.exports / OMOP / "latest").is_symlink()
    for there in (far, here):
        assert sorted(p.relative_to(there) for p in there.rglob("*") if p.is_file()) == names
        for name, was, now in zip(names, parquet(*(source / n for n in names)), parquet(*(there / n for n in names))):
            assert was["rows"] and now["rows"] == was["rows"] and now["columns"] == was["columns"], name


# --- (b)


def test_one_project_by_ftps_the_other_by_dicomweb(two_projects):
    t = two_projects
    by_ftps = check_studies(t, read_zips(t, FTPS), WANTED)
    web = read_web(t)
    by_web = check_studies(t, {uid: web[uid] for _, uid in linker_of(t, WEB)}, WANTED)
    for project, uids in ((FTPS, by_ftps), (WEB, by_web)):
        assert sorted(linker_of(t, project)) == [(PROCEDURE[1], uids[1]), (PROCEDURE[5], uids[5])]
    assert not list((t.ftp.root / WEB).glob("*.zip")) and not t.anon.get("/studies")
    # Nothing tells that two projects have the same patient.
    pairs = [(read_zips(t, FTPS)[by_ftps[s]], web[by_web[s]]) for s in (1, 5)]
    for a, b in pairs:
        for keyword in ("PatientID", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
            assert not {d[keyword].value for d in a} & {d[keyword].value for d in b}, keyword


@pytest.mark.parametrize("project, wanted", [(ONE, {"include123"}), (SOME, {"AP", "include123"}), (ALL, {"AP", "include123"})])
def test_the_requested_series_and_no_other(series, project, wanted):
    found = read_zips(series, project)
    assert len(found) == 1
    check_studies(series, found, {1: wanted})


# --- and when services die


@contextlib.contextmanager
def held(t, *processes):
    """Go on at the end; their time stands still from stop() on."""
    try:
        yield lambda p: p.send_signal(signal.SIGSTOP)
    finally:
        t.ftp.go_on()
        for p in processes:
            p.send_signal(signal.SIGCONT)


def stop_in_a_move(t, stop):
    """The rate is 0: sets one, and holds the archive when the first instance has come."""
    def n_there():
        return t.raw.get("/statistics")["CountInstances"]
    before = n_there()
    t.pixl("start", "--rate", "50")
    until(lambda: n_there() > before)
    stop(t.vna.process)
    assert t.in_state(NIGHT_FTPS, "retrieving") + t.in_state(NIGHT_WEB, "retrieving") > 0


@pytest.fixture(scope="module")
def night(two_projects):
    """Services die while they have studies in hand: the imaging API in the middle of C-MOVEs, first by itself and then together with the
    export API, which is in the middle of uploads then."""
    t = two_projects
    t.make_project(NIGHT_FTPS)
    t.make_project(NIGHT_WEB, images="dicomweb")
    t.pixl("stop")
    t.populate((NIGHT_FTPS, 21, ""), (NIGHT_FTPS, 22, ""), (NIGHT_WEB, 24, ""), (NIGHT_WEB, 25, ""))
    with held(t, t.vna.process) as stop:
        stop_in_a_move(t, stop)
        t.kill("imaging-api")
    t.serve("imaging-api")
    assert t.services["export-api"].stop() == 0
    until(lambda: t.in_state(NIGHT_FTPS, "deidentified") == t.in_state(NIGHT_WEB, "deidentified") == 2)
    t.pixl("stop")
    t.populate((NIGHT_FTPS, 23, ""), (NIGHT_WEB, 26, ""))
    with held(t, t.vna.process, t.far.process) as stop:
        stop(t.far.process)
        t.serve("export-api")
        until(lambda: [p for p in (t.ftp.root / NIGHT_FTPS).glob(".*.part") if p.stat().st_size > 0])
        t.ftp.stall()
        until(lambda: t.in_state(NIGHT_FTPS, "delivering") > 0 and t.in_state(NIGHT_WEB, "delivering") > 0)
        t.half_sent = list((t.ftp.root / NIGHT_FTPS).glob(".*.part"))
        stop_in_a_move(t, stop)
        t.kill("imaging-api")
        t.kill("export-api")
    t.serve("imaging-api")
    t.serve("export-api")
    t.wait_until_exported({NIGHT_FTPS: 3, NIGHT_WEB: 3})
    for project in (NIGHT_FTPS, NIGHT_WEB):
        t.pixl("export-patient-data", "--project", project)
    return t


def test_killed_services_lose_and_double_nothing(night):
    t = night
    assert t.half_sent
    assert sum(s.log.read_text().count("claims.recovered") for s in t.services.values()) >= 2
    found = read_zips(t, NIGHT_FTPS)
    web = read_web(t)
    assert len(found) == 3 and len(web) == 2 + 3
    for project, there in ((NIGHT_FTPS, found), (NIGHT_WEB, web)):
        linked = linker_of(t, project)
        assert len({uid for _, uid in linked}) == 3
        for study, uid in linked:
            check_study(t, uid, there[uid], study, {"night"}, instances=NIGHT[study])
    assert {p.name for p in (t.ftp.root / NIGHT_FTPS).iterdir()} == {".pixl-key", SLUG, *(f"{uid}.zip" for uid in found)}
    assert not t.anon.get("/studies")


# --- and all of it together


@pytest.fixture(scope="module")
def everything(omop, two_projects, series, night):
    t = night
    time.sleep(1)
    t.codes = {name: s.stop() for name, s in t.services.items()}
    return t


def test_every_study_was_exported_once(everything):
    t = everything
    assert t.status() == {OMOP: {"exported": 2}, FTPS: {"exported": 2}, WEB: {"exported": 2}, ONE: {"exported": 1}, SOME: {"exported": 1},
                          ALL: {"exported": 1}, NIGHT_FTPS: {"exported": 3}, NIGHT_WEB: {"exported": 3}}
    for image, in t.sql("SELECT image_id FROM pixl_pipeline.image"):
        (story,) = json.loads(t.pixl("trace", image, "--json").stdout)
        assert [e["to"] for e in story["events"]].count("exported") == 1 and story["events"][-1]["to"] == "exported", story
    # Each zip got its name once, and after that nobody wrote to it.
    named = Counter(re.findall(r"^RNTO \S*?(2\.25\.\d+\.zip) 250", (t.ftp.folder / "commands.log").read_text(), re.M))
    assert set(named.values()) == {1} and set(named) == {p.name for p in t.ftp.root.rglob("*.zip")} and len(named) == 2 + 2 + 1 + 1 + 1 + 3


def test_what_arrived_first_is_as_it_was(everything):
    assert len(everything.first_tree) == 2 + 1 + 5 and tree(everything.ftp.root / OMOP) == everything.first_tree
    assert {p.name for p in everything.ftp.root.rglob(".*")} == {".pixl-key"}


def test_services_end_with_0(everything):
    assert everything.codes == {"imaging-api": 0, "export-api": 0}


def test_no_message_is_left(everything):
    with contextlib.closing(pika.BlockingConnection(pika.URLParameters(everything.broker.url))) as connection:
        channel = connection.channel()
        assert channel.queue_declare("imaging", passive=True).method.message_count == 0
        with pytest.raises(pika.exceptions.ChannelClosedByBroker):
            channel.queue_declare("imaging.dead", passive=True)


def test_no_identity_is_in_a_log_or_at_the_far_side(everything):
    t = everything
    told = {"what pixl said": "".join(t.said), "the FTPS server": t.ftp.logs(), "anon": t.anon.log(), "far": t.far.log(),
            "the vault": "\n".join(t.vault.seen), **{p.name: p.read_text() for p in t.base.glob("*-api.*.log")}}
    assert len(told) == 7 and all(len(text) > 1000 for text in told.values()), {who: len(text) for who, text in told.items()}
    for who, text in told.items():
        assert [m for m in IDENTITIES if m.decode().lower() in text.lower()] == [], who
    assert canaries(t.ftp.root, IDENTITIES) == [] and canaries(t.exports, IDENTITIES) == []
    for data in t.far.instances().values():
        assert not any(m.lower() in data.lower() for m in IDENTITIES)


def test_the_page_on_running_it_names_these_settings(town, tmp_path):
    page = (SOURCE / "docs/operations.md").read_text().split("## With every server beside it")[1]
    block = re.search(r"```sh\n(.*?)```", page, re.S)[1]
    named = set(re.findall(r"^(\w+)=", block, re.M))
    assert named == set(town.settings) - {"AZURE_AUTHORITY_HOST", "PIXL_AZURE_CA_FILE", "LOG_LEVEL"}       # of the stand-in, and for this test
    (tmp_path / ".env").write_text(block)
    r = subprocess.run(town.command("config", "show", "--json"), cwd=tmp_path, env=town.environment, capture_output=True, text=True, check=True)
    assert {name for name, how in json.loads(r.stdout).items() if how["from"].startswith(".env:")} == named
