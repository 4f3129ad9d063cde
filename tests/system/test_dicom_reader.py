"""Our DICOM reader against pydicom and DCMTK on every sample of Debian's python3-pydicom: the same elements with the
same VR, depth and length, or a refusal that is listed here with its reason."""
import os
import re
import subprocess
import warnings
from pathlib import Path

import pydicom
import pytest
from pydicom import config
from pydicom.dataelem import RawDataElement

DATA = Path(pydicom.__file__).parent / "data"
DCM_STRUCTURE = os.environ["DCM_STRUCTURE"]
UNDEFINED = 0xFFFFFFFF

# What we refuse and pydicom reads; anything else that we refuse is a failure.
NOT_DICOM = {"README", "README.txt", "FileInfo.txt", "rtplan.dump", "rtstruct.dump", "zipMR.gz", "test1.json",
             "test_PN.json"}
REFUSED = {
    **{name: ("corrupt", "no DICOM file") for name in NOT_DICOM},
    "SC_rgb_jpeg.dcm": ("corrupt", "implicit data set under the name of an explicit syntax"),
    "DICOMDIR-nooffset": ("corrupt", "a sequence longer than the file"),
    "rtplan_truncated.dcm": ("corrupt", "cut off"),
    "MR_truncated.dcm": ("corrupt", "cut off"),
    "meta_missing_tsyntax.dcm": ("corrupt", "no syntax named, and a data set that does not begin with group 0008"),
    "no_meta.dcm": ("corrupt", "a byte too many at the start"),
}


def samples():
    roots = [DATA / "test_files", DATA / "charset_files"]
    return sorted((p for r in roots for p in r.rglob("*") if p.is_file()), key=str)


def ours(path):
    lines = subprocess.run([DCM_STRUCTURE, path], check=True, capture_output=True, text=True).stdout.splitlines()
    if lines and lines[-1].startswith("error "):
        return lines[-1].split()[1], []
    rows = []
    for line in lines:
        tag, vr, depth, length, _offset = line.split(" ")
        rows.append((int(tag[1:5] + tag[6:10], 16), vr, int(depth), length))
    return None, rows


def walk(dataset, depth, rows):
    """Rows of a pydicom data set in file order, from its raw elements where pydicom still has them."""
    for tag in list(dataset._dict):
        raw = dataset.get_item(tag)
        is_raw = isinstance(raw, RawDataElement)
        vr = raw.VR
        length = raw.length if is_raw else (UNDEFINED if raw.is_undefined_length else None)
        if vr is None:
            vr = "UN" if tag.is_private and tag.element > 0xFF else dataset[tag].VR
            if vr in ("US", "SS"):
                vr = "US or SS"         # pydicom has decided by PixelRepresentation
        rows.append((int(tag), vr, depth, "u" if length == UNDEFINED else None if length is None else str(length)))
        if vr == "SQ" or (length == UNDEFINED and dataset[tag].VR == "SQ"):
            for item in dataset[tag].value:
                rows.append((0xFFFEE000, "--", depth + 1, "u" if item.is_undefined_length_sequence_item else None))
                walk(item, depth + 1, rows)


def theirs(path):
    config.replace_un_with_known_vr = False
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ds = pydicom.dcmread(path, force=True)
        rows = []
        walk(ds.file_meta, 0, rows)
        walk(ds, 0, rows)
    return rows


def same_row(mine, other):
    tag, vr, depth, length = other
    if mine[0] != tag or mine[2] != depth or (length is not None and mine[3] != length):
        return False
    # pydicom knows private dictionaries and calls UN of undefined length SQ.
    return mine[1] in vr.split(" or ") or (mine[1] == "UN" and vr == "SQ") or (mine[1] == "UN" and tag >> 16 & 1)


@pytest.mark.parametrize("path", samples(), ids=lambda p: str(p.relative_to(DATA)))
def test_structure_is_that_of_pydicom(path):
    refusal, mine = ours(path)
    assert refusal == REFUSED.get(path.name, (None,))[0]
    if refusal:
        return
    other = theirs(path)
    for a, b in zip(mine, other):
        assert same_row(a, b), f"ours ({a[0]:08X}) {a[1:]}, pydicom ({b[0]:08X}) {b[1:]}"
    assert len(mine) == len(other)


DUMPED = re.compile(r"^( *)\(([0-9a-f]{4}),([0-9a-f]{4})\) (\S\S)")


def dcmdump(path):
    """(tag, depth) of each line of dcmdump that is an element or a sequence item."""
    out = subprocess.run(["dcmdump", "-q", "-M", path], capture_output=True).stdout.decode("latin-1")
    rows, fragments_at = [], None
    for line in out.splitlines():
        m = DUMPED.match(line)
        if not m:
            continue
        tag, indent = int(m[2] + m[3], 16), len(m[1])
        if fragments_at is not None and indent > fragments_at:
            continue                    # fragments of pixel data
        fragments_at = indent if "PixelSequence" in line else None
        if tag not in (0xFFFEE00D, 0xFFFEE0DD):
            rows.append((tag, indent // 4 + (tag == 0xFFFEE000)))
    return rows


@pytest.mark.parametrize("path", [p for p in samples() if p.name not in REFUSED],
                         ids=lambda p: str(p.relative_to(DATA)))
def test_structure_is_that_of_dcmdump(path):
    _, mine = ours(path)
    assert [(tag, depth) for tag, _, depth, _ in mine] == dcmdump(path)


def names(dataset, depth=0):
    """(tag, depth, text) of each PN in file order, as pydicom decodes it."""
    for tag in list(dataset._dict):
        element = dataset[tag]
        if element.VR == "PN":
            values = element.value if element.VM > 1 else [element.value]
            yield int(tag), depth, "\\".join(str(v) for v in values)
        elif element.VR == "SQ":
            for item in element.value:
                yield from names(item, depth + 1)


@pytest.mark.parametrize("path", [p for p in samples() if p.name not in REFUSED], ids=lambda p: str(p.relative_to(DATA)))
def test_names_are_decoded_as_by_pydicom(path):
    config.replace_un_with_known_vr = False
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ds = pydicom.dcmread(path, force=True)
        theirs = list(names(ds))
    mine, doubtful = {}, []
    for line in subprocess.run([DCM_STRUCTURE, "--text", path], check=True, capture_output=True, text=True).stdout.splitlines():
        tag, depth, *text = line.split(" ")
        if tag.startswith("?"):
            doubtful.append(line)
        mine.setdefault((int(tag[-10:-6] + tag[-5:-1], 16), int(depth)), []).append(bytes.fromhex(text[0]).decode("utf-8"))
    for tag, depth, text in theirs:
        ours = mine[tag, depth].pop(0)
        assert [v.rstrip("= \0") for v in ours.split("\\")] == [v.rstrip("= \0") for v in text.split("\\")]
    assert not doubtful


def test_samples_hold_names_of_every_script():
    read = [str(t) for p in (DATA / "charset_files").glob("*.dcm") for _, _, t in names(pydicom.dcmread(p))]
    for word in ("قباني", "Jérôme", "Rüdiger", "Διονυσιος", "山田", "やまだ", "ﾔﾏﾀﾞ", "שרון", "洪", "홍", "Люк", "小東", "小东"):
        assert any(word in t for t in read), word


def test_exceptions_are_samples():
    names = {p.name for p in samples()}
    assert not set(REFUSED) - names
