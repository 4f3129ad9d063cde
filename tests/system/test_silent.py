"""Nothing of an archive is lost without a word: whatever means to be DICOM and cannot be used fails its study, or is counted and told."""
import json
import pathlib
import struct

import pytest
from dicom_bytes import BIG_ENDIAN, EXPLICIT, IMPLICIT, El, encode, file_bytes, padded
from hospital import Hospital

STUDY = "1.2.3.4.5.100"


def elements(sop="1.2.3.4.5.300.1", series="1.2.3.4.5.200", study=STUDY, fill=0, modality="CT"):
    """In order; None: without that one."""
    texts = [(0x00080016, "UI", "1.2.840.10008.5.1.4.1.1.2"), (0x00080018, "UI", sop), (0x00080050, "SH", "ACC7788"),
             (0x00080060, "CS", modality), (0x00080070, "LO", "Company"), (0x00100010, "PN", "Doe^Jane"),
             (0x00100020, "LO", "MRN7788"), (0x0020000D, "UI", study), (0x0020000E, "UI", series), (0x00200011, "IS", "1")]
    shorts = [(0x00280002, 1), (0x00280010, 4), (0x00280011, 4), (0x00280100, 16), (0x00280101, 16), (0x00280102, 15), (0x00280103, 0)]
    out = [El(t, vr, padded(vr, v.encode())) for t, vr, v in texts if v is not None]
    out += [El(0x00280004, "CS", b"MONOCHROME2 ")] + [El(t, "US", struct.pack("<H", v)) for t, v in shorts]
    return sorted(out, key=lambda e: e.tag) + [El(0x7FE00010, "OW", bytes([fill] * 32))]


def whole(coding=EXPLICIT, **how):
    return file_bytes(elements(**how), coding)


def bare(coding=EXPLICIT, **how):
    return encode(elements(**how), coding)


def until(tag, coding, data):
    """Cut in the middle of this element."""
    order = ">HH" if coding.big else "<HH"
    return data[:data.index(struct.pack(order, tag >> 16, tag & 0xFFFF)) + 9]


def unordered():
    """Cut before its SOP Instance UID, which comes last."""
    e = elements(sop="1.2.3.4.5.300.2")
    (sop,) = [x for x in e if x.tag == 0x00080018]
    return file_bytes([x for x in e if x is not sop] + [sop], EXPLICIT)[:-8]


BAD = "1.2.3.4.5.300.2"
# Those that name the study, with the reason for which they fail it.
OF_THE_STUDY = {
    "no SOP UID": (whole(sop=None), "missing-attribute"),
    "empty SOP UID": (whole(sop=""), "missing-attribute"),
    "no series UID": (whole(sop=BAD, series=None), "missing-attribute"),
    "bare, no SOP UID": (bare(sop=None), "missing-attribute"),
    "bare big endian, no SOP UID": (bare(BIG_ENDIAN, sop=None), "missing-attribute"),
    "cut in the series UID": (until(0x0020000E, EXPLICIT, whole(sop=BAD)), "unreadable-instance"),
    "bare, cut in the series UID": (until(0x0020000E, EXPLICIT, bare(sop=BAD)), "unreadable-instance"),
    "bare implicit, cut in the series UID": (until(0x0020000E, IMPLICIT, bare(IMPLICIT, sop=BAD)), "unreadable-instance"),
    "bare big endian, cut in the series UID": (until(0x0020000E, BIG_ENDIAN, bare(BIG_ENDIAN, sop=BAD)), "unreadable-instance"),
    "unordered, cut before the SOP UID": (unordered(), "unreadable-instance"),
}
# Those that do not tell whose they are.
OF_NOBODY = {
    "no study UID": whole(sop=BAD, study=None),
    "empty study UID": whole(sop=BAD, study=""),
    "cut before the study UID": until(0x00100020, EXPLICIT, whole(sop=BAD)),
    "bare, no study UID": bare(sop=BAD, study=None),
    "bare, cut before the study UID": until(0x00100020, EXPLICIT, bare(sop=BAD)),
    "bare implicit, cut before the study UID": until(0x00100020, IMPLICIT, bare(IMPLICIT, sop=BAD)),
    "bare big endian, cut before the study UID": until(0x00100020, BIG_ENDIAN, bare(BIG_ENDIAN, sop=BAD)),
    "zeros for DICM": bytes(132) + whole(sop=BAD)[132:],
    "other bytes for DICM and before": b"\xA5" * 132 + whole(sop=BAD)[132:],
}
NO_DICOM = {"text": b"a note that somebody left here", "empty": b"", "zeros": bytes(1000), "picture": b"\xFF\xD8\xFF\xE0" + bytes(200)}


@pytest.fixture
def hospital(tmp_path):
    h = Hospital(tmp_path)
    h.rows = [{"procedure_id": 1, "mrn": "MRN7788", "accession_number": "ACC7788", "project_name": h.project,
               "extract_generated_timestamp": "2023-12-07T14:08:58Z", "study_date": "2020-05-23", "study_uid": STUDY,
               "participant_id": "", "series_uid": ""}]
    h.write_csv()
    return h


def fill(h, *files):
    for i, data in enumerate(files):
        (h.archive / f"f{i}").write_bytes(data)


def run(h, ok):
    return json.loads(h.pixl("run", h.csv, "--json", ok=(ok,)).stdout)


@pytest.mark.parametrize("name", OF_THE_STUDY)
def test_what_names_a_study_fails_it(hospital, name):
    data, reason = OF_THE_STUDY[name]
    fill(hospital, whole(), data)
    told = run(hospital, ok=1)
    assert told["counts"]["states"]["failed"] == 1 and told["counts"]["reasons"] == {reason: 1} and hospital.zips() == []
    assert told["archive"] == {"unreadable": 0, "damaged": 1, "other": 0}


@pytest.mark.parametrize("name", ["no SOP UID", "no series UID", "bare, cut in the series UID"])
def test_a_project_may_deliver_the_rest(hospital, name):
    data, reason = OF_THE_STUDY[name]
    hospital.write_project(on_error="deliver")
    fill(hospital, whole(), data)
    told = run(hospital, ok=1)
    assert told["counts"]["states"]["exported"] == 1 and told["counts"]["instances_skipped_by"] == {reason: 1}
    assert (told["counts"]["instances_found"], told["counts"]["instances_delivered"]) == (2, 1)


@pytest.mark.parametrize("name", OF_NOBODY)
def test_what_names_no_study_is_told(hospital, name):
    fill(hospital, whole(), OF_NOBODY[name])
    told = run(hospital, ok=1)
    assert told["counts"]["states"]["exported"] == 1 and told["archive"] == {"unreadable": 0, "damaged": 1, "other": 0}
    assert "1 DICOM file has a broken header or lacks a UID" in hospital.pixl("run", ok=(1,)).stdout


def test_what_is_no_dicom_is_counted(hospital):
    directory = file_bytes([El(0x00041130, "CS", b"DISC")], EXPLICIT).replace(
        struct.pack("<HH", 2, 2) + b"UI\0\0", struct.pack("<HH", 2, 2) + b"UI\x14\0" + b"1.2.840.10008.1.3.10")
    fill(hospital, whole(), directory, *NO_DICOM.values())
    for _ in range(2):                                            # known from the index the second time
        told = run(hospital, ok=0)
        assert told["counts"]["states"]["exported"] == 1
        assert told["archive"] == {"unreadable": 0, "damaged": 0, "other": len(NO_DICOM) + 1}
    assert f"archive: {len(NO_DICOM) + 1} other files" in hospital.pixl("run").stdout




@pytest.mark.parametrize("other", [{"fill": 1}, {"series": "1.2.3.4.5.201"}], ids=["bytes", "series"])
def test_a_study_of_nothing_but_differing_twins_fails(hospital, other):
    fill(hospital, whole(), whole(**other))
    told = run(hospital, ok=1)
    assert told["counts"]["states"]["failed"] == 1 and told["counts"]["reasons"] == {"duplicate-instance": 1}
    assert told["counts"]["instances_skipped_by"] == {"duplicate-instance": 2}
    deid = json.loads(hospital.pixl("deid", hospital.archive, hospital.base / "out", "--project", hospital.project, "--json", ok=(1,)).stdout)
    assert deid["written"] == 0 and deid["skipped"] == {"duplicate-instance": 2}


def test_one_sop_uid_in_two_series_leaves_the_rest(hospital):
    fill(hospital, whole(), whole(series="1.2.3.4.5.201"), whole(sop=BAD), whole(sop=BAD))
    told = run(hospital, ok=0)
    assert told["counts"]["instances_delivered"] == 1 and told["counts"]["instances_skipped_by"] == {"duplicate-instance": 2}
    deid = json.loads(hospital.pixl("deid", hospital.archive, hospital.base / "out", "--project", hospital.project, "--json", ok=(1,)).stdout)
    assert deid["files"] == 4 and deid["written"] == 1 and deid["skipped"] == {"duplicate-instance": 2}


def test_rules_alone_skip_a_study(hospital):
    fill(hospital, whole(modality="MR"), whole(modality="MR", sop=BAD))
    told = run(hospital, ok=0)
    assert told["counts"]["states"]["skipped"] == 1 and told["counts"]["reasons"] == {"modality": 1}
    fill(hospital, whole(modality="MR"), whole(modality="MR", sop=BAD), whole(sop="1.9.1"), whole(sop="1.9.1", fill=1))
    hospital.pixl("retry", "--state", "skipped")
    told = run(hospital, ok=1)
    assert told["counts"]["states"]["failed"] == 1 and told["counts"]["reasons"] == {"duplicate-instance": 1}


@pytest.mark.parametrize("name", [*OF_THE_STUDY, *OF_NOBODY])
def test_deid_leaves_nothing_out_without_a_reason(hospital, name):
    data = OF_THE_STUDY[name][0] if name in OF_THE_STUDY else OF_NOBODY[name]
    fill(hospital, whole(), data, NO_DICOM["text"])
    told = json.loads(hospital.pixl("deid", hospital.archive, hospital.base / "out", "--project", hospital.project, "--json", ok=(1,)).stdout)
    assert (told["files"], told["written"], told["not_dicom"]) == (3, 1, 1) and sum(told["skipped"].values()) == 1
    (reason,) = told["skipped"]
    assert reason in ("missing-attribute", "unreadable-instance")


def test_deid_shows_names_that_a_terminal_would_obey(hospital):
    fill(hospital, whole())
    pathlib.Path(hospital.archive / "a\x1b[31m\nb").write_bytes(whole(sop=None))
    r = hospital.pixl("deid", hospital.archive, hospital.base / "out", "--project", hospital.project, ok=(1,))
    assert "\x1b" not in r.stderr and r"/a\x1b[31m\x0ab: left out: missing-attribute" in r.stderr
