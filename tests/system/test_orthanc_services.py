"""Two archives behind one Orthanc, their rate as the archive sees it, and the imaging API before a slow one."""
import json
import re
import signal
import time

import orthancs
import pytest
from cables import Cable
from hospital import MARK, PIXL, ROOT, Hospital
from processes import status_kib
from services import Service, wait_for

PRIMARY, SECONDARY = "UCPRIMARYQR", "UCSECONDARYQR"
SLOW = 5000                                              # bytes/s of a connection to the archive: a question takes a second
ALWAYS = {"PIXL_SECONDARY_WINDOWS": "mon-sun 00:00-24:00"}


class Site:
    def __init__(self, rig):
        self.rig = rig
        self.first, self.second = rig.orthanc("VNA", start=False), rig.orthanc("OLDVNA", start=False)
        self.raw = rig.orthanc("RAW", modalities={PRIMARY: self.first, SECONDARY: self.second}, start=False, ConcurrentJobs=10)
        for vna in (self.first, self.second):
            vna.let("RAW", self.raw)
            vna.start()
        self.raw.start()


@pytest.fixture(scope="module")
def site():
    with orthancs.Rig() as rig:
        yield Site(rig)


@pytest.fixture
def hospital(tmp_path):
    return Hospital(tmp_path)


def upload(h, vna, *studies):
    for (study, _, _), path in h.files.items():
        if not studies or study in studies:
            vna.upload(path.read_bytes())


def around(site, **env):
    return {"PIXL_ARCHIVE_URL": "orthanc+" + site.raw.login_url, "PIXL_PATIENCE_S": "20", **env}


def states(h):
    return {k: v for p in json.loads(h.pixl("status", "--json").stdout)["projects"] for k, v in p["states"].items() if v}


def reasons(h, number):
    return [e["reason"] for e in json.loads(h.pixl("trace", str(number), "--json").stdout)[0]["events"]]


def test_what_the_primary_lacks_is_asked_of_the_secondary(site, hospital):
    h = hospital
    for study in (101, 102):
        h.add_study(study)
    h.add_study(103, by_uid=False)                       # found by MRN and accession number
    h.ask(104)                                           # nowhere
    upload(h, site.first, 101)
    upload(h, site.second, 102, 103)
    h.write_csv()
    h.pixl("run", h.csv, "--rate", "50", **around(site, SECONDARY_DICOM_SOURCE_MODALITY=SECONDARY, **ALWAYS), ok=(0, 1))
    assert states(h) == {"exported": 3, "missing": 1}
    assert len(h.zips()) == 3
    assert "not-in-primary" not in reasons(h, 1)
    assert all("not-in-primary" in reasons(h, n) for n in (2, 3, 4)) and reasons(h, 4)[-1] == "not-in-archive"


def test_one_archive_named_twice_is_asked_once(site, hospital):
    h = hospital
    h.ask(110)
    h.write_csv()
    before = site.first.log.read_text().count("C-Find request at level: Study")
    h.pixl("run", h.csv, **around(site, SECONDARY_DICOM_SOURCE_MODALITY=PRIMARY, **ALWAYS), ok=(0, 1))
    assert states(h) == {"missing": 1} and "not-in-primary" not in reasons(h, 1)
    # One to learn whether it answers, one by UID, one by number.
    assert site.first.log.read_text().count("C-Find request at level: Study") - before <= 3


def test_outside_of_its_hours_the_secondary_is_left_alone(site, hospital):
    h = hospital
    h.add_study(120)
    upload(h, site.second, 120)
    h.write_csv()
    tomorrow = time.strftime("%a", time.gmtime(time.time() + 2 * 86400)).lower()
    closed = around(site, SECONDARY_DICOM_SOURCE_MODALITY=SECONDARY, PIXL_SECONDARY_WINDOWS=f"{tomorrow} 10:00-11:00", TZ="UTC",
                    PIXL_PATIENCE_S="3")
    before = site.second.log.read_text().count("Incoming Move request")
    h.pixl("run", h.csv, **closed, ok=(75,))
    assert states(h) == {"queued": 1} and reasons(h, 1)[-1] == "not-in-primary"
    assert site.second.log.read_text().count("Incoming Move request") == before
    h.pixl("run", **{**closed, **ALWAYS, "PIXL_PATIENCE_S": "20"})
    assert states(h) == {"exported": 1}


def test_the_rate_as_the_archive_sees_it(site, hospital):
    h, rate, capacity = hospital, 2.0, 5
    studies = range(130, 142)
    for study in studies:
        h.add_study(study)
    upload(h, site.first)
    h.write_csv()
    seen = len(site.first.log.read_text())
    h.pixl("run", h.csv, "--rate", rate, **around(site))
    assert states(h) == {"exported": len(studies)}
    at = [int(d) * 86400 + int(H) * 3600 + int(M) * 60 + float(S) for d, H, M, S in re.findall(
        r"^I\d\d(\d\d) (\d+):(\d+):([\d.]+) \S+ \(dicom\) DICOM C-Find request at level: Study", site.first.log.read_text()[seen:], re.M)]
    assert len(at) == len(studies) + 1                   # the first asks whether it answers
    at = at[1:]
    late = 0.5                                           # what a busy machine may hold back a request that had its token
    for i in range(len(at)):
        for k in range(i, len(at)):
            assert k - i + 1 <= rate * (at[k] - at[i] + late) + capacity, (i, k, at)
    assert at[-1] - at[0] >= (len(studies) - capacity) / rate - late


def test_a_hundred_studies_wait_for_a_slow_archive(site, hospital):
    h, n = hospital, 100
    for study in range(200, 200 + n):
        h.add_study(study, series=1, instances=2, side=256)
    upload(h, site.first)
    h.write_csv()
    h.pixl("populate", h.csv, "--no-start")
    cable = Cable(site.first.port, bytes_per_s=SLOW)
    site.raw.let(PRIMARY, orthancs.Peer("VNA", cable.port))
    service = Service(h, "imaging-api", **around(site, PIXL_MAX_MESSAGES_IN_FLIGHT="100", PIXL_ARCHIVE_TRANSFERS="3",
                                                 PIXL_QUERY_TIMEOUT="60"))
    export = Service(h, "export-api")
    try:
        h.pixl("start", "--rate", "1000")
        most = peak = moves = 0
        until = time.monotonic() + 240
        while states(h) != {"exported": n} and time.monotonic() < until:
            for _ in range(10):
                most = max(most, service.metrics()["pixl_studies_in_flight", ("work", "retrieve")])
                peak = max(peak, status_kib(service.process.pid, "RssAnon"))
                moves = max(moves, sum(j["State"] in ("Running", "Pending") for j in site.raw.jobs()))
                time.sleep(0.05)
        assert states(h) == {"exported": n}, service.log.read_text()[-3000:]
        assert len(h.zips()) == n
        assert most >= 90 and 1 < moves <= 3, (most, moves)
        sanitized = b"__asan_init" in open(PIXL, "rb").read()
        assert sanitized or peak < (64 + n) * 1024, f"{peak} KiB"
        said = service.log.read_text() + export.log.read_text()
        assert MARK not in said and ROOT not in said
    finally:
        cable.end()
        assert service.stop() == 0 and export.stop() == 0
        site.raw.let(PRIMARY, site.first)


def test_told_to_stop_it_gives_a_study_back_in_mid_transfer(site, hospital):
    h = hospital
    h.add_study(350, series=1, instances=150, side=512)
    upload(h, site.first)
    h.write_csv()
    h.pixl("populate", h.csv, "--no-start")
    service = Service(h, "imaging-api", **around(site, PIXL_STOP_S="1"))
    h.pixl("start", "--rate", "50")
    until = time.monotonic() + 60
    while not any(u.startswith(f"{ROOT}.350.") for u in site.raw.sop_uids()):
        assert time.monotonic() < until
    site.first.process.send_signal(signal.SIGSTOP)
    try:
        began = time.monotonic()
        assert service.stop() == 0
        assert time.monotonic() - began < 15
        assert states(h) == {"queued": 1} and reasons(h, 1)[-1] == "stopped"
    finally:
        site.first.process.send_signal(signal.SIGCONT)
    service, export = Service(h, "imaging-api", **around(site)), Service(h, "export-api")
    try:
        wait_for(h, {"exported": 1}, seconds=90)
    finally:
        service.stop()
        export.stop()
