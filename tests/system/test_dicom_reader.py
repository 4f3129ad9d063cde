"""Our DICOM reader against pydicom and DCMTK on every sample of Debian's python3-pydicom: the same elements with the
same VR, depth and length, or a refusal that is listed here with its reason."""
import os
import re
import struct
import subprocess
import warnings
import zlib
from pathlib import Path

import pydicom
import pytest
from pydicom import config
from pydicom.dataelem import RawDataElement
from pydicom.values import convert_SQ

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


# Sequences written as UN of defined length, which are items to us and bytes to DCMTK and pydicom.
HIDDEN_SEQUENCES = {"priv_SQ.dcm", "rtdose_rle.dcm", "rtdose_rle_1frame.dcm"}


def samples():
    roots = [DATA / "test_files", DATA / "charset_files"]
    return sorted((p for r in roots for p in r.rglob("*") if p.is_file()), key=str)


def ours(path):
    lines = subprocess.run([DCM_STRUCTURE, path], check=True, capture_output=True, text=True).stdout.splitlines()
    if lines and lines[-1].startswith("error "):
        return lines[-1].split()[1], []
    rows = []
    for line in lines:
        tag, vr, depth, length, _offset, *duplicate = line.split(" ")
        if not duplicate:
            rows.append((int(tag[1:5] + tag[6:10], 16), vr, int(depth), length))
    return None, rows


def without_hidden(rows):
    """The rows as they are for a reader to whom hidden sequences are bytes."""
    out, hidden_at = [], None
    for tag, vr, depth, length in rows:
        if hidden_at is not None and (depth > hidden_at or (tag == 0xFFFEE000 and depth == hidden_at + 1)):
            continue
        hidden_at = depth if length[0] == "h" else None
        out.append((tag, vr, depth, length.lstrip("h")))
    return out


def hidden_items(value):
    """What pydicom makes of a value, told that it is a sequence in implicit little endian."""
    return convert_SQ(value, True, True) if value[:4] == b"\xfe\xff\x00\xe0" else []


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
        elif vr == "UN":
            for item in hidden_items(raw.value or b""):
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
    if mine[0] != tag or mine[2] != depth or (length is not None and mine[3].lstrip("h") != length):
        return False
    # pydicom knows private dictionaries and calls UN of undefined length SQ.
    return mine[1] in vr.split(" or ") or (mine[1] == "UN" and vr == "SQ") or (mine[1] == "UN" and tag >> 16 & 1)


@pytest.mark.parametrize("path", samples(), ids=lambda p: str(p.relative_to(DATA)))
def test_structure_is_that_of_pydicom(path):
    refusal, mine = ours(path)
    assert refusal == REFUSED.get(path.name, (None,))[0]
    assert any(length[0] == "h" for _, _, _, length in mine) == (path.name in HIDDEN_SEQUENCES)
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
    assert [(tag, depth) for tag, _, depth, _ in without_hidden(mine)] == dcmdump(path)


def element(tag, vr, value, is_long=None):
    if is_long is None:
        is_long = vr in ("OB", "OW", "UN", "SQ", "UT", "UC", "UR")
    head = struct.pack("<HH", tag >> 16, tag & 0xFFFF) + vr.encode("latin-1")
    return head + (b"\0\0" + struct.pack("<I", len(value)) if is_long else struct.pack("<H", len(value))) + value


def deflated(data):
    z = zlib.compressobj(9, zlib.DEFLATED, -15)
    return z.compress(data) + z.flush()


def instance(*elements, syntax=b"1.2.840.10008.1.2.1\0"):
    meta = element(0x00020010, "UI", syntax)
    return b"\0" * 128 + b"DICM" + element(0x00020000, "UL", struct.pack("<I", len(meta))) + meta + b"".join(elements)


FRAGMENTS = struct.pack("<HHIHHI4sHHI", 0xFFFE, 0xE000, 0, 0xFFFE, 0xE000, 4, b"abcd", 0xFFFE, 0xE0DD, 0)
MODALITY, NUMBER = element(0x00080060, "CS", b"CT"), element(0x00200011, "IS", b"3 ")
STRANGE_VRS = ["  ", "??", "UK", "lo", "ZZ", "OX", "ox", "L ", "Lo", "xs", "lt", "up", "NN", "A1", "~~"]
MADE = {
    **{f"VR {vr!r}, {'long' if is_long else 'short'} header":
       instance(MODALITY, element(0x00100020, vr, b"ABCD", is_long), NUMBER)
       for vr in STRANGE_VRS for is_long in (False, True)},
    "tags out of order": instance(NUMBER, MODALITY, element(0x00100000, "UL", b"abcd")),
    "tags twice": instance(MODALITY, NUMBER, element(0x00080060, "CS", b"MR"), NUMBER),
    "deflated": instance(deflated(MODALITY + NUMBER), syntax=b"1.2.840.10008.1.2.1.99"),
    "deflated, and more behind": instance(deflated(MODALITY + NUMBER), b"garbage", syntax=b"1.2.840.10008.1.2.1.99"),
    "deflated, cut off": instance(deflated(MODALITY + NUMBER)[:-4], syntax=b"1.2.840.10008.1.2.1.99"),
    "zlib's header": instance(zlib.compress(MODALITY + NUMBER), syntax=b"1.2.840.10008.1.2.1.99"),
    "compressed pixels of defined length": instance(MODALITY, element(0x7FE00010, "OB", b"abcdefgh"),
                                                    syntax=b"1.2.840.10008.1.2.4.50"),
    "compressed pixels as UN": instance(MODALITY, struct.pack("<HH2s6s", 0x7FE0, 0x0010, b"UN", b"\0\0" + b"\xff" * 4),
                                        FRAGMENTS, syntax=b"1.2.840.10008.1.2.4.50"),
    "odd length": instance(MODALITY, element(0x00100020, "LO", b"ABC"), NUMBER),
    "OB with a short header": instance(MODALITY, element(0x00420011, "OB", b"abcd", False)),
    "reserved bytes that are used": instance(element(0x00420011, "OB", b"abcd").replace(b"OB\0\0", b"OB\x20\x20")),
    "pixels cut off": instance(MODALITY, element(0x7FE00010, "OW", b"abcdefgh")[:-4]),
    "text cut off": instance(MODALITY, element(0x00204000, "LT", b"abcdefgh")[:-4]),
    "more pixels than rows and columns": instance(element(0x00280010, "US", b"\1\0"), element(0x00280011, "US", b"\1\0"),
                                                  element(0x7FE00010, "OW", b"abcdefgh")),
    "fewer pixels than rows and columns": instance(element(0x00280010, "US", b"\0\1"), element(0x00280011, "US", b"\0\1"),
                                                   element(0x7FE00010, "OW", b"abcdefgh")),
}
# Read by DCMTK, and refused here.
STRICTER = {
    "VR of NULs": instance(MODALITY, element(0x00100020, "\0\0", b"ABCD"), NUMBER),      # or a length of 32 bits
    "fragments in a native syntax": instance(struct.pack("<HH2s6s", 0x7FE0, 0x0010, b"OB", b"\0\0" + b"\xff" * 4), FRAGMENTS),
}
MADE.update(STRICTER)


@pytest.mark.parametrize("name", MADE)
def test_what_is_odd_is_read_as_by_dcmdump(name, tmp_path):
    path = tmp_path / "odd.dcm"
    path.write_bytes(MADE[name])
    refusal, mine = ours(path)
    reads = subprocess.run(["dcmdump", "-q", path], capture_output=True).returncode == 0
    assert (refusal is None) == (reads and name not in STRICTER)
    if refusal is None:
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
    assert not (set(REFUSED) | HIDDEN_SEQUENCES) - names
