"""A self-test with an answer key: made-up people are planted in every place that can hold text, in the scripts that hospitals write,
and for each place the key says what must become of it: removed, replaced, kept because a rule says so, or the study withheld
because a rule keeps a free text that holds it.  PIXL_TEST_SEED chooses other people; failures name the seed."""
import base64
import os
import random
import re
import unicodedata
from urllib.parse import quote

import pytest
from dicom_bytes import BIG_ENDIAN, DEFLATED, EXPLICIT, IMPLICIT, UNITS, El, Item, file_bytes, padded
from oracles import SOURCE, Uids, deid, deid_studies, pseudonym, read, tree, write_project
from pydicom.datadict import DicomDictionary

FIRST_SEED = int(os.environ.get("PIXL_TEST_SEED", "1"))
N_SEEDS = 42
CODINGS = [EXPLICIT, IMPLICIT, BIG_ENDIAN, DEFLATED]


# --- people ---

def latin1(s):
    return s.encode("latin-1")


def korean(s):
    """ISO 2022 IR 149: announced at the beginning of each component group and text that uses it."""
    return b"".join(b"\x1b$)C" + p.encode("euc_kr") if any(ord(c) > 127 for c in p) else p.encode() for p in re.split("([=\\\\])", s))


# Specific Character Set, encoder, syllables of made-up names in Latin letters, and in the script where that is another.
SCRIPTS = {
    "Latin-1": (b"ISO_IR 100", latin1, ["zöl", "hüm", "mané", "krüs", "täv", "ñoq", "bråd", "çelm"], None),
    "UTF-8": (b"ISO_IR 192", lambda s: s.encode(), ["łuks", "žorv", "ěšt", "őrm", "kūv", "şahb", "țelm", "ðrav"], None),
    "Japanese": (b"\\ISO 2022 IR 87", lambda s: s.encode("iso2022_jp"), ["yama", "zuki", "hoko", "nara", "mitsu", "kago"],
                 "山崎鈴木佐藤高橋渡辺伊東清原森岡"),
    "Korean": (b"\\ISO 2022 IR 149", korean, ["hwang", "seok", "jeong", "bong", "kyul", "ryeo"], "황석정봉결려길동윤호진명"),
    "Chinese": (b"GB18030", lambda s: s.encode("gb18030"), ["zhang", "wei", "xiao", "dong", "ouyang", "qiu"], "张伟晓东欧阳秋雨诸葛黄蓉"),
    "Greek": (b"ISO_IR 126", lambda s: s.encode("iso8859_7"), None, ["διον", "κραλ", "μεθυ", "ξανδ", "φωτι", "θραβ"]),
    "Cyrillic": (b"ISO_IR 144", lambda s: s.encode("iso8859_5"), None, ["мысл", "кров", "зубр", "шлях", "жгун", "вольг"]),
}
ENCODINGS = ["latin-1", "utf-8", "utf-16-le", "utf-16-be", "iso2022_jp", "shift_jis", "euc_jp", "euc_kr", "gb18030", "iso8859_7", "iso8859_5",
             "cp1252", "cp1251", "cp1253", "utf-7"]
MONTHS = "January February March April May June July August September October November December".split()


class Person:
    def __init__(self, seed):
        self.seed = seed
        self.rnd = r = random.Random(f"person {seed}")
        self.script = list(SCRIPTS)[seed % len(SCRIPTS)]
        self.charset, self.encode, self.syllables, self.native = SCRIPTS[self.script]
        self.words = set()
        self.family, self.given = self.word(), self.word()
        self.groups = [f"{self.family}^{self.given}"]
        self.canaries = {self.family, self.given}
        if self.syllables and self.native:                # alphabetic and ideographic
            n, g = ("".join(r.sample(self.native, 2)) for _ in range(2))
            self.groups.append(f"{n}^{g}")
            self.canaries |= {n, g}
            self.native_family = n
        self.name = "=".join(self.groups)
        self.doctor = self.word()
        digits = str(r.choice([r.randrange(10**7, 19 * 10**6), r.randrange(21 * 10**6, 10**8)]))
        self.mrn = [digits, f"UH{digits}", f"{digits[:4]}-{digits[4:]}"][seed % 3]
        self.accession = f"ACC{r.randrange(10**6, 10**7)}"
        self.other = f"NHS{r.randrange(10**8, 10**9)}"
        self.phone = f"+44 20 {r.randrange(1000, 9999)} {r.randrange(1000, 9999)}"
        self.street = f"{r.randrange(100, 999)} {r.choice(['Quellengasse', 'Rowanberry Lane', 'Brinkstraat'])}"
        self.hospital = f"{r.choice(['Saint Wunibald', 'Kirkhaven', 'Lakemoor'])} Infirmary"
        self.year, self.month, self.day = r.randrange(1921, 2019), r.randrange(1, 13), r.randrange(13, 29)
        self.born = f"{self.year}{self.month:02}{self.day:02}"
        self.root = f"1.2.826.0.1.3680043.10.{seed}.{r.randrange(10**8, 10**9)}"
        self.canaries |= {self.doctor, self.mrn, digits, self.accession, self.other, self.phone, self.street, self.hospital, self.root,
                          *(d for d in self.born_forms() if len(d) > 7)}

    def word(self):
        """Long enough to be nobody else's word."""
        parts = self.syllables or self.native
        word = next(w for w in iter(lambda: "".join(self.rnd.sample(parts, 3)).capitalize(), None) if w not in self.words)
        self.words.add(word)
        return word

    def born_forms(self):
        y, m, d, name = self.year, self.month, self.day, MONTHS[self.month - 1]
        return [f"{y}{m:02}{d:02}", f"{y}-{m:02}-{d:02}", f"{d:02}.{m:02}.{y}", f"{d}/{m}/{y}", f"{m}/{d}/{y}", f"{d:02}/{m:02}/{y}",
                f"{d} {name} {y}", f"{d} {name[:3]} {y}", f"{name} {d}, {y}", f"{name[:3].upper()} {d} {y}", f"{d}-{name[:3]}-{y}"]

    def needles(self):
        """Bytes that may stand nowhere in what is written: every canary in every encoding, case and order, and as hexadecimal."""
        out = set()
        texts = {f(c) for c in self.canaries for f in (str, str.upper, str.lower)}
        texts |= {f"{b}{s}{a}" for a, b in [(self.family, self.given)] for s in ("^", " ", ", ", "")}
        texts |= {re.sub(r"\D", "", c) for c in self.canaries if sum(x.isdigit() for x in c) > 6}
        for t in texts:
            for encoding in ENCODINGS:
                try:
                    out.add(t.encode(encoding))
                except UnicodeEncodeError:
                    pass
        out |= {f(b.hex()).encode() for b in {self.encode(t) for t in texts} for f in (str, str.upper)}
        out |= {base64.b64encode(self.encode(t))[:-4] for t in texts}
        out |= {bytes.fromhex(d + "0" * (len(d) % 2)) for d in map(lambda t: re.sub(r"\D", "", t), texts) if len(d) > 9}
        return {n for n in out if len(n) > 3}


# --- instances, with an answer key ---

TEXT_VRS = {0x72005E: "AE", 0x72005F: "AS", 0x720061: "DA", 0x720062: "CS", 0x720063: "DT", 0x720064: "IS", 0x720065: "OB",
            0x720066: "LO", 0x720068: "LT", 0x72006A: "PN", 0x72006B: "TM", 0x72006C: "SH", 0x72006D: "UN", 0x72006E: "ST",
            0x72006F: "UC", 0x720070: "UT", 0x720071: "UR", 0x720072: "DS", 0x72007F: "UI"}
PLACES = {0x00720000 | t & 0xFF: vr for t, vr in TEXT_VRS.items()}       # named by no rule
CONTENT, DROPPED, REFERENCED, REFERENCED_SERIES = 0x0040A730, 0x00400275, 0x00081140, 0x00081115
GROUP, KEEPER = 0x0019, "PIXL CANARIES"

NEEDED = {"00080005": "keep", "00080016": "keep", "00080018": "replace_UID", "00080060": "keep", "00080070": "keep",
          "0020000D": "replace_UID", "0020000E": "replace_UID", "00100020": "secure-hash", "7FE00010": "keep"}
# Nothing that anybody typed is kept.
RULES = {**NEEDED, "00080050": "replace", "00080080": "replace", "00080081": "replace", "00081010": "secure-hash", "00100010": "replace",
         "00100030": "replace", "00101000": "secure-hash", "00102154": "empty", "00200052": "replace_UID", f"{CONTENT:08X}": "keep",
         "0040A123": "replace", "0040A124": "replace_UID", "0040A160": "replace", f"{REFERENCED:08X}": "keep", "00081155": "replace_UID",
         "00081150": "keep", f"{REFERENCED_SERIES:08X}": "keep"}
PRIVATE = [(GROUP, 1, KEEPER, "keep"), (GROUP, 3, KEEPER, "replace")]
SAMPLE = b"AXIAL 2.5"


def at(path, tag):
    return f"{path}({tag >> 16:04X},{tag & 0xFFFF:04X})"


class Instance:
    """Elements, and key: {path: (what becomes of it, bytes that must be there)}."""
    def __init__(self, person, series, number, coding, kept=()):
        self.p, self.coding, self.kept, self.key = person, coding, kept, {}
        p = person
        self.sop, self.series = f"{p.root}.{series}.{number}", f"{p.root}.{series}"
        self.sop_class = "1.2.840.10008.5.1.4.1.1.2"
        self.pixels = random.Random(f"{p.seed} {series} {number}").randbytes(128)
        self.rnd = random.Random(f"plants {p.seed} {series} {number}")
        self.elements = sorted(self.top(series, number) + self.level("", 3), key=lambda e: e.tag)

    def el(self, path, tag, vr, value, fate, becomes=b""):
        value = value if isinstance(value, bytes) else self.p.encode(value)
        fate = "kept" if tag in self.kept else fate
        self.key[at(path, tag)] = (fate, value if fate == "kept" else becomes)
        return El(tag, vr, padded(vr, value))

    def anything(self):
        """A planted text: who, by which number, when, where."""
        p = self.p
        return self.rnd.choice([p.name, f"{p.given} {p.family}", p.family.upper(), f"ref {p.mrn}", p.accession, p.other, p.phone,
                                f"{p.hospital}, {p.street}", f"born {self.rnd.choice(p.born_forms())}", f"{p.root}.1", f"Dr. {p.doctor}",
                                f"{p.family}, {p.given} ({p.mrn})"])

    def hashed(self, value, n):
        return pseudonym(value, n).encode()

    def top(self, series, number):
        p, el = self.p, self.el
        out = [el("", 0x00080005, "CS", p.charset, "kept"), El(0x00080016, "UI", padded("UI", self.sop_class.encode())),
               el("", 0x00080018, "UI", self.sop, "mapped"), El(0x00080060, "CS", b"CT"), El(0x00080070, "LO", b"ACME"),
               el("", 0x00100010, "PN", p.name, "replaced", b"ANONYMIZED"),
               el("", 0x00100020, "LO", p.mrn, "replaced", self.hashed(p.mrn, 64)), el("", 0x00100021, "LO", p.hospital, "removed"),
               el("", 0x00101001, "PN", f"{p.given}^{p.family}", "removed"), el("", 0x00101040, "LO", p.street, "removed"),
               el("", 0x00104000, "LT", f"{p.name} {p.mrn} {p.phone}", "removed"),
               el("", 0x0020000D, "UI", p.root, "mapped"), el("", 0x0020000E, "UI", self.series, "mapped"),
               el("", 0x00204000, "LT", self.anything(), "removed"), el("", 0x00080090, "PN", p.doctor, "removed"),
               El(0x00280002, "US", b"\1\0"), El(0x00280004, "CS", b"MONOCHROME2 "), El(0x00280010, "US", b"\x08\0"),
               El(0x00280011, "US", b"\x08\0"), El(0x00280100, "US", b"\x10\0"), El(0x00280101, "US", b"\x10\0"),
               El(0x00280102, "US", b"\x0f\0"), El(0x00280103, "US", b"\0\0"), El(0x7FE00010, "OW", self.pixels),
               el("", 0xFFFCFFFC, "OB", self.anything(), "removed")]
        for group in (0x5000, 0x5002, 0x6000, 0x6002):                   # curves and overlays
            label = 0x2500 if group < 0x6000 else 0x1500
            out += [el("", group << 16 | 0x0022, "LO", self.anything(), "removed"), el("", group << 16 | label, "LO", p.name, "removed"),
                    el("", group << 16 | 0x3000, "OW", self.anything(), "removed")]
        other = f"{p.root}.{series}.{number % 2 + 1}"
        out += [El(REFERENCED, "SQ", [Item([El(0x00081150, "UI", padded("UI", self.sop_class.encode())),
                                            el(f"{at('', REFERENCED)}[0].", 0x00081155, "UI", other, "mapped")])]),
                El(REFERENCED_SERIES, "SQ", [Item([el(f"{at('', REFERENCED_SERIES)}[0].", 0x0020000E, "UI", self.series, "mapped")])])]
        return out

    def level(self, path, depth):
        """What stands in every data set, main or item."""
        p, el, r = self.p, self.el, self.rnd
        # What stands in a PN is somebody's name from then on, also where a rule keeps it as a number; not where as the patient's name.
        out = [el(path, t, vr, r.choice([p.doctor, p.name]) if self.kept and vr == "PN" else self.anything(), "removed") for t, vr in PLACES.items()]
        if depth == 3:
            out += self.private(path)
        out += [el(path, 0x00080050, "SH", p.accession, "replaced", b"ANONYMIZED"), el(path, 0x00080080, "LO", p.hospital, "replaced", b"ANONYMIZED"),
                el(path, 0x00080081, "ST", p.street, "replaced", b"ANONYMIZED"),
                el(path, 0x00081010, "SH", p.hospital[:16].strip(), "replaced", self.hashed(p.hospital[:16].strip(), 16)),
                el(path, 0x00100030, "DA", p.born, "replaced", b"00010101"),
                el(path, 0x00101000, "LO", p.other, "replaced", self.hashed(p.other, 64)), el(path, 0x00102154, "SH", p.phone, "replaced", b""),
                el(path, 0x00200052, "UI", f"{p.root}.9", "mapped"), el(path, 0x0040A123, "PN", p.doctor if self.kept else p.name, "replaced", b"ANONYMIZED"),
                el(path, 0x0040A124, "UI", f"{p.root}.{r.randrange(1, 3)}.1", "mapped"),
                el(path, 0x0040A160, "UT", self.anything(), "replaced", b"ANONYMIZED")]
        if depth > 0:
            items = []
            for i in range(2):
                items.append(Item(sorted(self.level(f"{at(path, CONTENT)}[{i}].", depth - 1), key=lambda e: e.tag), r.random() < 0.5))
            out.append(El(CONTENT, "SQ", items, *self.lengths()))
            self.key[at(path, DROPPED)] = ("removed", b"")
            out.append(El(DROPPED, "SQ", [Item(sorted(Plain(self).level("", 0), key=lambda e: e.tag))], r.random() < 0.5))
        return out

    def lengths(self):
        """Of a sequence: is its length undefined, and is it written as UN?  pydicom reads no UN in big endian."""
        as_un = self.rnd.random() < 0.2 and self.coding.explicit and not self.coding.big
        return self.rnd.random() < 0.5, as_un

    def private(self, path):
        """One block that is partly kept, one of a stranger, one whose creator is a person, elements without a creator."""
        g, el, p = GROUP << 16, self.el, self.p
        return [el(path, g | 0x10, "LO", KEEPER, "kept"), el(path, g | 0x11, "LO", "SOMEBODY ELSE", "removed"),
                el(path, g | 0x12, "LO", p.name, "removed"), el(path, g | 0x1001, "LO", SAMPLE, "kept"),
                el(path, g | 0x1002, "LO", self.anything(), "removed"),
                el(path, g | 0x1003, "UN", self.anything(), "replaced", b"Anonymized"), el(path, g | 0x1101, "LO", p.name, "removed"),
                el(path, g | 0x1201, "OB", self.anything(), "removed"), el(path, g | 0x1301, "LO", self.anything(), "removed")]

    def write(self, path):
        p = self.p
        meta = [El(0x00020013, "SH", padded("SH", p.encode(p.family)[:16])), El(0x00020016, "AE", padded("AE", p.mrn.encode())),
                El(0x00020017, "AE", padded("AE", p.accession.encode())), El(0x00020100, "UI", padded("UI", f"{p.root}.7".encode())),
                El(0x00020102, "OB", padded("OB", p.encode(f"{p.name} {p.mrn}")))]
        preamble = p.encode(f"{p.given} {p.family} {p.mrn}")[:128].ljust(128, b"\0")
        path.write_bytes(file_bytes(self.elements, self.coding, preamble, meta))


class Plain:
    """As an Instance, but for what is removed as a whole: its places are not in the key."""
    def __init__(self, instance):
        self.p, self.rnd, self.coding, self.key = instance.p, instance.rnd, instance.coding, {}
        self.kept = instance.kept
    el, anything, hashed, level, lengths = Instance.el, Instance.anything, Instance.hashed, Instance.level, Instance.lengths


def place(found, path):
    """What stands at a path in oracles.tree(); None: nothing."""
    for step in path.split("."):
        m = re.fullmatch(r"\(([0-9A-F]{4}),([0-9A-F]{4})\)(?:\[(\d+)\])?", step)
        e = found.get(int(m[1] + m[2], 16))
        if e is None or (m[3] and (e[0] != "SQ" or int(m[3]) >= len(e[1]))):
            return None
        found = e[1][int(m[3])] if m[3] else e[1]
    return found


def check_key(instance, out, uids):
    now = tree(read(out))
    was = tree(read(out.with_suffix(".in")))
    for path, (fate, value) in instance.key.items():
        found = place(now, path)
        if fate == "removed":
            assert found is None, f"{path} is left"
        elif fate == "mapped":
            assert found is not None, f"{path} is lost"
            uids.see_values(place(was, path), found, path)
        else:
            assert found is not None, f"{path} is lost"
            assert found.rstrip(b"\0 ") == value.rstrip(b"\0 "), f"{path}: {found[:40]!r} where {value[:40]!r} must be"
    assert now[0x7FE00010][1] == instance.pixels, "other pixels"


def holds(data, needles):
    return [n for n in needles if n in data]


def seeds():
    return range(FIRST_SEED, FIRST_SEED + N_SEEDS)


def test_of_what_is_removed_nothing_is_left(tmp_path):
    project = write_project(tmp_path / "p", RULES, PRIVATE)
    studies, instances = [], []
    for seed in seeds():
        person = Person(seed)
        some = [Instance(person, s, n, CODINGS[seed % len(CODINGS)]) for s, n in ((1, 1), (1, 2), (2, 1))]
        for i, instance in enumerate(some):
            instance.write(tmp_path / f"{seed}-{i}.in")
        instances.append(some)
        studies.append([(tmp_path / f"{seed}-{i}.in", tmp_path / f"{seed}-{i}.out") for i in range(3)])
    bad, uids = [], Uids()
    for some, pairs, said in zip(instances, studies, deid_studies(project, studies)):
        person = some[0].p
        needles = person.needles()
        for instance, (source, out), words in zip(some, pairs, said):
            try:
                assert words == ["emit"], " ".join(words)
                assert len(holds(source.read_bytes() if instance.coding != DEFLATED else b"", needles)) > 15 or instance.coding == DEFLATED
                data = out.read_bytes()
                left = holds(data, needles)
                assert not left, f"left: {left[:3]}"
                check_key(instance, out, uids)
            except Exception as e:
                bad.append(f"PIXL_TEST_SEED={person.seed} {person.script} {source.name}: {str(e).splitlines()[0]}")
    assert not bad, f"{len(bad)}:\n" + "\n".join(bad[:40])
    fates = {f for some in instances for i in some for f, _ in i.key.values()}
    assert fates == {"removed", "replaced", "mapped", "kept"}


# Identity that rules keep by name: each in its own element, and nowhere else.
KEPT = {0x00080050, 0x00080080, 0x00080081, 0x00100010, 0x00100030, 0x00101000, 0x00102154, 0x0040A123}


def test_what_a_rule_keeps_by_name_is_kept(tmp_path):
    project = write_project(tmp_path / "p", {**RULES, **{f"{t:08X}": "keep" for t in KEPT}}, PRIVATE)
    instances, pairs = [], []
    for seed in seeds():
        instances.append(Instance(Person(seed), 1, 1, CODINGS[seed % len(CODINGS)], KEPT))
        pairs.append((tmp_path / f"{seed}.in", tmp_path / f"{seed}.out"))
        instances[-1].write(pairs[-1][0])
    bad, uids = [], Uids()
    for instance, (source, out), (words,) in zip(instances, pairs, deid_studies(project, [[p] for p in pairs])):
        try:
            assert words == ["emit"], " ".join(words)
            check_key(instance, out, uids)
        except Exception as e:
            bad.append(f"PIXL_TEST_SEED={instance.p.seed} {instance.p.script}: {str(e).splitlines()[0]}")
    assert not bad, f"{len(bad)}:\n" + "\n".join(bad[:40])


# --- free texts that rules keep ---

# {tag: (VR, what stands there usually)}, in every data set.
FREE = {
    0x00080008: ("CS", b"ORIGINAL\\PRIMARY\\AXIAL"), 0x00080054: ("AE", b"SCANNER 1"), 0x00081030: ("LO", b"CT of the chest"),
    0x0008103E: ("LO", b"AXIAL 2.5"), 0x00080119: ("UC", b"a long code"), 0x00081190: ("UR", b"http://example.org/a"),
    0x00104000: ("LT", b"came by bus"), 0x00180050: ("DS", b"2.5"), 0x00181020: ("LO", b"v 1.2"), 0x00181200: ("DA", b"20200102"),
    0x00189074: ("DT", b"20200102101112"), 0x00200012: ("IS", b"3"), 0x00204000: ("LT", b"sharp"),
    0x00209056: ("SH", b"stack 1"), 0x00400280: ("ST", b"nothing unusual"), 0x0040A160: ("UT", b"No fracture."),
    0x0072007F: ("UI", b"1.2.3.4.5.6.7")}
FREE_PRIVATE = {0x00191001: ("LO", SAMPLE), 0x00191004: ("UN", b"\1\2\0\0private\0"), 0x00191005: ("OB", b"\0\1\2\0header\0\0")}
FREE_RULES = {**RULES, **{f"{t:08X}": "keep" for t in FREE}}
FREE_PRIVATE_RULES = [(GROUP, t & 0xFF, KEEPER, "keep") for t in FREE_PRIVATE]


WORDS = {"LO", "LT", "ST", "UT", "UC", "SH"}
# What is not found: {(script, VR, what begins so): why}.  When it is found, the line goes.
NOT_FOUND_YET = {}


def without_marks(s):
    plain = "".join(c for c in unicodedata.normalize("NFKD", s) if not unicodedata.combining(c))
    return plain if plain.isascii() else None


def mentions(p):
    """(what, VRs that may hold it, text)."""
    everywhere = WORDS | {"UN", "OB"}
    out = [("family name", everywhere, f"for {p.family}"), ("family name in capitals", everywhere, p.family.upper()),
           ("family name in small letters", WORDS, f"seen by {p.family.lower()} twice"), ("both names", WORDS, f"{p.given} {p.family}"),
           ("names turned round", WORDS, f"{p.family}, {p.given}"), ("given name", WORDS, f"({p.given})"),
           ("genitive", WORDS, f"{p.family}'s knee"), ("glued names", WORDS, f"{p.family}{p.given}"),
           ("one of several values", {"LO", "SH"}, f"knee\\{p.family}\\left"), ("number in UTF-16", {"OB", "UN"}, p.mrn.encode("utf-16-le")),
           ("names glued to a modality", WORDS, f"{p.family}{p.given}CT"), ("family name behind a modality", WORDS, f"CT{p.family}"),
           ("letters apart", WORDS, f"for {' '.join(p.family)}."), ("in an address", {"UR", "LO", "UT"}, f"http://example.org/?n={quote(p.family)}&x=1"),
           ("in mail", WORDS, quote(f"for {p.family} ").replace("%", "=")), ("labelled number without a gap", WORDS, f"x{p.mrn}"),
           ("name and number", WORDS, f"{p.family}_{p.mrn}"), ("doctor", WORDS, f"Dr. {p.doctor}"),
           ("number", everywhere | {"AE", "UR", "CS"}, p.mrn), ("labelled number", WORDS, f"MRN:{p.mrn}."),
           ("number in an address", {"UR"}, f"http://example.org/a?id={p.mrn}&x=1"), ("accession", everywhere | {"AE", "CS"}, p.accession),
           ("accession in small letters", WORDS, f"see {p.accession.lower()}"), ("other number", WORDS | {"CS"}, p.other),
           ("date of birth", {"DA"}, p.born), ("date and time of birth", {"DT"}, p.born + "0405"),
           ("study UID", {"UI"}, p.root), ("series UID", {"UI"}, f"{p.root}.1"), ("instance UID", {"UI"}, f"{p.root}.1.1"),
           ("study UID in words", WORDS | {"UR"}, f"copy of {p.root}"), ("UID below the instance's", {"UI"}, f"{p.root}.1.1.5")]
    out += [(f"born {i}", WORDS, f"born {form}") for i, form in enumerate(p.born_forms())]
    digits = re.sub(r"\D", "", p.mrn)
    out += [("digits of the number", WORDS | {"IS", "DS"} if p.mrn == digits else WORDS, digits),
            ("number with a gap", WORDS, f"{digits[:4]} {digits[4:]}")]
    ordinal = f"{p.day}{ {21: 'st', 22: 'nd', 23: 'rd'}.get(p.day, 'th') }"
    out += [("born, ordinal", WORDS, f"the {ordinal} of {MONTHS[p.month - 1]} {p.year}"),
            ("born, two digits of the year", WORDS, f"{p.day}.{p.month}.{p.year % 100:02}")]
    if p.script in ("Japanese", "Chinese", "UTF-8"):
        out.append(("born, in ideographs", WORDS, f"{p.year}年{p.month}月{p.day}日"))
    if hasattr(p, "native_family"):
        around = ("환자", "님은") if p.script == "Korean" else ("患者", "様")
        out += [("name among ideographs", WORDS, p.native_family.join(around)),
                ("both names among ideographs", WORDS, p.groups[1].replace("^", "").join(around))]
        out += [("ideographs", WORDS, f"( {p.native_family} )"), ("ideographic name", WORDS, p.groups[1].replace("^", ""))]
    if p.family.isascii():
        out.append(("name in UTF-16", {"OB", "UN"}, p.family.encode("utf-16-be")))
    if p.script == "Latin-1":
        out.append(("vowels written out", WORDS, p.family.replace("ü", "ue").replace("ö", "oe").replace("ä", "ae").replace("å", "aa")))
    bare = without_marks(p.family)
    if bare and bare != p.family:
        out.append(("name without its marks", everywhere, f"for {bare}"))
    return out


class Free(Instance):
    """Few elements beside the free texts; plant: (path, tag, bytes) of the one that holds somebody."""
    def __init__(self, person, coding, plant=None, number=1, operator=None):
        self.plant, self.operator = plant, operator
        super().__init__(person, 1, number, coding)

    def top(self, series, number):
        p, el = self.p, self.el
        out = [el("", 0x00080005, "CS", p.charset, "kept"), El(0x00080016, "UI", padded("UI", self.sop_class.encode())),
               el("", 0x00080018, "UI", self.sop, "mapped"), El(0x00080060, "CS", b"CT"), El(0x00080070, "LO", b"ACME"),
               el("", 0x00080050, "SH", p.accession, "replaced", b"ANONYMIZED"), el("", 0x00080090, "PN", p.doctor, "removed"),
               el("", 0x00100010, "PN", p.name, "replaced", b"ANONYMIZED"), el("", 0x00100020, "LO", p.mrn, "replaced", self.hashed(p.mrn, 64)),
               el("", 0x00100030, "DA", p.born, "replaced", b"00010101"),
               el("", 0x00101000, "LO", p.other, "replaced", self.hashed(p.other, 64)),
               el("", 0x0020000D, "UI", p.root, "mapped"), el("", 0x0020000E, "UI", self.series, "mapped"),
               El(0x7FE00010, "OW", self.pixels)]
        if self.operator:
            out.append(el("", 0x00081070, "PN", self.operator, "removed"))
        return out

    def level(self, path, depth):
        out = [self.el(path, 0x00190010, "LO", KEEPER, "kept")]
        for tag, (vr, usual) in {**FREE, **FREE_PRIVATE}.items():
            value = self.plant[2] if self.plant and self.plant[:2] == (path, tag) else usual
            out.append(self.el(path, tag, vr, value, "kept"))
        if depth > 0:
            items = [Item(sorted(self.level(f"{at(path, CONTENT)}[{i}].", depth - 1), key=lambda e: e.tag), i == 1) for i in range(2)]
            out.append(El(CONTENT, "SQ", items, depth == 2))
        return out


def as_bytes(p, vr, words):
    value = words if isinstance(words, bytes) else p.encode(words)
    return b"\1\0" + value + b"\0\3" if vr in ("UN", "OB") else value


def test_a_kept_text_that_holds_somebody_withholds_the_study(tmp_path):
    project = write_project(tmp_path / "p", FREE_RULES, FREE_PRIVATE_RULES)
    pairs, wanted, used = [], [], set()

    def add(instance, name, said):
        pairs.append((tmp_path / f"{len(pairs)}.in", tmp_path / f"{len(pairs)}.out"))
        instance.write(pairs[-1][0])
        wanted.append((instance, name, said))
    for seed in seeds():
        p, coding = Person(seed), CODINGS[seed % len(CODINGS)]
        rnd = random.Random(f"mentions {seed}")
        add(Free(p, coding), "nobody", ["emit"])
        year = Person(seed)
        year.mrn = f"UH1993{1360 + seed}"                 # there is no month 13
        for who, what, vrs, words in [(p, *m) for m in mentions(p)] + [(year, "digits of a number that could be a year", {"LO"}, year.mrn[2:])]:
            places = [(t, vr) for t, (vr, _) in {**FREE, **FREE_PRIVATE}.items() if vr in vrs]
            tag, vr = rnd.choice(places)
            path = "".join(f"{at('', CONTENT)}[{rnd.randrange(2)}]." for _ in range(rnd.randrange(4)))
            known = {k for k in NOT_FOUND_YET if k[0] in ("any", p.script) and k[1] in ("any", vr) and what.startswith(k[2])}
            used |= known
            add(Free(who, coding, (path, tag, as_bytes(p, vr, words))), f"{what}, {vr}",
                ["emit"] if known else ["residue", "residue", at(path, tag)])
    bad, uids = [], Uids()
    for (instance, name, want), (source, out), (words,) in zip(wanted, pairs, deid_studies(project, [[p] for p in pairs])):
        try:
            assert words == want, f"{' '.join(words)}, not {' '.join(want)}"
            if name == "nobody":
                check_key(instance, out, uids)
        except Exception as e:
            bad.append(f"PIXL_TEST_SEED={instance.p.seed} {instance.p.script} {instance.coding.uid}: {name}: {str(e).splitlines()[0]}")
    assert not bad, f"{len(bad)} of {len(wanted)}:\n" + "\n".join(bad[:60])
    assert len(wanted) > 30 * N_SEEDS
    assert FIRST_SEED != 1 or used == set(NOT_FOUND_YET), set(NOT_FOUND_YET) - used


def test_who_comes_later_is_looked_for_in_what_came_before(tmp_path):
    """The second instance names an operator whom the first one's comment holds: the first one's place is told."""
    project = write_project(tmp_path / "p", FREE_RULES, FREE_PRIVATE_RULES)
    studies, wanted = [], []
    for seed in seeds():
        p, coding = Person(seed), CODINGS[seed % len(CODINGS)]
        strangers = (Person(seed + 1000 * n * len(SCRIPTS)) for n in range(1, 99))
        other = next(o for o in strangers if not {o.family, o.given} & {p.family, p.given, p.doctor})
        for who, operator in (("another", f"{p.doctor}^Ann"), ("the same", f"{other.family}^{other.given}")):
            path = f"{at('', CONTENT)}[1]." if seed % 2 else ""
            first = Free(p, coding, (path, 0x00204000, p.encode(f"asked {other.family} twice")))
            second = Free(p, coding, None, 2, operator)
            names = [tmp_path / f"{seed}-{who}-{i}" for i in range(2)]
            first.write(names[0].with_suffix(".in"))
            second.write(names[1].with_suffix(".in"))
            studies.append([(n.with_suffix(".in"), n.with_suffix(".out")) for n in names])
            wanted.append([["emit"], ["residue", "residue", at(path, 0x00204000)] if who == "the same" else ["emit"]])
    said = deid_studies(project, studies)
    bad = [f"PIXL_TEST_SEED={FIRST_SEED + i // 2}: {a}, not {b}" for i, (a, b) in enumerate(zip(said, wanted)) if a != b]
    assert not bad, "\n".join(bad)


def test_the_search_finds_what_is_left(tmp_path):
    """Addresses are nobody's needles: where a rule keeps them the search above must find them, or it finds nothing."""
    project = write_project(tmp_path / "p", {**RULES, "00101040": "keep"}, PRIVATE)
    people = [Person(seed) for seed in seeds()][:len(SCRIPTS)]
    for p in people:
        Instance(p, 1, 1, EXPLICIT, {0x00101040}).write(tmp_path / f"{p.seed}.in")
    said = deid_studies(project, [[(tmp_path / f"{p.seed}.in", tmp_path / f"{p.seed}.out")] for p in people])
    assert said == [[["emit"]]] * len(people)
    for p in people:
        assert holds((tmp_path / f"{p.seed}.out").read_bytes(), p.needles()), p.script


# --- the lists of rules that are shipped ---

LISTS = SOURCE / "policies" / "tag-operations"
COMBINATIONS = {"base": ["base"], **{p.stem: ["base", p.stem] for p in sorted(LISTS.glob("*.yaml")) if p.stem != "base"}}
COMBINATIONS["mr-diffusion"] = ["base", "mr", "mr-diffusion"]
RULE = re.compile(r"group: 0x([0-9A-F]{4}), element: 0x([0-9A-F]{4}), op: ([a-zA-Z_-]+) }")


def shipped(names):
    """{tag: operation} of lists; a later one wins."""
    out = {}
    for name in names:
        rules = RULE.findall((LISTS / f"{name}.yaml").read_text())
        out |= {int(g + e, 16): op for g, e, op in rules}
    return out


HARMLESS = {"AE": b"SCANNER 1", "AS": b"042Y", "CS": b"AXIAL", "DA": b"20200102", "DS": b"2.5", "DT": b"20200102101112", "IS": b"3",
            "TM": b"101112", "UI": b"1.2.3.4.5.6.7", "UR": b"http://example.org/a", "PN": b"", "OB": b"\1\2\3\4", "UN": b"\1\2\3\4"}
IN_ITEMS = {0x00101040: "LO", 0x0040A123: "PN", 0x0040A160: "UT", 0x00081190: "UR", 0x00400555: "LO"}


class Everything(Instance):
    """Every public attribute of the dictionary, people in all that hold text and are not kept by rules; or, with a plant (tag, text),
    beside what is needed that one alone."""
    def __init__(self, person, rules, plant=None):
        self.rules, self.plant = rules, plant
        super().__init__(person, 1, 1, EXPLICIT)

    def value(self, tag, vr):
        if self.plant and self.plant[0] == tag:
            return self.p.encode(self.plant[1])
        if vr in UNITS:
            return bytes(2 * UNITS[vr])
        if self.rules.get(tag) == "keep":
            return HARMLESS.get(vr, SAMPLE)
        return self.p.encode(self.p.root + ".4" if vr == "UI" and self.rules.get(tag) == "replace_UID" else self.anything())

    def top(self, series, number):
        p = self.p
        mine = [El(0x00080005, "CS", padded("CS", p.charset)), El(0x00080016, "UI", padded("UI", self.sop_class.encode())),
                El(0x00080018, "UI", padded("UI", self.sop.encode())), El(0x00080060, "CS", b"CT"), El(0x00080070, "LO", padded("LO", self.value(0x00080070, "LO"))),
                El(0x00100010, "PN", padded("PN", p.encode(p.name))), El(0x00100020, "LO", padded("LO", p.encode(p.mrn))),
                El(0x0020000D, "UI", padded("UI", p.root.encode())), El(0x0020000E, "UI", padded("UI", self.series.encode())),
                El(0x00280002, "US", b"\1\0"), El(0x00280004, "CS", b"MONOCHROME2 "), El(0x00280010, "US", b"\x08\0"),
                El(0x00280011, "US", b"\x08\0"), El(0x00280100, "US", b"\x10\0"), El(0x00280101, "US", b"\x10\0"),
                El(0x00280102, "US", b"\x0f\0"), El(0x00280103, "US", b"\0\0"), El(0x00280301, "CS", b"NO"),
                El(0x7FE00010, "OW", self.pixels)]
        taken = {e.tag for e in mine} | {0x00280008, 0x7FE00001, 0x7FE00002, 0x7FE00008, 0x7FE00009}
        for tag, (vr, _, _, _, _) in DicomDictionary.items():
            if self.plant and tag != self.plant[0]:
                continue
            if tag in taken or tag >> 16 < 8 or tag & 0xFFFF == 0 or tag >> 16 >= 0xFFFE:
                continue
            vr = vr[:2]
            if vr == "SQ":
                inside = [El(t, v, padded(v, self.value(t, v))) for t, v in sorted(IN_ITEMS.items())]
                mine.append(El(tag, "SQ", [Item(sorted(inside, key=lambda e: e.tag))]))
            else:
                mine.append(El(tag, vr, padded(vr, self.value(tag, vr))))
        return mine

    def level(self, path, depth):
        return []


@pytest.mark.parametrize("which", COMBINATIONS)
def test_shipped_lists_leave_nothing_of_what_they_do_not_keep(tmp_path, which):
    rules = shipped(COMBINATIONS[which])
    project = write_project(tmp_path / "p", {}, lists=[LISTS / f"{n}.yaml" for n in COMBINATIONS[which]])
    people = [Person(seed) for seed in seeds()][:len(SCRIPTS)]
    texts = sorted(t for t, op in rules.items() if op == "keep" and DicomDictionary.get(t, ("",))[0] in WORDS)
    pairs = [(tmp_path / f"{p.seed}.in", tmp_path / f"{p.seed}.out") for p in people]
    for p, (source, _) in zip(people, pairs):
        Everything(p, rules).write(source)
    p = people[FIRST_SEED % len(people)]
    leaks = [(tmp_path / f"{t:08X}.in", tmp_path / f"{t:08X}.out") for t in texts]
    for t, (source, _) in zip(texts, leaks):
        Everything(p, rules, (t, f"for {p.family}")).write(source)
    said = deid(project, pairs + leaks)
    for p, (source, out), words in zip(people, pairs, said):
        assert words == ["emit"], (p.seed, words)
        assert len(holds(source.read_bytes(), p.needles())) > 10
        left = holds(out.read_bytes(), p.needles())
        assert not left, f"PIXL_TEST_SEED={p.seed} {p.script}: {left[:3]}"
    bad = {f"{t:08X}": words for t, words in zip(texts, said[len(pairs):]) if words[:2] != ["residue", "residue"]}
    assert not bad, f"PIXL_TEST_SEED={people[FIRST_SEED % len(people)].seed}: {bad}"
    assert texts
