"""Image operations: what lies outside of ultrasound regions is zero in what comes out, as numpy computes it from what pydicom
reads; what cannot be cleaned does not come out."""
import io
import pathlib
import subprocess
import zipfile

import numpy
import pydicom
import pytest
from hospital import TAGS, Hospital, canaries, instance
from pydicom.dataset import Dataset

SAMPLES = pathlib.Path(pydicom.__file__).parent / "data" / "test_files"
NATIVE = ["CT_small.dcm", "MR_small.dcm", "MR_small_implicit.dcm", "SC_rgb_jpeg_dcmd.dcm", "SC_rgb_small_odd.dcm"]
NOT_TO_BE_CLEANED = ["MR_small_padded.dcm", "SC_ybr_full_422_uncompressed.dcm", "JPEG2000.dcm", "MR_small_RLE.dcm", "rtdose.dcm",
                     "liver_1frame.dcm", "reportsi.dcm", "SC_rgb_jpeg_dcmtk.dcm"]
RECIPE = """\
FORMAT dicom
%filter graylist
LABEL all
  coordinates all
LABEL but the regions
  present SequenceOfUltrasoundRegions
  keepcoordinates from:SequenceOfUltrasoundRegions
"""


@pytest.fixture
def hospital(tmp_path):
    return ultrasound(tmp_path)


def ultrasound(base, recipe=RECIPE):
    h = Hospital(base, modalities="US", extra="image_operation_files:\n  deid_recipes: [us.recipe]\n")
    (h.configs / "image-operations").mkdir()
    (h.configs / "image-operations" / "us.recipe").write_text(recipe)
    return h


def regions(*rects):
    """x0, y0, x1, y1, all of them inside."""
    out = []
    for r in rects:
        item = Dataset()
        item.RegionLocationMinX0, item.RegionLocationMinY0, item.RegionLocationMaxX1, item.RegionLocationMaxY1 = r
        out.append(item)
    return out


def masked(pixels, columns, rects):
    """numpy's own arithmetic: rows and columns stand before the samples, whatever the planar configuration."""
    pixels = pixels if pixels.ndim > 2 and pixels.shape[-1] == 3 else pixels[..., None]
    assert pixels.shape[-2] == columns
    keep = numpy.zeros(pixels.shape[-3:-1], bool)
    for x0, y0, x1, y1 in rects:
        keep[y0:y1 + 1, x0:x1 + 1] = True
    return pixels * keep[..., None]


def check(now, was, rects):
    expected = masked(was.pixel_array, was.Columns, rects)
    got = masked(now.pixel_array, now.Columns, [(0, 0, now.Columns, now.Rows)])
    assert expected.any() and (expected != masked(was.pixel_array, was.Columns, [(0, 0, was.Columns, was.Rows)])).any()
    assert got.dtype == expected.dtype and numpy.array_equal(got, expected)
    assert len(now.PixelData) == len(was.PixelData) and now.PixelData[was_bytes(was):] in (b"", b"\0")
    codes = [c.CodeValue for c in now.DeidentificationMethodCodeSequence]
    assert "113101" in codes and "SequenceOfUltrasoundRegions" not in now


def was_bytes(ds):
    return ds.Rows * ds.Columns * ds.SamplesPerPixel * ds.BitsAllocated // 8 * int(ds.get("NumberOfFrames", 1))


def sample(h, number, name, rects):
    ds = pydicom.dcmread(SAMPLES / name)
    ds.SOPClassUID = ds.get("SOPClassUID", "1.2.840.10008.5.1.4.1.1.3.1")
    ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.SOPInstanceUID = "1.2.3.4", "1.2.3.4.5", f"1.2.3.4.5.{number}"
    ds.Modality, ds.Manufacturer, ds.InstanceNumber, ds.BurnedInAnnotation = "US", "Company", number, ""
    ds.SeriesNumber = 1
    ds.SequenceOfUltrasoundRegions = regions(*rects)
    ds.save_as(h.archive / name, write_like_original=False)
    return ds


def test_samples_are_cleaned_or_left_out(hospital, tmp_path):
    h, out, was = hospital, tmp_path / "out", {}
    for number, name in enumerate(NATIVE + NOT_TO_BE_CLEANED, 1):
        was[number] = sample(h, number, name, [(1, 0, 1, 2), (0, 1, 60, 1), (40, 20, 9999, 9999)] if "odd" not in name else [(1, 1, 2, 2)])
    r = h.pixl("deid", h.archive, out, "--project", h.project, ok=None)
    assert f"{len(NATIVE)} written" in r.stdout, r.stdout
    told = r.stdout + r.stderr
    assert "pixels-not-cleaned" in told and "residue" not in told
    seen = {int(d.InstanceNumber): d for d in map(pydicom.dcmread, filter(pathlib.Path.is_file, out.rglob("*")))}
    assert sorted(seen) == list(range(1, len(NATIVE) + 1))
    for number, now in seen.items():
        rows, columns = was[number].Rows, was[number].Columns
        rects = [(1, 1, 2, 2)] if rows == 3 else [(1, 0, 1, 2), (0, 1, 60, 1), (40, 20, columns - 1, rows - 1)]
        check(now, was[number], rects)


def clip(h, number, frames, rows, columns, planar=0, rects=((0, 0, 1, 1),)):
    """A colour clip of random pixels; made by hand, as the samples hold none."""
    d = instance(1, 1, number, mrn=h.mrn(1), accession=h.accession(1), modality="US", side=1)
    dice = numpy.random.default_rng(number)
    shape = (frames, rows, columns, 3) if planar == 0 else (frames, 3, rows, columns)
    pixels = dice.integers(1, 255, shape, numpy.uint8)
    pixels[..., 100:] = 7                                    # so that it deflates
    d.Rows, d.Columns, d.SamplesPerPixel, d.PlanarConfiguration = rows, columns, 3, planar
    d.PhotometricInterpretation, d.NumberOfFrames = "RGB", frames
    d.BitsAllocated, d.BitsStored, d.HighBit = 8, 8, 7
    d.PixelData = pixels.tobytes()
    d["PixelData"].VR = "OB"
    if rects:
        d.SequenceOfUltrasoundRegions = regions(*rects)
    path = h.archive / f"{number}.dcm"
    d.save_as(path, write_like_original=False)
    return path


# Clips of more than 16 MB are never held whole: each level takes another way through the zip.
@pytest.mark.parametrize("level", [0, 1])
def test_a_run_delivers_clean_clips(tmp_path, level):
    h = ultrasound(tmp_path, "keep: SequenceOfUltrasoundRegions\n")
    large, small = [(100, 60, 539, 419), (10, 10, 50, 479)], [(3, 3, 30, 20), (31, 0, 63, 47)]
    was = {1: (clip(h, 1, 24, 480, 640, 0, large), large), 2: (clip(h, 2, 3, 48, 64, 1, small), small)}
    clip(h, 3, 1, 48, 64, 0, ())
    subprocess.run(["dcmcrle", was[2][0], h.archive / "4.dcm"], check=True)
    compressed = pydicom.dcmread(h.archive / "4.dcm")
    compressed.SOPInstanceUID = compressed.file_meta.MediaStorageSOPInstanceUID = compressed.SOPInstanceUID[:-1] + "4"
    compressed.save_as(h.archive / "4.dcm")
    h.ask(1)
    h.write_csv()
    h.pixl("run", h.csv, PIXL_DEFLATE_LEVEL=str(level))
    (path,) = h.zips()
    with zipfile.ZipFile(path) as z:
        assert z.testzip() is None
        seen = {int(d.InstanceNumber): d for d in (pydicom.dcmread(io.BytesIO(z.read(n))) for n in z.namelist())}
    assert sorted(seen) == [1, 2]
    for number, (source, rects) in was.items():
        check(seen[number], pydicom.dcmread(source), rects)
    assert canaries(h.haven) == []


@pytest.mark.parametrize("tag, recipe, says", [
    ("", RECIPE + "LABEL more\n  coordinates 0,0,512,121\n", "image-operations/us.recipe:9:3: 'coordinates 0,0,512,121'"),
    ("- {group: 0x6000, element: 0x3000, op: keep}\n", RECIPE, "(6000,3000) keep"),
], ids=["recipe", "overlay"])
def test_check_tells_what_cannot_be_done(tmp_path, tag, recipe, says):
    h = ultrasound(tmp_path, recipe)
    (h.configs / "tag-operations" / "base.yaml").write_text(TAGS + tag)
    r = h.pixl("config", "check", ok=(1,))
    assert says in r.stdout, r.stdout
