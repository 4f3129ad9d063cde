"""`pixl deid --report`: its counts against an independent comparison of input and output by pydicom, and what it must never say."""
import collections
import html.parser
import json
import pathlib
import re

import pydicom
import pytest
from hospital import MARK, ROOT, TAGS, Hospital
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

DOCS = pathlib.Path(__file__).parents[2] / "docs" / "deid-report.md"
REMOVALS = {"removed-no-rule", "removed-by-rule", "removed-with-sequence", "removed-without-creator", "removed-group-length",
            "removed-duplicate", "removed-marker"}
CHANGES = {"changed-inside", "uid-mapped", "hashed", "replaced", "emptied", "pixels-cleaned"}
VOID = {"meta", "br", "img", "link", "input", "hr"}


@pytest.fixture
def hospital(tmp_path):
    return Hospital(tmp_path)


def deid(h, *args, ok=(0,), out="out", **env):
    return h.pixl("deid", h.archive, h.base / out, "--project", h.project, *args, ok=ok, **env)


def as_json(h, *args, ok=(0,), name="report.json", **how):
    deid(h, "--report", h.base / name, *args, ok=ok, **how)
    return json.loads((h.base / name).read_bytes().decode("utf-8", "strict"))


class Page(html.parser.HTMLParser):
    """Tables by their id as lists of rows of texts; everything else that matters as lists."""

    def __init__(self, path):
        super().__init__(convert_charrefs=True)
        self.tables, self.tags, self.attributes, self.open = {}, set(), [], []
        self.text, self.table, self.in_cell = "", None, False
        self.feed(path.read_bytes().decode("utf-8", "strict"))
        self.close()
        assert self.open == [], "every element is closed"

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)
        if tag == "table":
            self.table = self.tables.setdefault(dict(attrs)["id"], [])
        if tag == "tr":
            self.table.append([])
        if tag in ("td", "th"):
            self.table[-1].append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag
        if tag == "table":
            self.table = None

    def handle_data(self, data):
        self.text += data
        if self.open and self.open[-1] in ("td", "th"):
            self.table[-1][-1] += data


def rich(h, number):
    """An instance with something for every kind of rule."""
    path = h.files[number, 1, 1]
    d = pydicom.dcmread(path)
    d.PatientIdentityRemoved = "NO"
    d.InstitutionAddress = f"{MARK} Street"
    d.PatientComments = f"{MARK} said"
    gone = Dataset()
    gone.ReferencedSOPClassUID, gone.ReferencedSOPInstanceUID = d.SOPClassUID, f"{ROOT}.77"
    gone.RequestedProcedureDescription = f"{MARK} wanted it"
    inner = Dataset()
    inner.CodeMeaning = f"{MARK} meant it"
    gone.RequestedProcedureCodeSequence = Sequence([inner, inner])
    d.RequestAttributesSequence = Sequence([gone, gone])
    plain = Dataset()
    plain.ReferencedSOPClassUID = d.SOPClassUID
    d.ReferencedStudySequence = Sequence([plain])              # kept, and nothing in it changes
    kept = d.private_block(0x0029, "ACME <KEPT>", create=True)
    kept.add_new(0x01, "LO", "words")
    kept.add_new(0x02, "LO", f"{MARK} words")
    d.add_new(0x00311001, "LO", f"{MARK} without creator")
    d.save_as(path, write_like_original=False)


def rich_rules(h):
    (h.configs / "tag-operations" / "base.yaml").write_text(TAGS + "".join(
        f"- {{group: 0x{tag[:4]}, element: 0x{tag[4:]}, op: {op}}}\n"
        for tag, op in (("00080081", "delete"), ("00081110", "keep"), ("00104000", "empty"), ("00291001", "keep"))))


def elements(ds, path=()):
    """(path, tag text, VR, value as text) of every element, file meta first."""
    for part in ([ds.file_meta] if hasattr(ds, "file_meta") else []) + [ds]:
        for e in part:
            here = (*path, int(e.tag))
            text = f"({e.tag.group:04X},{e.tag.elem:04X})"
            if e.tag.group % 2 and e.tag.elem >= 0x1000 and (e.tag.group, e.tag.elem >> 8) in part:
                text = f"({e.tag.group:04X},xx{e.tag.elem & 0xFF:02X})"
            elif e.tag.is_private_creator:
                text = f"({e.tag.group:04X},00xx)"
            yield here, text, e.VR, repr([list(elements(item)) for item in e.value] if e.VR == "SQ" else e.value)
            if e.VR == "SQ":
                for n, item in enumerate(e.value):
                    yield from elements(item, (*here, n))


def recount(h):
    """What a reader of both folders finds: tag -> Counter of gone, same, other, added; the file meta apart."""
    out = collections.defaultdict(collections.Counter)
    by_pixels = {pydicom.dcmread(p).PixelData: pydicom.dcmread(p) for p in h.archive.rglob("*") if p.is_file()}
    for path in (h.base / "out").rglob("*.dcm"):
        after = pydicom.dcmread(path)
        before = by_pixels[after.PixelData]
        left = {where: value for where, _, _, value in elements(after)}
        marks = {0x00120062, 0x00120063, 0x00120064, 0x00280303}
        for where, tag, vr, value in elements(before):
            if where[0] >> 16 == 2:
                out[tag]["meta"] += 1
            elif where not in left or where[0] in marks:
                out[tag]["gone"] += 1
            else:
                out[tag]["same" if left[where] == value else "other"] += 1
        there = {where for where, *_ in elements(before)}
        for where, tag, _, _ in elements(after):
            if where[0] >> 16 != 2 and (where not in there or where[0] in marks):
                out[tag]["added"] += 1
    return {tag: dict(n) for tag, n in out.items()}


def told(report):
    out = collections.defaultdict(collections.Counter)
    for row in report["attributes"]:
        for action, n in row["actions"].items():
            kind = "gone" if action in REMOVALS else "other" if action in CHANGES else {"kept": "same", "marker": "added", "file-meta": "meta"}[action]
            out[row["tag"]][kind] += n
    return {tag: dict(n) for tag, n in out.items()}


def check_says_nothing(h, *names):
    for name in names:
        data = (h.base / name).read_bytes().lower()
        for mark in (MARK, ROOT, "19620304", "jane", str(h.base), "out/"):
            assert mark.lower().encode() not in data, (name, mark)


def test_counts_are_what_another_reader_finds(hospital):
    h = hospital
    rich_rules(h)
    h.add_study(1, series=2, instances=2)
    h.add_study(2, implicit=True)
    h.add_study(3)
    rich(h, 1)
    rich(h, 2)
    report = as_json(h)
    assert told(report) == recount(h)
    by_tag = {}
    for row in report["attributes"]:                           # private data has two VRs: implicit files do not say it
        seen = by_tag.setdefault(row["tag"], {**row, "actions": collections.Counter()})
        seen["actions"].update(row["actions"])
    assert {row["vr"] for row in report["attributes"] if row["tag"] == "(0029,xx01)"} == {"LO", "UN"}
    assert by_tag["(0010,0020)"]["actions"] == {"hashed": 16} and by_tag["(0010,0020)"]["keyword"] == "PatientID"
    assert by_tag["(0008,0081)"]["actions"] == {"removed-by-rule": 2}
    assert by_tag["(0010,4000)"]["actions"] == {"emptied": 2}
    assert by_tag["(0040,0275)"]["actions"] == {"removed-no-rule": 2}
    assert by_tag["(0008,0104)"]["actions"] == {"removed-with-sequence": 8, "marker": 2}
    assert by_tag["(0008,1110)"]["actions"] == {"kept": 2} and by_tag["(0008,1140)"]["actions"] == {"changed-inside": 8}
    assert by_tag["(0012,0062)"]["actions"] == {"removed-marker": 2, "marker": 8}
    assert by_tag["(0029,xx01)"]["actions"] == {"kept": 2} and by_tag["(0029,xx01)"]["creator"] == "ACME <KEPT>"
    assert by_tag["(0029,xx02)"]["actions"] == {"removed-no-rule": 2} and by_tag["(0031,1001)"]["actions"] == {"removed-without-creator": 2}
    assert by_tag["(0019,xx10)"]["creator"] == "" and by_tag["(0019,xx10)"]["actions"] == {"removed-no-rule": 8}
    assert report["methods"] == [{"code": "113111", "meaning": "Retain Safe Private Option", "instances": 2}]
    sums = collections.Counter()
    for row in report["attributes"]:
        sums.update(row["actions"])
    assert dict(sums) == {k: v for k, v in report["actions"].items() if v} and report["other_attributes"] == {}
    plain = [row["tag"] for row in report["attributes"] if "x" not in row["tag"]]
    assert plain == sorted(plain)
    assert report["project"] == {"slug": h.project, "name": "Test Project", "rule_files": ["base.yaml"], "basic_profile": False}


def test_one_instance_before_and_after(hospital):
    h = hospital
    rich_rules(h)
    h.add_study(1)
    rich(h, 1)
    report = as_json(h)
    (sop,) = {e["after"] for e in report["instance"]["elements"] if e["tag"] == "(0008,0018)"}
    (written,) = (h.base / "out").rglob(f"{sop}.dcm")
    after = pydicom.dcmread(written)
    before = next(ds for ds in map(pydicom.dcmread, h.files.values()) if ds.PixelData == after.PixelData)
    listed = report["instance"]["elements"]
    rows = {e["path"]: e for e in listed}
    assert report["instance"]["number"] == 1 and report["instance"]["elements_not_listed"] == 0

    def text(where):
        return "".join(f"[{w}]." if w < 1000 and n % 2 else f"({w >> 16:04X},{w & 0xFFFF:04X})" for n, w in enumerate(where))
    left = {text(where): value for where, _, _, value in elements(after)}
    there = {text(where): value for where, _, _, value in elements(before)}
    assert sorted(e["path"] for e in listed if e["after_bytes"] is not None) == sorted(left)
    assert sorted(e["path"] for e in listed if e["before_bytes"] is not None) == sorted(there)
    assert [e["action"] for e in listed if e["tag"] == "(0012,0062)"] == ["removed-marker", "marker"]
    for e in listed:
        path = e["path"]
        if e["before"] is not None:
            assert e["action"] == "kept" and e["before"] == e["after"] and there[path] == left[path], path
    assert rows["(0010,0010)"]["after"] == "ANONYMIZED" and rows["(0010,0010)"]["before"] is None
    assert rows["(0008,1140)[0].(0008,1155)"]["after"] == after.ReferencedImageSequence[0].ReferencedSOPInstanceUID
    assert rows["(0040,0275)[1].(0032,1064)[1].(0008,0104)"]["action"] == "removed-with-sequence"
    assert rows["(0028,0010)"]["before"] == rows["(0028,0010)"]["after"] == "32"
    assert rows["(7FE0,0010)"]["after"] is None and rows["(7FE0,0010)"]["after_bytes"] == 2048
    check_says_nothing(h, "report.json")


def test_nothing_identifying_is_said(hospital):
    h = hospital
    rich_rules(h)
    h.add_study(1)
    h.add_study(2)
    h.add_study(3, modality="MR")
    h.add_study(4, instances=1)
    h.files[4, 1, 1].write_bytes(h.files[4, 1, 1].read_bytes()[:-100])
    rich(h, 1)
    leak = pydicom.dcmread(h.files[2, 1, 2])
    leak.StudyDescription = f"for {MARK}son"
    leak.save_as(h.files[2, 1, 2])
    report = as_json(h, ok=(1,))
    r = deid(h, "--report", h.base / "report.html", ok=(1,))
    check_says_nothing(h, "report.json", "report.html")
    n = report["counts"]
    assert n["files"] == n["not_dicom"] + n["written"] + n["left_out"] + n["copies"] + n["in_withheld_studies"] == 7
    assert (n["studies"], n["studies_written"], n["studies_withheld"], n["in_withheld_studies"]) == (4, 1, 1, 1)
    assert n["left_out_by"] == {"modality": 2, "residue": 1, "unreadable-instance": 1}
    assert told(report) == recount(h), "a withheld study does not count"
    assert sorted((e["reason"], e["place"]) for e in report["left_out"]) == \
        [("modality", "(0008,0060)"), ("modality", "(0008,0060)"), ("residue", ""), ("unreadable-instance", "")]
    numbered = dict(re.findall(r"^(\d+): .*: left out: ([a-z-]+)", r.stderr, re.M))
    assert numbered == {str(e["number"]): e["reason"] for e in report["left_out"]}, "the terminal has the same numbers"


def test_the_page_says_the_same_and_is_inert(tmp_path):
    h = Hospital(tmp_path, project="test-i-project")
    config = h.configs / f"{h.project}.yaml"
    config.write_text(config.read_text().replace("Test I Project", "Test <i> Project"))
    rich_rules(h)
    h.add_study(1)
    rich(h, 1)
    evil = "\"'><script>alert(1)</script><img src=x onerror=y>\x1b[2J &amp;"
    d = pydicom.dcmread(h.files[1, 1, 1])
    d.StudyDescription = evil[:60]
    d.SeriesDescription = "x" * 50 + "\x9b\u00fc"
    d.save_as(h.files[1, 1, 1])
    raw = h.files[1, 1, 2].read_bytes()
    h.files[1, 1, 2].write_bytes(raw.replace(b"CT CHEST", b"CT\xff\xfe\x80\x01ST"))
    for n in ("1", "2"):
        report = as_json(h, "--report-instance", n)
        deid(h, "--report", tmp_path / "report.html", "--report-instance", n)
        page = Page(tmp_path / "report.html")
        assert not page.tags & {"script", "img", "link", "iframe", "object", "a", "form", "svg", "i", "b"}
        assert not {k for k, _ in page.attributes} & {"src", "href", "onload", "onerror", "onclick"}
        source = (tmp_path / "report.html").read_text()
        assert "url(" not in source and "@import" not in source and "http:" not in source and "https:" not in source
        assert "Test <i> Project" in page.text
        assert {r[0]: int(r[2]) for r in page.tables["actions"][1:]} == report["actions"]
        rows = [(a["tag"], a["creator"] or a["keyword"], a["vr"], action, str(n)) for a in report["attributes"] for action, n in a["actions"].items()]
        assert [tuple(r) for r in page.tables["attributes"][1:]] == rows
        shown = [e["after"] or "" for e in report["instance"]["elements"] if e["tag"] in ("(0008,1030)", "(0008,103E)")]
        cells = {r[4] for r in page.tables["instance"] if len(r) > 1}       # a head of an item is one cell
        assert len(shown) == 2 and set(shown) <= cells
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", source) and not re.search(r"[\x00-\x1f\x7f-\x9f]", "".join(shown))
    assert "alert(1)" in json.dumps(as_json(h)["instance"])


def test_which_instance_is_shown(hospital):
    h = hospital
    h.add_study(1, instances=3)
    h.add_study(2, instances=2)
    leak = pydicom.dcmread(h.files[1, 1, 3])
    leak.StudyDescription = f"for {MARK}son"
    leak.save_as(h.files[1, 1, 3])

    def shown(*args):
        instance = as_json(h, *args, ok=(1,))["instance"]
        if instance is None:
            return None
        (sop,) = {e["after"] for e in instance["elements"] if e["tag"] == "(0008,0018)"}
        (path,) = (h.base / "out").rglob(f"{sop}.dcm")
        pixels = pydicom.dcmread(path).PixelData
        return instance["number"], next(k for k, p in h.files.items() if pydicom.dcmread(p).PixelData == pixels)
    assert shown() == (1, (2, 1, 1)), "of a withheld study none is shown"
    assert shown("--report-instance", "2") == (2, (2, 1, 2))
    assert shown("--report-instance", "3") is None
    assert shown("--report-instance", h.files[2, 1, 2]) == (2, (2, 1, 2))
    assert shown("--report-instance", h.files[1, 1, 1]) is None
    deid(h, "--report", h.base / "r.html", "--report-instance", "3", ok=(1,))
    assert "was not written" in Page(h.base / "r.html").text


def test_places_and_options_that_are_refused_before_work(hospital):
    h = hospital
    h.add_study(1)
    before = {p: p.read_bytes() for p in h.archive.rglob("*") if p.is_file()}
    for args, why in ((("--report", h.base / "r.pdf"), ".html or .json"), (("--report-instance", "1"), "needs --report"),
                      (("--report", h.archive / "r.html"), "inside the input"), (("--report", h.base / "r.html", "--report-instance", "0"), "from 1"),
                      (("--report", h.base / "r.html", "--report-instance", h.base / "absent"), "no file of this name")):
        assert why in deid(h, *args, ok=(2,)).stderr, args
        assert not (h.base / "out").exists() and not list(h.base.glob("*.html"))
    assert deid(h, "--report", h.base / "no" / "r.html", ok=(1, 2)).stderr.strip()
    assert not list((h.base / "out").glob("*"))
    (h.base / "folder.json").mkdir()
    assert deid(h, "--report", h.base / "folder.json", ok=(1, 2)).stderr.strip()
    assert not list((h.base / "out").glob("*"))
    assert {p: p.read_bytes() for p in h.archive.rglob("*") if p.is_file()} == before


def test_what_is_printed_stays_and_an_older_report_is_replaced(hospital):
    h = hospital
    h.add_study(1)
    (h.base / "report.json").write_text("old")
    plain = json.loads(deid(h, "--json").stdout)
    r = deid(h, "--json", "--report", h.base / "report.json")
    assert json.loads(r.stdout) == plain and json.loads((h.base / "report.json").read_text())["format"] == "pixl-deid-report"
    assert not [p for p in h.base.iterdir() if p.name.startswith(".") and "report" in p.name]
    kept = (h.base / "report.json").read_bytes()
    assert deid(h, "--report", h.base / "report.json", ok=(1, 2), PROJECT_CONFIGS_DIR=str(h.base / "nowhere")).stderr
    assert (h.base / "report.json").read_bytes() == kept, "a call that fails leaves the report that was there"


def test_copies_and_many_attributes(hospital):
    h = hospital
    h.add_study(1, instances=1)
    (h.archive / "again").write_bytes(h.files[1, 1, 1].read_bytes())
    (h.archive / "notes").write_text("no image")
    h.add_study(2, instances=1)
    d = pydicom.dcmread(h.files[2, 1, 1])
    for i in range(5000):
        d.add_new(0x00310000 + 0x2000 + i, "LO", f"{MARK}{i}")
    d.save_as(h.files[2, 1, 1])
    report = as_json(h)
    n = report["counts"]
    assert (n["files"], n["copies"], n["not_dicom"], n["written"]) == (4, 1, 1, 2)
    rows = [a for a in report["attributes"] if "removed-without-creator" in a["actions"]]
    assert len(report["attributes"]) == 4096 and len(rows) + report["other_attributes"]["removed-without-creator"] == 5000
    assert report["actions"]["removed-without-creator"] == 5000
    big = as_json(h, "--report-instance", "2")["instance"]
    assert len(big["elements"]) + big["elements_not_listed"] > 5000 and big["elements_not_listed"] > 0
    check_says_nothing(h, "report.json")


def test_documented_fields_are_the_fields(hospital):
    h = hospital
    rich_rules(h)
    h.add_study(1)
    rich(h, 1)
    h.add_study(2, modality="MR")
    report, docs = as_json(h, ok=(1,)), DOCS.read_text()

    def keys(v):
        if isinstance(v, dict):
            return set(v).union(*map(keys, v.values())) if v else set()
        return set().union(*map(keys, v)) if isinstance(v, list) else set()
    assert keys(report) > {"format_version", "left_out_not_listed", "after_bytes"}
    for key in keys(report) - {"modality"}:
        assert re.search(rf"[`.]{re.escape(key)}[`.]", docs), key
