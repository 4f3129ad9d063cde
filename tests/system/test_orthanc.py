"""Archives behind an Orthanc: a "VNA" (another Orthanc, or DCMTK's dcmqrscp) and the "raw" that pixl speaks to, all real."""
import json
import os
import shutil
import signal
import subprocess
import threading
import time

import certificates
import orthancs
import pytest
from cables import Cable
from hospital import MARK, PIXL, ROOT, Hospital, canaries, instance

M = "UCPRIMARYQR"
SECRETS = (orthancs.PASSWORD.encode(), b"CANARYPW")


class Site:
    """A VNA and a raw, and hospitals that share them; each test uses studies of its own."""

    def __init__(self, rig):
        self.rig = rig
        self.vna = rig.orthanc("VNA", start=False, MaximumStorageCacheSize=0)
        self.raw = rig.orthanc("RAW", modalities={M: self.vna}, start=False)
        self.vna.let("RAW", self.raw)
        self.vna.start()
        self.raw.start()

    def hospital(self, base, **how):
        h = Hospital(base, **how)
        h.raw = self.raw
        return h

    def store(self, h, *studies):
        for (study, _, _), path in h.files.items():
            if not studies or study in studies:
                self.vna.upload(path.read_bytes())


@pytest.fixture(scope="module")
def site():
    with orthancs.Rig() as rig:
        yield Site(rig)


def run(h, *args, raw=None, ok=(0,), command="run", **env):
    """pixl run; nothing that it says or leaves behind but the store names the password or a patient."""
    if h.rows:
        h.write_csv()
    url = env.pop("PIXL_ARCHIVE_URL", "orthanc+" + (raw or h.raw).login_url)
    r = h.pixl(command, *([h.csv] if command == "run" else []), *args, ok=ok, PIXL_ARCHIVE_URL=url, PIXL_RATE="100",
               **{"PIXL_PATIENCE_S": "20", **env})
    said = (r.stdout + r.stderr).encode()
    assert not any(s in said for s in SECRETS) and MARK.encode() not in said.replace(os.fsencode(h.base), b"") and ROOT.encode() not in said
    assert canaries(h.haven) == [] and canaries(h.exports) == []
    assert not (h.state / "tmp").exists() or list((h.state / "tmp").iterdir()) == []
    return r


def states(h):
    return {k: v for p in json.loads(h.pixl("status", "--json").stdout)["projects"] for k, v in p["states"].items() if v}


def delivered(h):
    """Entries of each zip."""
    return sorted(int(subprocess.run(["sh", "-c", 'unzip -Z1 "$0" | wc -l', str(z)], check=True, capture_output=True, text=True).stdout)
                  for z in h.zips())


def uids(raw, study):
    return [u for u in raw.sop_uids() if u.startswith(f"{ROOT}.{study}.")]


def moves_of(raw, study):
    """The C-MOVE jobs of raw that were about a study."""
    return [j for j in raw.jobs() if any(q.get("0020,000d") == f"{ROOT}.{study}" for q in j["Content"]["Query"])]


# --- what the reference's tests say


def test_a_study_is_brought_and_delivered(site, tmp_path):
    h = site.hospital(tmp_path)
    h.add_study(1, series=2, instances=3)
    site.store(h)
    run(h)
    assert states(h) == {"exported": 1} and delivered(h) == [6]
    assert len(uids(site.raw, 1)) == 6 and uids(site.raw, 1) == uids(site.vna, 1)
    assert [j["State"] for j in moves_of(site.raw, 1)] == ["Success"]


def test_what_raw_has_is_not_sent_again(site, tmp_path):
    h = site.hospital(tmp_path / "one")
    h.add_study(2, series=2, instances=2)
    site.store(h)
    run(h)
    study = site.raw.post("/tools/find", {"Level": "Study", "Query": {"StudyInstanceUID": f"{ROOT}.2"}})[0]
    before = site.raw.get(f"/studies/{study}")["LastUpdate"], len(moves_of(site.raw, 2))
    time.sleep(1.1)
    other = site.hospital(tmp_path / "two")
    other.add_study(2, series=2, instances=2)
    run(other)
    assert states(other) == {"exported": 1} and delivered(other) == [4]
    assert (site.raw.get(f"/studies/{study}")["LastUpdate"], len(moves_of(site.raw, 2))) == before


@pytest.mark.parametrize("study, series, want", [(3, [1, 3], 4), (4, [2], 2)])
def test_only_the_series_of_the_cohort_are_brought(site, tmp_path, study, series, want):
    h = site.hospital(tmp_path)
    h.add_study(study, series=3, instances=2, ask=False)
    h.ask(study, series_uid="\\".join(f"{ROOT}.{study}.{s}" for s in series))
    site.store(h)
    run(h)
    assert states(h) == {"exported": 1} and delivered(h) == [want]
    assert uids(site.raw, study) == sorted(f"{ROOT}.{study}.{s}.{n}" for s in series for n in (1, 2))


def test_series_that_the_project_does_not_want_stay_where_they_are(site, tmp_path):
    h = site.hospital(tmp_path, min_instances=3)
    h.add_study(5, series=1, instances=3)
    h.files[5, 2, 1] = tmp_path / "small"
    instance(5, 2, 1, mrn=h.mrn(5), accession=h.accession(5)).save_as(h.files[5, 2, 1], write_like_original=False)
    site.store(h)
    run(h)
    assert states(h) == {"exported": 1} and delivered(h) == [3]
    assert uids(site.raw, 5) == [f"{ROOT}.5.1.{n}" for n in (1, 2, 3)]


def test_a_missing_instance_alone_is_brought_again(site, tmp_path):
    h = site.hospital(tmp_path / "one")
    h.add_study(6, series=2, instances=4)
    site.store(h)
    run(h)
    gone = f"{ROOT}.6.1.2"
    kept = site.raw.instance_of(f"{ROOT}.6.1.1")
    before = site.raw.ask("GET", f"/instances/{kept}/metadata/ReceptionDate"), site.vna.moves().get("IMAGE", 0)
    site.raw.delete(f"/instances/{site.raw.instance_of(gone)}")
    assert gone not in uids(site.raw, 6)
    time.sleep(1.1)
    other = site.hospital(tmp_path / "two")
    other.add_study(6, series=2, instances=4)
    run(other)
    assert states(other) == {"exported": 1} and delivered(other) == [8] and len(uids(site.raw, 6)) == 8
    assert (site.raw.ask("GET", f"/instances/{kept}/metadata/ReceptionDate"), site.vna.moves()["IMAGE"] - 1) == before


def test_a_study_that_gained_a_series(site, tmp_path):
    h = site.hospital(tmp_path / "one")
    h.add_study(7, series=1, instances=2)
    site.store(h)
    run(h)
    other = site.hospital(tmp_path / "two")
    other.add_study(7, series=2, instances=2)
    site.store(other)
    run(other)
    assert states(other) == {"exported": 1} and delivered(other) == [4]
    asked = [{q["0020,000e"] for q in j["Content"]["Query"]} for j in moves_of(site.raw, 7)]
    assert sorted(map(sorted, asked)) == [[f"{ROOT}.7.1"], [f"{ROOT}.7.2"]]


def test_found_by_numbers(site, tmp_path):
    h = site.hospital(tmp_path)
    h.add_study(8, by_uid=False)
    h.add_study(9, ask=False)
    h.ask(9)
    h.rows[-1]["study_uid"] = f"{ROOT}.909"              # no such study: falls back to MRN and accession number
    h.add_study(10, ask=False)
    h.ask(10, by_uid=False)
    h.rows[-1]["accession_number"] = h.accession(8)      # another patient's
    site.store(h)
    run(h)
    assert states(h) == {"exported": 2, "missing": 1} and uids(site.raw, 10) == []


def test_missing_in_the_archive(site, tmp_path):
    h = site.hospital(tmp_path)
    h.ask(11)
    h.ask(12, by_uid=False)
    run(h)
    assert states(h) == {"missing": 2}


def test_wildcards_are_not_asked_for(site, tmp_path):
    h = site.hospital(tmp_path)
    h.add_study(13)
    site.store(h)
    h.rows = []
    h.ask(13, by_uid=False)
    h.rows[-1]["accession_number"] = "*"
    run(h, ok=(1,))
    assert states(h) == {"failed": 1} and uids(site.raw, 13) == []


# --- two at once


def test_two_projects_and_one_transfer(site, tmp_path):
    h = site.hospital(tmp_path)
    h.add_study(15, series=2, instances=30, side=256)
    h.project = "other-project"
    h.write_project()
    h.ask(15)
    site.store(h)
    run(h, "--workers", "4")
    assert states(h) == {"exported": 1} and delivered(h) == [60, 60]
    assert len(moves_of(site.raw, 15)) == 1


# --- trouble


def populated(h, *studies, **how):
    for s in studies:
        h.add_study(s, **how)
    h.write_csv()
    return h


def in_background(h, raw, *args, **env):
    h.write_csv()
    return subprocess.Popen(h.command("run", h.csv, *args), cwd=h.base, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                            env={**h.environment, "PIXL_ARCHIVE_URL": "orthanc+" + raw.login_url, "PIXL_RATE": "100", **env})


def wait_until(what, seconds=60):
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end
        time.sleep(0.005)


def test_archive_killed_in_the_middle_of_a_transfer(site, tmp_path):
    h = populated(site.hospital(tmp_path), 20, series=2, instances=100, side=512)
    site.store(h)
    p = in_background(h, site.raw)
    wait_until(lambda: len(site.raw.get("/instances")) and len(uids(site.raw, 20)) > 5)
    site.vna.kill()
    came = len(uids(site.raw, 20))
    time.sleep(2)
    site.vna.start()
    said, _ = p.communicate(timeout=120)
    assert p.returncode == 0, said
    assert came < 200 and states(h) == {"exported": 1} and delivered(h) == [200]
    assert MARK not in said.replace(str(tmp_path), "") and ROOT not in said


def test_archive_away(site, tmp_path):
    h = populated(site.hospital(tmp_path), 21, instances=2)
    site.store(h)
    site.vna.stop()
    try:
        r = run(h, ok=(75,))
        assert "does not answer" in r.stderr and "UCPRIMARYQR" in r.stderr and "archive: archive" not in r.stderr
    finally:
        site.vna.start()
    run(h)
    assert states(h) == {"exported": 1}


def test_raw_away(site, tmp_path):
    h = populated(site.hospital(tmp_path), 22)
    r = run(h, ok=(75,), PIXL_ARCHIVE_URL="orthanc+http://someone:CANARYPW@127.0.0.1:1")
    assert "http://127.0.0.1:1: the connection was refused" in r.stderr


def test_instances_deleted_behind_our_back(site, tmp_path):
    h = populated(site.hospital(tmp_path), 23, instances=40, side=256)
    site.store(h)
    stop = threading.Event()
    deleted = []

    def delete():
        while not stop.is_set():
            for i in site.raw.post("/tools/find", {"Level": "Instance", "Query": {"StudyInstanceUID": f"{ROOT}.23"}})[-3:]:
                try:
                    site.raw.delete(f"/instances/{i}")
                    deleted.append(i)
                except OSError:
                    pass
    t = threading.Thread(target=delete)
    t.start()
    p = in_background(h, site.raw, PIXL_MAX_ATTEMPTS="9")
    try:
        wait_until(lambda: len(deleted) > 10)
        time.sleep(1)
    finally:
        stop.set()
        t.join()
    said, _ = p.communicate(timeout=120)
    assert p.returncode == 0, said
    assert states(h) == {"exported": 1} and delivered(h) == [40]


def test_what_the_archive_cannot_send_is_incomplete(site, tmp_path):
    h = populated(site.hospital(tmp_path), 24, series=2, instances=3)
    site.store(h)
    broken = site.vna.instance_of(f"{ROOT}.24.1.2")
    uuid = site.vna.get(f"/instances/{broken}")["FileUuid"]
    (site.vna.folder / "storage" / uuid[:2] / uuid[2:4] / uuid).unlink()
    r = run(h, ok=(1,), PIXL_MAX_ATTEMPTS="2")
    assert states(h) == {"failed": 1} and h.zips() == []
    assert "reason=incomplete" in r.stderr
    told = h.pixl("trace", "1").stdout
    assert "incomplete" in told and "listed 6, arrived " in told
    assert "incomplete" in h.pixl("failed", ok=None).stdout
    # Mended: it goes on.
    for key, path in h.files.items():
        site.vna.upload(path.read_bytes())
    h.pixl("retry")
    run(h)
    assert states(h) == {"exported": 1} and delivered(h) == [6]


def stalled(server):
    os.kill(server.process.pid, signal.SIGSTOP)


def goes_on(server):
    os.kill(server.process.pid, signal.SIGCONT)


def test_a_transfer_that_stalls_is_cancelled(site, tmp_path):
    h = populated(site.hospital(tmp_path), 25, series=1, instances=200, side=512)
    site.store(h)
    p = in_background(h, site.raw, PIXL_DICOM_TRANSFER_TIMEOUT="4", PIXL_PATIENCE_S="60")
    wait_until(lambda: len(uids(site.raw, 25)) > 2)
    stalled(site.vna)
    try:
        time.sleep(7)
    finally:
        goes_on(site.vna)
    said, _ = p.communicate(timeout=180)
    assert p.returncode == 0, said
    assert states(h) == {"exported": 1} and delivered(h) == [200]


def test_a_job_that_stays_pending(tmp_path):
    with orthancs.Rig() as rig:
        vna, slow = rig.orthanc("VNA", start=False), rig.orthanc("SLOW", start=False)
        raw = rig.orthanc("RAW", modalities={M: vna, "SLOW": slow}, ConcurrentJobs=1)
        for s in (vna, slow):
            s.let("RAW", raw)
            s.start()
        h = populated(Hospital(tmp_path), 26)
        h.add_study(27, ask=False)
        for (study, _, _), path in h.files.items():
            (slow if study == 27 else vna).upload(path.read_bytes())
        q = raw.post("/modalities/SLOW/query", {"Level": "Study", "Query": {"StudyInstanceUID": f"{ROOT}.27"}})["ID"]
        stalled(slow)
        raw.post(f"/queries/{q}/retrieve", {"TargetAet": "RAW", "Synchronous": False, "Timeout": 60})
        p = in_background(h, raw, PIXL_DICOM_TRANSFER_TIMEOUT="2", PIXL_PATIENCE_S="60")
        wait_until(lambda: any(j["State"] == "Failure" and "UCPRIMARYQR" not in str(j["Content"].get("RemoteAet")) for j in moves_of(raw, 26)))
        goes_on(slow)
        said, _ = p.communicate(timeout=120)
        assert p.returncode == 0, said
        assert "did not begin" in said and "attempt=0" in said, said
        assert states(h) == {"exported": 1}


# --- configuration


def test_unknown_modality(site, tmp_path):
    h = populated(site.hospital(tmp_path), 30)
    r = run(h, ok=(2,), PRIMARY_DICOM_SOURCE_MODALITY="UCTYPO")
    assert "knows no modality 'UCTYPO'" in r.stderr and "DicomModalities" in r.stderr


def test_wrong_password(site, tmp_path):
    h = populated(site.hospital(tmp_path), 31)
    r = run(h, ok=None, PIXL_ARCHIVE_URL=f"orthanc+http://pixl:CANARYPW@127.0.0.1:{site.raw.http_port}")
    assert r.returncode not in (0, 75) and "refuses the login" in r.stderr


def test_older_names_of_settings(site, tmp_path):
    h = populated(site.hospital(tmp_path), 32)
    site.store(h)
    env = {"PIXL_ARCHIVE_URL": "", "ORTHANC_RAW_URL": site.raw.url, "ORTHANC_RAW_USERNAME": orthancs.USER, "VNAQR_MODALITY": M,
           "ORTHANC_RAW_PASSWORD": orthancs.PASSWORD, "ORTHANC_RAW_AE_TITLE": "RAW"}
    run(h, **env)
    assert states(h) == {"exported": 1}
    shown = h.pixl("config", "show", **env).stdout + h.pixl("config", "show", PIXL_ARCHIVE_URL="orthanc+" + site.raw.login_url).stdout
    assert not any(s.decode() in shown for s in SECRETS) and "CANARYPW" not in shown and site.raw.url in shown


def test_ae_title_that_may_not_ask(tmp_path):
    with orthancs.Rig() as rig:
        vna = rig.orthanc("VNA")                                # answers C-ECHO to anybody, and knows nobody
        raw = rig.orthanc("RAW", modalities={M: vna})
        h = populated(Hospital(tmp_path), 33)
        r = run(h, raw=raw, ok=None)
        assert r.returncode not in (0, 75)
        assert "the archive 'UCPRIMARYQR' answers C-ECHO, but no C-FIND: the AE title RAW of " in r.stderr and "registered there" in r.stderr


def test_ae_title_that_is_no_destination(site, tmp_path):
    h = populated(site.hospital(tmp_path), 34)
    site.store(h)
    r = run(h, ok=(1,), ORTHANC_RAW_AE_TITLE="NOWHERE", PIXL_MAX_ATTEMPTS="1")
    assert states(h) == {"failed": 1} and "is AE title NOWHERE known there as a destination?" in r.stderr


@pytest.mark.parametrize("ca, says", [("ca.pem", None), ("other.pem", "unknown CA")])
def test_https(site, tmp_path, ca, says):
    certificates.make(tmp_path / "certs")
    h = populated(site.hospital(tmp_path / "h"), 35)
    site.store(h)
    with Cable(site.raw.http_port, tls=certificates.server_context(tmp_path / "certs")) as cable:
        r = run(h, ok=None, PIXL_ARCHIVE_URL=f"orthanc+https://{orthancs.LOGIN}@localhost:{cable.port}",
                PIXL_ARCHIVE_CA=str(tmp_path / "certs" / ca))
    if says:
        assert r.returncode not in (0, 75) and says in r.stderr
    else:
        assert r.returncode == 0 and states(h) == {"exported": 1}


def test_what_pixl_brought_is_released(site, tmp_path):
    h = populated(site.hospital(tmp_path), 36, 37, series=2, instances=2)
    site.store(h)
    for n in (1, 2):                                            # somebody else has it in raw already
        site.raw.upload(h.files[36, 1, n].read_bytes())
    run(h, PIXL_ARCHIVE_RELEASE="1")
    assert states(h) == {"exported": 2} and delivered(h) == [4, 4]
    assert uids(site.raw, 37) == [] and uids(site.raw, 36) == [f"{ROOT}.36.1.{n}" for n in (1, 2)]


def test_what_a_killed_run_asked_for_is_released_later(site, tmp_path):
    h = populated(site.hospital(tmp_path), 38, series=2, instances=100, side=512)
    site.store(h)
    site.raw.upload(h.files[38, 1, 1].read_bytes())             # somebody else has it in raw already
    p = in_background(h, site.raw, PIXL_ARCHIVE_RELEASE="1")
    wait_until(lambda: len(uids(site.raw, 38)) > 5)
    child = int(open(f"/proc/{p.pid}/task/{p.pid}/children").read().split()[0])
    for pid in (p.pid, child):
        os.kill(pid, signal.SIGKILL)
    p.communicate()
    at_kill = len(uids(site.raw, 38))
    wait_until(lambda: len(uids(site.raw, 38)) >= 100, 10)      # the archive goes on sending the series that was asked for
    run(h, PIXL_ARCHIVE_RELEASE="1")
    assert at_kill < 100 and states(h) == {"exported": 1} and delivered(h) == [200]
    assert uids(site.raw, 38) == [f"{ROOT}.38.1.1"]


# --- another make, and size


def test_dcmqrscp(tmp_path):
    with orthancs.Rig() as rig:
        vna = rig.dcmqrscp("VNA", start=False)
        raw = rig.orthanc("RAW", modalities={M: vna})
        vna.let("RAW", raw)
        vna.start()
        h = populated(Hospital(tmp_path / "one"), 40, 41, series=2, instances=3)
        h.rows[-1]["study_uid"] = ""
        h.ask(42)
        vna.upload(*(p.read_bytes() for p in h.files.values()))
        run(h, raw=raw)
        assert states(h) == {"exported": 2, "missing": 1} and delivered(h) == [6, 6]
        # A part of it, twice: single instances and a whole series are asked for again.
        for u in (f"{ROOT}.40.1.1", f"{ROOT}.40.1.3", *(f"{ROOT}.41.2.{n}" for n in (1, 2, 3))):
            raw.delete(f"/instances/{raw.instance_of(u)}")
        other = populated(Hospital(tmp_path / "two"), 40, 41, series=2, instances=3)
        run(other, raw=raw)
        assert states(other) == {"exported": 2} and delivered(other) == [6, 6] and len(raw.sop_uids()) == 12


def test_dcmqrscp_without_our_destination(tmp_path):
    with orthancs.Rig() as rig:
        vna = rig.dcmqrscp("VNA", start=False)
        raw = rig.orthanc("RAW", modalities={M: vna})
        vna.let("RAW", raw)
        vna.start()
        h = populated(Hospital(tmp_path), 43)
        vna.upload(*(p.read_bytes() for p in h.files.values()))
        r = run(h, raw=raw, ok=(75,), ORTHANC_RAW_AE_TITLE="NOWHERE", PIXL_PATIENCE_S="3")
        assert "the AE title NOWHERE must be registered there as a destination" in r.stderr
        assert states(h) == {"queued": 1}


def rss_anon(pid):
    try:
        family = [pid, *map(int, open(f"/proc/{pid}/task/{pid}/children").read().split())]
        return max(int(line.split()[1]) for p in family for line in open(f"/proc/{p}/status") if line.startswith("RssAnon"))
    except (OSError, ValueError):
        return 0


def test_a_large_study_in_little_memory(site, tmp_path):
    n = 640 if os.environ.get("PIXL_TEST_LONG") else 128        # of 8 MiB
    if shutil.disk_usage(tmp_path).free < n * (64 << 20):
        pytest.skip(f"needs {n >> 4} GiB of disk")
    h = site.hospital(tmp_path)
    d = instance(50, 1, 1, mrn=h.mrn(50), accession=h.accession(50), side=2048)
    for i in range(1, n + 1):
        d.SOPInstanceUID = d.file_meta.MediaStorageSOPInstanceUID = f"{ROOT}.50.1.{i}"
        d.InstanceNumber = i
        site.vna.upload(d)
    h.ask(50)
    p = in_background(h, site.raw, PIXL_DEFLATE_LEVEL="0")
    out = []
    reader = threading.Thread(target=lambda: out.append(p.stdout.read()))
    reader.start()
    peak = 0
    while p.poll() is None:
        peak = max(peak, rss_anon(p.pid))
        time.sleep(0.01)
    reader.join()
    assert p.returncode == 0, out
    assert states(h) == {"exported": 1} and delivered(h) == [n]
    sanitized = b"__asan_init" in open(PIXL, "rb").read()
    assert 0 < peak < 64 * 1024 or sanitized, f"{peak} KiB"
