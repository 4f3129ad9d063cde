"""Projects made by `pixl config new`, run on pydicom's samples and on made-up images of the modalities that it has none
of; what comes out is judged by dciodvfy (no error that was not there before) and by dcm2niix (the same volume)."""
import json
import os
import re
import subprocess
import warnings
from pathlib import Path

import pydicom
import pytest
from images_of_every_kind import KINDS, item, ultrasound

warnings.simplefilter("ignore")
PIXL = os.path.abspath(os.environ.get("PIXL", "build/release/pixl"))
DATA = Path(pydicom.__file__).parent / "data" / "test_files"
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
ALL_CODES = {"ct": ["CT"], "mr": ["MR"], "mr-diffusion": ["MR"], "xray": ["CR", "DX", "MG"], "pet": ["PT"], "us": ["US"],
             "rt": ["RTDOSE", "RTPLAN", "RTSTRUCT", "RTIMAGE"]}


class Project:
    """A configs folder of its own; min_instances_per_series is set to 1, as an owner of single images would."""

    def __init__(self, base, *args, name="Some Study"):
        self.base = Path(base)
        self.base.mkdir(parents=True, exist_ok=True)
        self.pixl("config", "new", "some-study", "--name", name, *args)
        self.file = self.base / "configs" / "some-study.yaml"
        text = self.file.read_text()
        assert text.count("min_instances_per_series: ") == 1
        self.file.write_text(re.sub("min_instances_per_series: .*", "min_instances_per_series: 1", text))

    def pixl(self, *args, ok=(0,)):
        keep = {k: v for k, v in os.environ.items() if not k.startswith(("PIXL_", "PROJECT_", "HOST_EXPORT"))}
        env = {**keep, "PIXL_STATE_DIR": str(self.base / "state"), "PROJECT_CONFIGS_DIR": str(self.base / "configs")}
        r = subprocess.run([PIXL, *map(str, args)], env=env, cwd=self.base, capture_output=True, text=True, timeout=300)
        assert r.returncode in ok, f"{args}: {r.returncode}\n{r.stdout}\n{r.stderr}"
        return r

    def switch_on(self, *lists):
        """As the file says: a list behind a '#'."""
        text = self.file.read_text()
        for name in lists:
            assert f"# - {name}" in text
            text = text.replace(f"# - {name}", f"- {name}")
        self.file.write_text(text)

    def deid(self, given, out, ok=(0,)):
        r = self.pixl("deid", given, out, "--project", "some-study", "--json", ok=ok)
        return json.loads(r.stdout)


def read_all(folder):
    return [pydicom.dcmread(p) for p in sorted(Path(folder).rglob("*")) if p.is_file()]


def errors(path):
    """dciodvfy's errors, but one: it takes the constant date for a mistake, and sums such mistakes up in a line."""
    r = subprocess.run(["dciodvfy", path], capture_output=True, text=True, errors="replace")
    assert r.returncode in (0, 1), r.stderr
    lines = {re.sub(r"<[\d.]{20,}>", "<a UID>", line) for line in (r.stdout + r.stderr).splitlines() if line.startswith("Error")}
    dates = {line for line in lines if "invalid for this VR" in line and re.search("<00010101(010101.000000.0000)?>", line)}
    left = lines - dates
    if dates and not any("invalid for this VR" in line for line in left):
        left.discard("Error - Dicom dataset contains invalid data values for Value Representations")
    return left


def walk(ds, path=()):
    for e in ds:
        yield path, e
        if e.VR == "SQ":
            for item in e.value:
                yield from walk(item, (*path, e.tag))


def empty_items(ds):
    return [(*path, e.tag) for path, e in walk(ds) if e.VR == "SQ" and any(len(item) == 0 for item in e.value)]


def one_out(project, path, tmp_path, ok=(0,)):
    out = tmp_path / "out"
    told = project.deid(path, out, ok=ok)
    files = [p for p in out.rglob("*.dcm")]
    assert len(files) == 1, (path, told)
    return files[0]


SAMPLES = [("ct", "CT_small.dcm"), ("ct", "dicomdirtests/77654033/CT2/17106"), ("ct", "dicomdirtests/98892001/CT5N/2062"),
           ("mr", "MR_small.dcm"), ("mr", "MR_small_implicit.dcm"), ("mr", "dicomdirtests/98892003/MR700/4678"),
           ("mr-diffusion", "dicomdirtests/98892003/MR700/4467"), ("xray", "dicomdirtests/77654033/CR1/6154"),
           ("rt", "rtplan.dcm"), ("rt", "rtstruct.dcm")]


@pytest.mark.parametrize("modality, name", SAMPLES)
def test_a_sample_is_as_valid_as_before(tmp_path, modality, name):
    source = DATA / name
    project = Project(tmp_path, "--modality", modality)
    after = one_out(project, source, tmp_path)
    assert not errors(after) - errors(source)
    compare_pixels(source, after)
    was, now = pydicom.dcmread(source, force=True), pydicom.dcmread(after)
    empty_before = {path for path in empty_items(was)}
    assert set(empty_items(now)) <= empty_before
    for _, e in walk(now):
        if e.VR == "PN":
            assert str(e.value) in ("", "ANONYMIZED"), e.tag


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_made_up_image_is_valid_before_and_after(tmp_path, kind):
    modality, make = KINDS[kind]
    source = tmp_path / "in.dcm"
    make().save_as(source, write_like_original=False)
    assert not errors(source), "the judge must have nothing to say of the original"
    project = Project(tmp_path / "p", "--modality", modality)
    after = one_out(project, source, tmp_path)
    assert not errors(after)
    compare_pixels(source, after)


def compare_pixels(source, after):
    was, now = pydicom.dcmread(source, force=True), pydicom.dcmread(after)
    assert ("PixelData" in was) == ("PixelData" in now)
    if "PixelData" in was:
        assert now.PixelData == was.PixelData
        assert now.get("NumberOfFrames") == was.get("NumberOfFrames")


# --- the same volume -------------------------------------------------------------------------------------------------

def volumes(folder, out):
    """Every series as dcm2niix makes it: name by numbers only -> the bytes of the NIfTI file (header and voxels)."""
    out.mkdir()
    r = subprocess.run(["dcm2niix", "-b", "y", "-ba", "y", "-f", "%s_%q", "-o", out, folder], capture_output=True, text=True)
    assert r.returncode == 0, r.stdout + r.stderr
    return {p.name: p for p in sorted(out.glob("*.nii"))}


# What a NIfTI header says of the volume: dimensions, type, spacing, scale, orientation; the text of the file's origin
# (descrip, aux_file, intent_name) holds the time of acquisition.
def volume(path):
    data = path.read_bytes()
    return data[40:148], data[252:328], data[352:]


def ct_series(base):
    """The heart's slices of pydicom's samples, in a folder."""
    folder = base / "series"
    folder.mkdir()
    for p in (DATA / "dicomdirtests" / "98892001" / "CT5N").iterdir():
        (folder / p.name).write_bytes(p.read_bytes())
    return folder


def mr_series(base):
    """pydicom's MR slice as five slices, oblique and with a scale, as a scanner would give them."""
    folder = base / "series"
    folder.mkdir()
    ds = pydicom.dcmread(DATA / "MR_small.dcm")
    pixels, root = ds.PixelData, ds.SOPInstanceUID
    for i in range(5):
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = f"{root}.{i + 1}"
        ds.InstanceNumber, ds.SliceThickness, ds.SpacingBetweenSlices = i + 1, 2, 2.5
        ds.ImageOrientationPatient = [0.8, 0.6, 0, 0, 0, -1]
        ds.ImagePositionPatient = [-50 - 1.5 * i, -40 + 2 * i, 60]
        ds.SliceLocation, ds.RescaleSlope, ds.RescaleIntercept = 2.5 * i, 2.5, -10
        ds.PixelData = pixels[2 * i:] + pixels[:2 * i]
        ds.AcquisitionTime, ds.ContentTime = f"1015{i:02d}", f"1016{i:02d}"
        ds.save_as(folder / f"{i}.dcm")
    return folder


@pytest.mark.parametrize("modality, make, shape", [("ct", ct_series, (512, 512, 5)), ("mr", mr_series, (64, 5, 64)),
                                                   ("mr-diffusion", mr_series, (64, 5, 64))])
def test_dcm2niix_makes_the_same_volume(tmp_path, modality, make, shape):
    folder = make(tmp_path)
    if modality == "ct":                             # the samples' pixels are cut to a few bytes: give them all
        for n, p in enumerate(sorted(folder.iterdir())):
            ds = pydicom.dcmread(p)
            ds.Rows, ds.Columns, ds.PixelData = 512, 512, bytes((i * (n + 3)) % 251 % (16 if i % 2 else 256) for i in range(4096)) * 128
            ds.save_as(p)
    project = Project(tmp_path / "p", "--modality", modality)
    told = project.deid(folder, tmp_path / "out")
    assert told["written"] == 5
    before, after = volumes(folder, tmp_path / "before"), volumes(tmp_path / "out", tmp_path / "after")
    assert list(before) == list(after) and len(before) == 1
    (was,), (now,) = before.values(), after.values()
    assert volume(was) == volume(now)
    dims = [int.from_bytes(was.read_bytes()[i:i + 2], "little") for i in (42, 44, 46)]
    assert tuple(dims) == shape


def diffusion_series(base, maker):
    """Three volumes of four slices, the weighting in the maker's private elements."""
    folder = base / "series"
    folder.mkdir()
    ds = pydicom.dcmread(DATA / "MR_small.dcm")
    root = ds.SOPInstanceUID
    ds.Manufacturer, ds.ImageType = maker, ["ORIGINAL", "PRIMARY", "M", "SE"]
    ds.ImageOrientationPatient, ds.SliceThickness, ds.SpacingBetweenSlices = [1, 0, 0, 0, 1, 0], 2, 2
    ds.PatientPosition, ds.ScanningSequence, ds.InPlanePhaseEncodingDirection = "HFS", "EP", "COL"
    for n, (b, direction) in enumerate([(0, (0, 0, 0)), (800, (1, 0, 0)), (800, (0, 0.6, 0.8))]):
        for i in range(4):
            ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = f"{root}.{4 * n + i + 1}"
            ds.InstanceNumber, ds.ImagePositionPatient, ds.SliceLocation = 4 * n + i + 1, [-50, -40, 2 * i], 2 * i
            ds.AcquisitionNumber = n + 1
            if maker.startswith("Philips"):
                block = ds.private_block(0x2001, "Philips Imaging DD 001", create=True)
                block.add_new(0x03, "FL", float(b))
                block = ds.private_block(0x2005, "Philips MR Imaging DD 001", create=True)
                for k in range(3):
                    block.add_new(0xB0 + k, "FL", float(direction[k]))
                block.add_new(0x0D, "FL", 0.0)
                block.add_new(0x0E, "FL", 1.25)
            else:
                ds.private_block(0x0043, "GEMS_PARM_01", create=True).add_new(0x39, "IS", [b, 8, 0, 0])
                block = ds.private_block(0x0019, "GEMS_ACQU_01", create=True)
                for k in range(3):
                    block.add_new(0xBB + k, "DS", float(direction[k]))
                block.add_new(0xE0, "DS", 2.0 if b else 0.0)
            ds.save_as(folder / f"{n}-{i}.dcm")
    return folder


@pytest.mark.parametrize("maker", ["Philips Medical Systems", "GE MEDICAL SYSTEMS"])
def test_dcm2niix_finds_the_same_diffusion_weighting(tmp_path, maker):
    folder = diffusion_series(tmp_path, maker)
    project = Project(tmp_path / "p", "--modality", "mr-diffusion")
    assert project.deid(folder, tmp_path / "out")["written"] == 12
    before, after = volumes(folder, tmp_path / "before"), volumes(tmp_path / "out", tmp_path / "after")
    assert list(before) == list(after) and len(before) == 1
    (was,), (now,) = before.values(), after.values()
    assert volume(was) == volume(now)
    for kind in (".bval", ".bvec"):
        assert was.with_suffix(kind).read_text() == now.with_suffix(kind).read_text()
    assert was.with_suffix(".bval").read_text().split() == ["0", "800", "800"]


# --- what is kept, and what not ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_no_identity_and_no_empty_item_comes_out(tmp_path, kind):
    modality, make = KINDS[kind]
    was = make()
    was.save_as(tmp_path / "in.dcm", write_like_original=False)
    out = one_out(Project(tmp_path / "p", "--modality", modality), tmp_path / "in.dcm", tmp_path)
    data = out.read_bytes()
    for needle in (b"CANARY", b"1.2.826", b"20200523", b"19620304"):
        assert needle not in data
    now = pydicom.dcmread(out)
    assert not empty_items(now)
    for _, e in walk(now):
        if e.VR in ("DA", "DT") and e.value:
            assert str(e.value).startswith("00010101"), e.tag
    had = {(path, e.tag) for path, e in walk(was) if e.VR == "SQ"}
    lost = {(path, tag) for path, tag in had - {(path, e.tag) for path, e in walk(now)}}
    assert not lost


def test_structures_keep_their_names_and_lose_their_people(tmp_path):
    source = tmp_path / "in.dcm"
    was = pydicom.dcmread(DATA / "rtstruct.dcm", force=True)
    for observation in was.RTROIObservationsSequence:
        observation.ROIInterpreter = "CANARY^Doctor"
    was.StructureSetLabel, was.StructureSetName, was.StructureSetDate = "CANARY", "CANARY", "20200523"
    study = was.ReferencedFrameOfReferenceSequence[0].RTReferencedStudySequence[0]
    study.RTReferencedSeriesSequence[0].ContourImageSequence = [item(ReferencedSOPClassUID="1.2.840.10008.5.1.4.1.1.2",
                                                                     ReferencedSOPInstanceUID="1.2.3.4.5.6.7")]
    was.save_as(source)
    now = pydicom.dcmread(one_out(Project(tmp_path / "p", "--modality", "rt"), source, tmp_path))
    assert [r.ROIName for r in now.StructureSetROISequence] == [r.ROIName for r in was.StructureSetROISequence]
    assert [o.ROIInterpreter for o in now.RTROIObservationsSequence] == [""] * len(was.RTROIObservationsSequence)
    assert (now.StructureSetLabel, now.StructureSetDate) == ("ANONYMIZED", "00010101") and "StructureSetName" not in now
    contours = [[list(c.ContourData) for c in r.ContourSequence] for r in was.ROIContourSequence]
    assert [[list(c.ContourData) for c in r.ContourSequence] for r in now.ROIContourSequence] == contours
    frame = now.ReferencedFrameOfReferenceSequence[0]
    series = frame.RTReferencedStudySequence[0].RTReferencedSeriesSequence[0]
    for uid in (frame.FrameOfReferenceUID, series.SeriesInstanceUID, series.ContourImageSequence[0].ReferencedSOPInstanceUID):
        assert uid.startswith("2.25.")


def methods(ds):
    return [item.CodeValue for item in ds.get("DeidentificationMethodCodeSequence", [])]


def test_lists_that_are_switched_on_keep_what_they_say(tmp_path):
    source = DATA / "CT_small.dcm"
    was, project = pydicom.dcmread(source), Project(tmp_path / "p", "--modality", "ct")
    now = pydicom.dcmread(one_out(project, source, tmp_path / "a"))
    assert methods(now) == ["113100"] and now.PatientSex == "" and "PatientWeight" not in now
    assert not any(k in now for k in ("StudyDescription", "SeriesDescription", "PatientAge"))
    project.switch_on("descriptions.yaml", "patient.yaml")
    project.pixl("config", "check")
    now = pydicom.dcmread(one_out(project, source, tmp_path / "b"))
    assert methods(now) == ["113108"]
    for k in ("StudyDescription", "PatientSex", "PatientAge", "PatientWeight"):
        assert now[k].value == was[k].value, k


def test_pet_keeps_what_uptake_is_computed_from(tmp_path):
    modality, make = KINDS["PET"]
    make().save_as(tmp_path / "in.dcm", write_like_original=False)
    now = pydicom.dcmread(one_out(Project(tmp_path / "p", "--modality", modality), tmp_path / "in.dcm", tmp_path))
    tracer = now.RadiopharmaceuticalInformationSequence[0]
    assert (now.PatientWeight, now.SeriesTime, tracer.RadiopharmaceuticalStartTime) == (71.5, "101600", "091500")
    assert tracer.RadionuclideTotalDose == 350e6 and tracer.RadionuclideHalfLife == 6586.2
    assert tracer.RadionuclideCodeSequence[0].CodeMeaning == "^18^Fluorine"
    assert "RadiopharmaceuticalStartDateTime" not in tracer and now.SeriesDate == "00010101"
    assert "113100" not in methods(now)


def private(creator, group, **elements):
    ds = KINDS["enhanced MR"][1]()
    block = ds.private_block(group, creator, create=True)
    for offset, (vr, value) in elements.items():
        block.add_new(int(offset, 16), vr, value)
    return ds


PRIVATE = [("SIEMENS MR HEADER", 0x0019, {"0x0C": ("IS", "1000"), "0x0E": ("FD", [1.0, 0.0, 0.0]), "0x0A": ("US", 36)}, {"0x08": ("CS", "X")}),
           ("Philips Imaging DD 001", 0x2001, {"0x03": ("FL", 800.0), "0x04": ("CS", "O")}, {"0xC8": ("LO", "CANARY")}),
           ("Philips MR Imaging DD 001", 0x2005, {"0xB0": ("FL", 0.5), "0x0E": ("FL", 2.25)}, {"0x14": ("LO", "CANARY")}),
           ("GEMS_PARM_01", 0x0043, {"0x39": ("IS", [800, 8, 0, 0])}, {"0x62": ("SH", "CANARY")}),
           ("SIEMENS CSA HEADER", 0x0029, {}, {"0x10": ("OB", b"tPatientName = CANARY"), "0x20": ("OB", b"CANARY")})]


@pytest.mark.parametrize("creator, group, stays, goes", PRIVATE)
def test_private_numbers_stay_by_their_creator(tmp_path, creator, group, stays, goes):
    """In whatever block they lie; the same numbers under another creator go."""
    ds = private("SOMEBODY ELSE", group, **(stays or {"0x01": ("LO", "x")}))
    block = ds.private_block(group, creator, create=True)
    for offset, (vr, value) in {**stays, **goes}.items():
        block.add_new(int(offset, 16), vr, value)
    ds.save_as(tmp_path / "in.dcm", write_like_original=False)
    now = pydicom.dcmread(one_out(Project(tmp_path / "p", "--modality", "mr-diffusion"), tmp_path / "in.dcm", tmp_path))
    there = {e.tag: e.value for e in now if e.tag.is_private and not e.tag.is_private_creator}
    assert {t.elem & 0xFF for t in there} == {int(o, 16) for o in stays} and all(t.elem >> 8 == 0x11 for t in there)
    for offset, (_, value) in stays.items():
        assert str(there[pydicom.tag.Tag(group, 0x1100 | int(offset, 16))]) == str(value)
    ordinary = Project(tmp_path / "q", "--modality", "mr")
    now = pydicom.dcmread(one_out(ordinary, tmp_path / "in.dcm", tmp_path / "other"))
    assert not [e for e in now if e.tag.is_private] and methods(now) == ["113100"]


def test_an_ultrasound_keeps_its_regions_and_nothing_else_of_the_picture(tmp_path):
    source, project = tmp_path / "in.dcm", Project(tmp_path / "p", "--modality", "us")
    was = ultrasound()
    was.save_as(source, write_like_original=False)
    assert not errors(source)
    out = one_out(project, source, tmp_path)
    now = pydicom.dcmread(out)
    assert not errors(out) and b"CANARY" not in out.read_bytes()
    assert {"113100", "113101"} <= set(methods(now))
    region, before = now.SequenceOfUltrasoundRegions[0], was.SequenceOfUltrasoundRegions[0]
    assert [(e.tag, e.value) for e in region] == [(e.tag, e.value) for e in before]
    for i, (a, b) in enumerate(zip(was.PixelData, now.PixelData, strict=True)):
        x, y = i // 3 % 8, i // 24 % 8
        inside = 1 <= x <= 6 and 2 <= y <= 7
        assert b == (a if inside else 0), (x, y)


@pytest.mark.parametrize("change, passes", [
    ({}, True),                                              # the image itself
    ({"SOPClassUID": SECONDARY_CAPTURE, "ImageType": ["DERIVED", "SECONDARY", "SCREEN SAVE"], "ConversionType": "WSD"}, False),
    ({"SOPClassUID": SECONDARY_CAPTURE}, False),
    ({"SOPClassUID": SECONDARY_CAPTURE + ".4", "BurnedInAnnotation": ""}, False),
    ({"ImageType": ["DERIVED", "SECONDARY", "SCREEN SAVE"]}, False),
    ({"ConversionType": "DF"}, False),
    ({"SOPClassUID": SECONDARY_CAPTURE, "ConversionType": "WSD", "BurnedInAnnotation": "NO"}, True)], ids=str)
def test_a_picture_of_a_screen_passes_only_where_it_says_no_or_the_project_delivers(tmp_path, change, passes):
    ds = pydicom.dcmread(DATA / "CT_small.dcm")
    assert "BurnedInAnnotation" not in ds and "ConversionType" not in ds
    for name, value in change.items():
        setattr(ds, name, value)
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
    ds.save_as(tmp_path / "in.dcm", write_like_original=False)
    project = Project(tmp_path / "p", "--modality", "ct")
    told = project.deid(tmp_path / "in.dcm", tmp_path / "out", ok=(0, 1))
    assert len(list((tmp_path / "out").rglob("*.dcm"))) == passes, told
    text = project.file.read_text()
    assert text.count("burned_in_annotation: refuse") == 1
    project.file.write_text(text.replace("burned_in_annotation: refuse", "burned_in_annotation: deliver"))
    one_out(project, tmp_path / "in.dcm", tmp_path / "delivered")


# --- the command ------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("word", sorted(set(ALL_CODES) | {c for codes in ALL_CODES.values() for c in codes}))
def test_every_word_makes_a_project_that_passes_its_check(tmp_path, word):
    project = Project(tmp_path, f"--modality={word}", "--destination", tmp_path / "haven")
    codes = ALL_CODES.get(word, [word])
    assert f"modalities: [{', '.join(codes)}]" in project.file.read_text()
    help_text = project.pixl("config", "new", "--help").stdout
    assert re.search(rf"\b{word}\b", help_text.split("modalities")[-1])
    if word.lower() == "us":
        recipe = (tmp_path / "configs" / "image-operations" / "us-regions.recipe").read_text()
        assert "keepcoordinates from:SequenceOfUltrasoundRegions" in recipe and "coordinates all" in recipe
        assert "    - us-regions.recipe\n" in project.file.read_text()
    told = project.pixl("config", "check").stdout
    assert "haven is not there" in told and "1 project file, 0 problems, 1 warning" in told
    (tmp_path / "haven").mkdir()
    for which in ([], ["some-study"], [project.file]):
        assert project.pixl("config", "check", *which).stdout == "1 project file, 0 problems, 0 warnings\n"


@pytest.mark.parametrize("word, name", [("mri", "MR"), ("Ultrasound", "US"), ("diffusion", "MR"), ("x-ray", "CR, DX, MG"),
                                        ("radiotherapy", "RTDOSE, RTPLAN, RTSTRUCT, RTIMAGE")])
def test_what_people_call_a_modality_is_understood(tmp_path, word, name):
    assert f"modalities: [{name}]" in Project(tmp_path, "--modality", word).file.read_text()


def test_a_rule_that_keeps_an_identity_is_warned_of(tmp_path):
    project = Project(tmp_path, "--modality", "CT")
    rules = {"0010,0010": "names the patient", "0010,0030": "day of birth", "0010,0020": "by which the hospital knows",
             "0010,2154": "where the patient is found", "0008,0090": "names a person"}
    (tmp_path / "configs" / "tag-operations" / "ct.yaml").write_text(
        "".join(f"- {{group: 0x{t[:4]}, element: 0x{t[5:]}, op: keep}}\n" for t in rules))
    told = project.pixl("config", "check").stdout.splitlines()
    for line, (tag, what) in enumerate(rules.items(), start=1):
        assert any(l.startswith(f"ct.yaml:{line}: warning: ({tag}) keep: ") and what in l for l in told), (tag, told)
    assert told[-1] == "1 project file, 0 problems, 5 warnings"


def test_a_modality_that_nobody_defined_is_warned_of(tmp_path):
    project = Project(tmp_path, "--modality", "CT")
    project.file.write_text(project.file.read_text().replace("modalities: [CT]", "modalities: [CTX, MR]"))
    line = next(n for n, text in enumerate(project.file.read_text().splitlines(), start=1) if "[CTX" in text)
    warning = f"some-study.yaml:{line}: warning: project.modalities: CTX is no modality that DICOM defines; did you mean CT?"
    assert project.pixl("config", "check").stdout == f"{warning}\n1 project file, 0 problems, 1 warning\n"
    told = json.loads(project.pixl("config", "check", "--json").stdout)
    assert told == {"files": 1, "problems": [], "warnings": [warning]}


def test_what_is_wrong_with_a_shared_list_is_told_once(tmp_path):
    project = Project(tmp_path, "--modality", "CT")
    text, shared = project.file.read_text(), tmp_path / "configs" / "tag-operations" / "ct.yaml"
    (tmp_path / "configs" / "other-study.yaml").write_text(text.replace("Some Study", "Other Study"))
    shared.write_text(shared.read_text() + "- {group: 0x0010, element: 0x2154, op: keep}\n")
    lines = project.pixl("config", "check").stdout.splitlines()
    assert len(lines) == 2 and "telephone" not in lines[0] and "where the patient is found" in lines[0]
    assert lines[-1] == "2 project files, 0 problems, 1 warning"
    shared.write_text(shared.read_text() + "- {group: 0x0010, element: 0x2155, op: kep}\n")
    r = project.pixl("config", "check", ok=(1,))
    assert r.stdout.count("did you mean keep?") == 1 and r.stdout.endswith("2 project files, 1 problem, 0 warnings\n")
    assert len(json.loads(project.pixl("config", "check", "--json", ok=(1,)).stdout)["problems"]) == 1


def test_others_read_what_root_writes(tmp_path):
    """Projects are written by whoever may, and read by the user of the services."""
    project = Project(tmp_path, "--modality", "US")
    configs = tmp_path / "configs"
    assert {p.stat().st_mode & 0o777 for p in configs.rglob("*.yaml")} == {0o644}
    assert {p.stat().st_mode & 0o777 for p in [configs, *configs.rglob("*")] if p.is_dir()} == {0o755}
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if os.geteuid() == 0 else []
    r = subprocess.run([*nobody, PIXL, "config", "new", "x", "--modality", "CT", "--configs", "/usr"], capture_output=True, text=True, cwd="/")
    assert r.returncode == 1 and "/usr: make a folder: Permission denied" in r.stderr, r.stderr
    assert project.file.exists()


def test_what_it_says_and_how_it_ends(tmp_path):
    project = Project(tmp_path, "--modality", "CT", "--modality", "mr,DX", "--destination", "haven")
    text = project.file.read_text()
    assert "modalities: [CT, MR, DX]" in text and f"directory: '{tmp_path}/haven'" in text and "name: 'Some Study'" in text
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    r = project.pixl("config", "new", "some-study", "--modality", "CT", ok=(1,))
    assert "some-study.yaml is there already" in r.stderr and r.stdout == ""
    r = project.pixl("config", "new", "another", "--modality", "CT", "--json")
    told = json.loads(r.stdout)
    assert told["project"].endswith("configs/another.yaml")
    assert [f["new"] for f in told["files"]] == [False] * 4 + [True]
    ct = tmp_path / "configs" / "tag-operations" / "ct.yaml"
    ct.write_text(ct.read_text() + "# mine\n")
    r = project.pixl("config", "new", "third", "--modality", "CT", ok=(1,))
    assert "tag-operations/ct.yaml differs" in r.stderr and "rename" in r.stderr
    assert not (tmp_path / "configs" / "third.yaml").exists() and ct.read_text().endswith("# mine\n")
    changed = {p for p, b in before.items() if p.read_bytes() != b}
    assert changed == {ct}
    assert not [p for p in tmp_path.rglob(".*")]
    for args in (["new"], ["new", "x"], ["new", "x", "y", "--modality", "CT"], ["new", "x", "--modality", "dx"],
                 ["new", "x", "--modality", "US,CT"], ["new", "x", "--modality", "CT", "--destination", ""],
                 ["check", "--modality", "CT"], ["show", "--name", "x"], ["new", "x", "--name", "a", "--name", "b", "--modality", "CT"],
                 ["new", "x", *["--modality", "CT"] * 100]):
        assert project.pixl("config", *args, ok=(2,)).stderr.strip(), args
    said = project.pixl("config", "new", "fourth", "--modality", "MR").stdout
    assert "wrote" in said and "kept" in said and "next:" in said and "pixl config check" in said and "--destination" in said


def test_completion_knows_it(tmp_path):
    project = Project(tmp_path, "--modality", "CT")
    script = project.pixl("completion").stdout

    def offered(*words):
        line = " ".join(f"'{w}'" for w in words)
        r = subprocess.run(["bash", "-c", f'{script}\nCOMP_WORDS=({line}); COMP_CWORD={len(words) - 1}; _pixl; echo "${{COMPREPLY[@]}}"'],
                           capture_output=True, text=True, check=True, cwd=tmp_path)
        return r.stdout.split()
    assert {"new", "check", "show", "--modality", "--name", "--destination", "--configs"} <= set(offered("pixl", "config", ""))
    assert offered("pixl", "config", "new", "x", "--modality", "mr-") == ["mr-diffusion"]
    assert set(offered("pixl", "config", "new", "x", "--modality", "")) >= set(ALL_CODES) | {"CT", "RTIMAGE", "MG"}
