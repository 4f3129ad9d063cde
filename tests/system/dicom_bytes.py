"""Writes DICOM byte by byte, so that codings can be made that no library would write: any nesting, lengths defined or not, odd
lengths, sequences as UN, fragments of anything.  Values are given in little endian.

    El(0x00080060, "CS", b"CT")
    El(0x00081140, "SQ", [Item([El(...)]), Item([...], undefined=True)], undefined=True)
    El(0x7FE00010, "OB", Fragments([b"", b"..."]))
"""
import struct
import zlib
from dataclasses import dataclass, field

LONG = {"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"}
UNITS = {"US": 2, "SS": 2, "OW": 2, "AT": 2, "UL": 4, "SL": 4, "FL": 4, "OF": 4, "OL": 4, "FD": 8, "OD": 8, "OV": 8, "SV": 8, "UV": 8}
ALL_VRS = ("AE AS AT CS DA DS DT FD FL IS LO LT OB OD OF OL OV OW PN SH SL SQ SS ST SV TM UC UI UL UN UR US UT UV").split()


@dataclass
class El:
    tag: int
    vr: str
    value: object = b""          # bytes, list of Item, or Fragments
    undefined: bool = False      # of a sequence: its length
    as_un: bool = False          # a sequence written as UN, implicit inside (PS3.5 section 6.2.2)


@dataclass
class Item:
    elements: list
    undefined: bool = False


@dataclass
class Fragments:
    parts: list = field(default_factory=list)     # the offset table first


@dataclass(frozen=True)
class Coding:
    uid: str
    explicit: bool = True
    big: bool = False
    deflated: bool = False


IMPLICIT = Coding("1.2.840.10008.1.2", explicit=False)
EXPLICIT = Coding("1.2.840.10008.1.2.1")
BIG_ENDIAN = Coding("1.2.840.10008.1.2.2", big=True)
DEFLATED = Coding("1.2.840.10008.1.2.1.99", deflated=True)
JPEG_BASELINE = Coding("1.2.840.10008.1.2.4.50")
RLE = Coding("1.2.840.10008.1.2.5")


def swapped(vr, value):
    n = UNITS.get(vr, 1)
    return value if n == 1 else b"".join(value[i:i + n][::-1] for i in range(0, len(value), n))


def padded(vr, value):
    text = vr in UNITS or vr in ("OB", "UN", "UI")
    return value + (b"\0" if text else b" ") * (len(value) % 2)


def _header(coding, tag, vr, length):
    order = ">" if coding.big else "<"
    out = struct.pack(order + "HH", tag >> 16, tag & 0xFFFF)
    if not coding.explicit or vr is None:
        return out + struct.pack(order + "I", length)
    if vr in LONG:
        return out + vr.encode() + b"\0\0" + struct.pack(order + "I", length)
    return out + vr.encode() + struct.pack(order + "H", length)


UNDEFINED = 0xFFFFFFFF


def _encode_one(e, coding):
    if isinstance(e.value, Fragments):
        body = b"".join(_header(coding, 0xFFFEE000, None, len(p)) + p for p in e.value.parts)
        return _header(coding, e.tag, e.vr, UNDEFINED) + body + _header(coding, 0xFFFEE0DD, None, 0)
    if not isinstance(e.value, list):
        value = swapped(e.vr, e.value) if coding.big else e.value
        return _header(coding, e.tag, e.vr, len(value)) + value
    inner = IMPLICIT if e.as_un else coding
    body = b""
    for item in e.value:
        content = encode(item.elements, inner)
        if item.undefined:
            body += _header(inner, 0xFFFEE000, None, UNDEFINED) + content + _header(inner, 0xFFFEE00D, None, 0)
        else:
            body += _header(inner, 0xFFFEE000, None, len(content)) + content
    vr = "UN" if e.as_un else e.vr
    if e.undefined:
        return _header(coding, e.tag, vr, UNDEFINED) + body + _header(inner, 0xFFFEE0DD, None, 0)
    return _header(coding, e.tag, vr, len(body)) + body


def encode(elements, coding):
    """The elements in the order given."""
    return b"".join(_encode_one(e, coding) for e in elements)


def file_bytes(elements, coding, preamble=bytes(128), meta=()):
    """A whole file; meta: elements beside the needed ones."""
    def value_of(tag):
        return next((e.value for e in elements if e.tag == tag), b"")
    group = [El(0x00020001, "OB", b"\0\1"), El(0x00020002, "UI", value_of(0x00080016)), El(0x00020003, "UI", value_of(0x00080018)),
             El(0x00020010, "UI", padded("UI", coding.uid.encode())), El(0x00020012, "UI", b"1.2.3.4.99")]
    body = encode(sorted(group + list(meta), key=lambda e: e.tag), EXPLICIT)
    data = encode(elements, coding)
    if coding.deflated:
        z = zlib.compressobj(6, zlib.DEFLATED, -zlib.MAX_WBITS)
        data = z.compress(data) + z.flush()
        data += bytes(len(data) % 2)
    return preamble + b"DICM" + encode([El(0x00020000, "UL", struct.pack("<I", len(body)))], EXPLICIT) + body + data
