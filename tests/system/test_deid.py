"""`pixl deid`: files in, files out, judged by dcmdump and pydicom; encapsulated input is made by DCMTK."""
import hashlib
import json
import pathlib
import shutil
import subprocess

import pydicom
import pytest
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_data_element
from hospital import MARK, ROOT, Hospital, canaries

RLE = "1.2.840.10008.1.2.5"


@pytest.fixture
def hospital(tmp_path):
    return Hospital(tmp_path)


def hashes(folder):
    return {p.relative_to(folder): (hashlib.sha256(p.read_bytes()).hexdigest(), p.stat().st_mtime_ns) for p in folder.rglob("*") if p.is_file()}


def deid(h, out, *args, ok=(0,), given=None, **env):
    return h.pixl("deid", given or h.archive, out, "--project", h.project, *args, ok=ok, **env)


def read(out):
    """Every file below OUT by its path; there is nothing but DICOM."""
    return {p.relative_to(out): pydicom.dcmread(p) for p in sorted(out.rglob("*")) if p.is_file()}


def test_names_syntaxes_and_pixels(hospital, tmp_path):
    h, out = hospital, tmp_path / "out"
    h.add_study(1, series=2, instances=2)
    h.add_study(2, implicit=True)
    h.add_study(3, instances=1)
    rle = h.files[3, 1, 1]
    subprocess.run(["dcmcrle", rle, tmp_path / "rle"], check=True)
    shutil.move(tmp_path / "rle", rle)
    originals = {ds.file_meta.MediaStorageSOPInstanceUID: ds for ds in map(pydicom.dcmread, h.files.values())}
    assert sorted({ds.file_meta.TransferSyntaxUID for ds in originals.values()}) == ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1", RLE]
    before = hashes(h.archive)
    r = deid(h, out)
    assert "7 files: 7 written" in r.stdout and "made" in r.stderr
    assert hashes(h.archive) == before
    files = read(out)
    assert len(files) == 7
    by_pixels = {ds.PixelData: ds for ds in originals.values()}
    assert len(by_pixels) == 7
    for path, ds in files.items():
        study, series, name = path.parts
        assert (study, series, name) == (ds.StudyInstanceUID, ds.SeriesInstanceUID, f"{ds.SOPInstanceUID}.dcm")
        assert all(uid.startswith("2.25.") for uid in (study, series, name))
        before_it = by_pixels[ds.PixelData]                      # the very bytes, encapsulated ones too
        assert ds.file_meta.TransferSyntaxUID == before_it.file_meta.TransferSyntaxUID
        assert ds.file_meta.MediaStorageSOPInstanceUID == ds.SOPInstanceUID
        assert ds.PatientName == "ANONYMIZED" and ds.PatientIdentityRemoved == "YES"
        assert (ds.SeriesNumber, ds.InstanceNumber) == (before_it.SeriesNumber, before_it.InstanceNumber)
    dump = subprocess.run(["dcmdump", "-q", "+E", *(out / p for p in files)], capture_output=True)
    assert dump.returncode == 0 and not dump.stderr, dump.stderr[:2000]
    rle_out = next(out / p for p, ds in files.items() if ds.file_meta.TransferSyntaxUID == RLE)
    assert subprocess.run(["dcmdrle", rle_out, tmp_path / "plain"], capture_output=True).returncode == 0
    plain_before = subprocess.run(["dcmdrle", rle, tmp_path / "plain-before"], capture_output=True)
    assert plain_before.returncode == 0
    assert pydicom.dcmread(tmp_path / "plain").PixelData == pydicom.dcmread(tmp_path / "plain-before").PixelData
    assert canaries(out) == []


def reverse_elements(path):
    """The same instance with the elements of its data set, and of each item, from the last to the first."""
    ds = pydicom.dcmread(path)
    body = DicomBytesIO()
    body.is_little_endian, body.is_implicit_VR = True, False
    for element in reversed(list(ds)):
        write_data_element(body, element)
    whole = path.read_bytes()
    path.write_bytes(whole[:144 + ds.file_meta.FileMetaInformationGroupLength] + body.getvalue())


def test_every_coding_stays_what_it_was(hospital, tmp_path):
    h, out = hospital, tmp_path / "out"
    for study, option in ((1, "+tb"), (2, "+td"), (3, None)):
        h.add_study(study, instances=1)
        path = h.files[study, 1, 1]
        if option:
            subprocess.run(["dcmconv", option, path, tmp_path / "converted"], check=True)
            shutil.move(tmp_path / "converted", path)
        else:
            reverse_elements(path)
    originals = {study: pydicom.dcmread(h.files[study, 1, 1]) for study in (1, 2, 3)}
    assert "3 files: 3 written" in deid(h, out).stdout
    files = read(out)
    assert sorted(ds.file_meta.TransferSyntaxUID for ds in files.values()) == [
        "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.2"]
    for path, ds in files.items():
        before = next(o for o in originals.values() if o.file_meta.TransferSyntaxUID == ds.file_meta.TransferSyntaxUID)
        assert ds.PixelData == before.PixelData and (ds.Rows, ds.BitsStored) == (before.Rows, before.BitsStored)
        assert ds.PatientName == "ANONYMIZED" and ds.PatientIdentityRemoved == "YES"
        assert [e.tag for e in ds] == sorted(e.tag for e in ds)
        assert ds.ReferencedImageSequence[0].ReferencedSOPInstanceUID.startswith("2.25.")
        assert (out / path).stat().st_size % 2 == 0
        dump = subprocess.run(["dcmdump", "-q", "+E", out / path], capture_output=True)
        assert dump.returncode == 0 and not dump.stderr, dump.stderr[:2000]
        (tmp_path / "plain").mkdir(exist_ok=True)
        subprocess.run(["dcmconv", "+te", out / path, tmp_path / "plain" / path.name], check=True)
    assert canaries(out) == [] and canaries(tmp_path / "plain") == []


def test_what_is_left_out(hospital, tmp_path):
    h, out = hospital, tmp_path / "out"
    h.add_study(1)
    h.add_study(2, instances=3)
    leak = pydicom.dcmread(h.files[2, 1, 3])                     # one leaking instance: nothing of its study is written
    leak.StudyDescription = f"dictated by {MARK}son"
    leak.save_as(h.files[2, 1, 3])
    h.add_study(3, modality="MR")
    h.add_study(4)
    h.files[4, 1, 1].write_bytes(h.files[4, 1, 1].read_bytes()[:-100])
    (h.archive / "notes.txt").write_text(f"{MARK} is a stranger")
    (h.archive / "empty").write_bytes(b"")
    before = hashes(h.archive)
    r = deid(h, out, "--json", ok=(1,))
    told = json.loads(r.stdout)
    assert (told["files"], told["not_dicom"], told["studies"], told["withheld_studies"]) == (11, 2, 4, 1)
    assert told["written"] == 3 and told["skipped"] == {"residue": 1, "modality": 2, "unreadable-instance": 1}
    files = read(out)
    assert len(files) == 3 and sorted(len(list(p.rglob("*.dcm"))) for p in out.iterdir()) == [1, 2]
    assert {ds.PixelData for ds in files.values()} == {pydicom.dcmread(h.files[k]).PixelData for k in ((1, 1, 1), (1, 1, 2), (4, 1, 2))}
    assert told["bytes"] == sum((out / p).stat().st_size for p in files)
    assert [p for p in out.rglob(".*")] == [] and canaries(out) == [] and hashes(h.archive) == before
    text = deid(h, out, ok=(1,)).stdout
    assert "2 no DICOM" in text and "4 studies, 1 withheld" in text and MARK not in text


def test_frames_count_as_instances(hospital, tmp_path):
    h, out = hospital, tmp_path / "out"
    h.write_project(min_instances=2)
    h.add_study(1, instances=1)                                  # one image: too few
    h.add_study(2, instances=1)                                  # one object of three frames: enough
    d = pydicom.dcmread(h.files[2, 1, 1])
    d.SOPClassUID = d.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.2.1"
    d.NumberOfFrames = 3
    d.PixelData = d.PixelData * 3
    d.save_as(h.files[2, 1, 1])
    h.add_study(3, instances=1)
    shutil.copy(h.files[3, 1, 1], h.files[3, 1, 1].with_name("again"))       # twice the same: too few
    told = json.loads(deid(h, out, "--json", ok=(1,)).stdout)
    assert told["written"] == 1 and told["skipped"] == {"too-few-instances": 2}
    (only,) = read(out).values()
    assert only.PixelData == d.PixelData and only.NumberOfFrames == 3


def test_a_second_call_replaces(hospital, tmp_path):
    h, out = hospital, tmp_path / "out"
    h.add_study(1, instances=3)
    h.add_study(2)
    deid(h, out)
    first = {p: ds.PixelData for p, ds in read(out).items()}
    digests = {p: d for p, (d, _) in hashes(out).items()}
    deid(h, out)
    assert {p: d for p, (d, _) in hashes(out).items()} == digests      # the same names and bytes
    h.files[1, 1, 3].unlink()
    deid(h, out)
    left = read(out)
    assert len(left) == 4 and set(left) < set(first)


def test_one_file_and_places_that_are_refused(hospital, tmp_path):
    h = hospital
    h.add_study(1, instances=2)
    deid(h, tmp_path / "one", given=h.files[1, 1, 2])
    (only,) = read(tmp_path / "one").values()
    assert only.PixelData == pydicom.dcmread(h.files[1, 1, 2]).PixelData
    before = hashes(h.archive)
    for inside in (h.archive, h.archive / "st1", h.archive / "new", h.archive / "new" / "deeper"):
        r = deid(h, inside, ok=(2,))
        assert "inside the input" in r.stderr, inside
        assert hashes(h.archive) == before
    assert not (h.archive / "new").exists(), "a refused call leaves nothing in the input"
    assert deid(h, tmp_path / "none", ok=(1, 2), given=tmp_path / "absent").stderr.strip()
    r = h.pixl("deid", h.archive, tmp_path / "none", "--project", "no-such", ok=(1, 2))
    assert "no-such" in r.stderr and not list((tmp_path / "none").glob("*/*"))
    assert "--project" in h.pixl("deid", h.archive, tmp_path / "none", ok=(2,)).stderr


def test_an_older_result_of_a_withheld_study_goes(hospital, tmp_path):
    h, out = hospital, tmp_path / "out"
    h.add_study(1)
    h.add_study(2)
    deid(h, out)
    assert len(read(out)) == 4
    leak = pydicom.dcmread(h.files[2, 1, 2])
    leak.StudyDescription = f"for {MARK}son"
    leak.save_as(h.files[2, 1, 2])
    deid(h, out, ok=(1,))
    assert len(read(out)) == 2 and len(list(out.iterdir())) == 1


def test_links_are_not_followed_out_of_the_input(hospital, tmp_path):
    h, out = hospital, tmp_path / "out"
    h.add_study(1)
    h.add_study(2, folder=tmp_path / "elsewhere")
    (h.archive / "link").symlink_to(tmp_path / "elsewhere")
    (h.archive / "file").symlink_to(h.files[2, 1, 1])
    deid(h, out)
    assert len(read(out)) == 2


def test_pseudonyms_are_those_of_a_run(hospital, tmp_path):
    h, out = hospital, tmp_path / "out"
    h.add_study(1, series=2)
    h.add_study(2, instances=1)
    h.write_csv()
    h.pixl("run", h.csv)
    assert "new hashing key" not in deid(h, out).stderr
    import zipfile
    ran = {}
    for z in h.zips():
        with zipfile.ZipFile(z) as opened:
            ran.update({name: opened.read(name) for name in opened.namelist()})
    assert {str(p) for p in read(out)} == set(ran)
    for name, data in ran.items():                               # but for the accession number they are the same bytes
        mine, theirs = pydicom.dcmread(out / name), pydicom.dcmread(pydicom.filebase.DicomBytesIO(data))
        assert mine.PatientID == theirs.PatientID and mine.PixelData == theirs.PixelData
        assert mine.ReferencedImageSequence[0].ReferencedSOPInstanceUID == theirs.ReferencedImageSequence[0].ReferencedSOPInstanceUID


def test_without_any_state_the_key_made_first_is_used_by_a_run(hospital, tmp_path):
    h, out = hospital, tmp_path / "out"
    h.add_study(1)
    h.write_csv()
    deid(h, out)
    h.pixl("run", h.csv)
    assert [p.stem for p in h.zips()] == [p.name for p in out.iterdir()]
    key = (h.state / "secrets.env").read_bytes()
    (h.state / "secrets.env").unlink()
    r = deid(h, tmp_path / "other", ok=(1, 2))
    assert "backup" in r.stderr and not (h.state / "secrets.env").exists()
    (h.state / "secrets.env").write_bytes(key)


def test_output_that_cannot_be_written(hospital, tmp_path):
    h = hospital
    h.add_study(1)
    out = tmp_path / "out"
    out.write_text("a file")
    assert deid(h, out, ok=(1, 2)).stderr.strip()
    assert out.read_text() == "a file"


def test_nothing_that_is_printed_names_a_patient(hospital, tmp_path):
    h = hospital
    folder = h.archive / "plain"
    h.add_study(1, folder=folder)
    h.add_study(2, folder=folder / "two", study_description=f"{MARK}son")
    for p in folder.rglob("*.bin"):
        p.rename(p.parent / p.name.replace(MARK, "f"))
    r = deid(h, tmp_path / "out", ok=(1,), LOG_LEVEL="debug")
    assert MARK.lower() not in (r.stdout + r.stderr).lower() and ROOT not in r.stdout + r.stderr
