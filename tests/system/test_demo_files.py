"""The files that `pixl demo` makes and delivers, read by tools that nobody here wrote: dcmdump, dciodvfy, pydicom, zipfile.

One demo serves all tests.  What they look for is written down here once more, not taken from pixl."""
import os
import subprocess
import zipfile
from pathlib import Path

import pydicom
import pytest

PIXL = os.environ["PIXL"]
UID_ROOT = "1.2.826.0.1.3680043.10.9999."
STRANGERS = {"README.txt", "DICOMDIR", "incoming.dcm"}


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo") / "hospital"
    done = subprocess.run([PIXL, "demo", "--dir", folder, "--studies", "10"], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return folder, done.stdout


@pytest.fixture(scope="module")
def archive(demo):
    """Every DICOM file of the archive; the damaged one apart."""
    files = sorted(p for p in (demo[0] / "hospital" / "archive").rglob("*") if p.is_file() and p.name not in STRANGERS)
    series = {}
    for path in files:
        series.setdefault((path.parent, path.name[:3]), {})[path] = path.stat().st_size
    damaged = [p for sizes in series.values() for p, n in sizes.items() if n < max(sizes.values()) - 100000]
    assert len(damaged) == 1
    return [p for p in files if p not in damaged], damaged[0]


def delivered(folder):
    for path in sorted((folder / "safe-haven").glob("*/*.zip")):
        with zipfile.ZipFile(path) as z:
            assert z.testzip() is None
            yield path, [(name, z.read(name)) for name in z.namelist()]


def test_dcmdump_reads_every_file(archive):
    files, damaged = archive
    assert len(files) > 100
    done = subprocess.run(["dcmdump", "-q", "+E", *files], capture_output=True)
    assert done.returncode == 0 and not done.stderr, done.stderr[:2000]
    assert b"E:" in subprocess.run(["dcmdump", damaged], capture_output=True).stderr


def test_pydicom_reads_every_file_and_its_people(archive):
    seen = set()
    for path in archive[0]:
        ds = pydicom.dcmread(path)
        seen.add(ds.Modality)
        assert ds.StudyInstanceUID.startswith(UID_ROOT) and ds.file_meta.SourceApplicationEntityTitle == "NORTHMERE_SCP"
        assert str(ds.PatientName.family_name) in path.parts[-3]
        assert ds.PatientID in path.parts[-3] and ds.AccessionNumber in path.parts[-2]
        if ds.Modality != "SR":
            assert len(ds.PixelData) == ds.Rows * ds.Columns * 2 and len(set(ds.PixelData[1::2])) > 2
    assert seen == {"CT", "DX", "MR", "SR"}


def test_dciodvfy_finds_no_error(archive):
    chosen = {(p.parent, p.name[:3]): p for p in archive[0] if p.name != "COPY.dcm"}       # one of each series
    assert len(chosen) > 15
    for path in chosen.values():
        done = subprocess.run(["dciodvfy", path], capture_output=True, text=True, errors="replace")
        errors = [line for line in (done.stdout + done.stderr).splitlines() if line.startswith("Error")]
        assert not errors, (path.name, errors)


def test_every_identity_of_the_archive_is_gone_from_the_zips(demo, archive):
    needles = {UID_ROOT.encode(), b"Northmere", b"NORTHMERE", b"Elfreda", b"Drummelzier"}
    for path in archive[0]:
        ds = pydicom.dcmread(path, stop_before_pixels=True)
        needles |= {ds.PatientID.encode(), ds.AccessionNumber.encode(), ds.PatientBirthDate.encode(), ds.PatientAddress.encode()}
        needles |= {str(ds.PatientName.given_name).encode(), str(ds.PatientName.family_name).encode(),
                    ds.PatientName.original_string.split(b"^")[0]}
    zips = list(delivered(demo[0]))
    assert len(zips) == 6
    for path, entries in zips:
        for name, data in entries:
            for needle in needles:
                assert needle not in data and needle.decode("latin-1") not in name, (path.name, name, needle)


def test_delivered_instances_are_whole_and_pseudonymous(demo, archive):
    wanted = {}
    for path in archive[0]:
        ds = pydicom.dcmread(path)
        if ds.Modality != "SR":
            wanted[ds.PixelData] = ds
    count = 0
    for path, entries in delivered(demo[0]):
        for name, data in entries:
            ds = pydicom.dcmread(pydicom.filebase.DicomBytesIO(data))
            before = wanted[ds.PixelData]                        # the very pixels of one instance of the archive
            assert name == f"{ds.StudyInstanceUID}/{ds.SeriesInstanceUID}/{ds.SOPInstanceUID}.dcm"
            assert path.name == f"{ds.StudyInstanceUID}.zip"
            assert ds.PatientID != before.PatientID and ds.PatientIdentityRemoved == "YES"
            assert (ds.Modality, ds.Rows, ds.InstanceNumber) == (before.Modality, before.Rows, before.InstanceNumber)
            methods = {item.CodeValue for item in ds.get("DeidentificationMethodCodeSequence", [])}
            assert ds.Modality != "CT" or methods == {"113100"}  # its project keeps nothing that the basic profile would not
            assert "SourceApplicationEntityTitle" not in ds.file_meta and ds.preamble == bytes(128)
            for image in ds.get("ReferencedImageSequence", []):  # references point to what was delivered with it
                assert any(image.ReferencedSOPInstanceUID + ".dcm" in other for other, _ in entries)
            count += 1
    assert count == 24 + 24 + 8 + 16 + 1 + 1                     # two CTs, one series of an MR, a whole MR, two X-rays


def test_private_data_is_kept_by_its_creator_only(demo):
    kept = set()
    for _, entries in delivered(demo[0]):
        for _, data in entries:
            ds = pydicom.dcmread(pydicom.filebase.DicomBytesIO(data))
            private = sorted((e.tag.group, e.tag.elem) for e in ds if e.tag.is_private)
            if ds.Modality == "MR":
                kept.add(tuple(private))
            else:
                assert not private
    assert kept == {((0x0019, 0x0010), (0x0019, 0x100C)), ((0x2001, 0x0010), (0x2001, 0x1003))}
