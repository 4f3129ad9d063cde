"""A small made-up hospital for the system tests: images written with pydicom, a writer that nobody here wrote.

Every identity carries the marker CANARY, so that a plain search over all that a run wrote finds what leaked.
"""
import csv
import hashlib
import os
import pathlib
import random
import subprocess

from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

PIXL = os.environ.get("PIXL", "build/release/pixl")
ROOT = "1.2.826.0.1.3680043.10.4242"     # every original UID starts so
MARK = "CANARY"

TAGS = """\
- {group: 0x0008, element: 0x0005, op: keep}
- {group: 0x0008, element: 0x0008, op: keep}
- {group: 0x0008, element: 0x0016, op: keep}
- {group: 0x0008, element: 0x0018, op: replace_UID}
- {group: 0x0008, element: 0x0050, op: replace}
- {group: 0x0008, element: 0x0060, op: keep}
- {group: 0x0008, element: 0x0070, op: keep}
- {group: 0x0008, element: 0x1030, op: keep}
- {group: 0x0008, element: 0x103E, op: keep}
- {group: 0x0008, element: 0x1140, op: keep}
- {group: 0x0008, element: 0x1150, op: keep}
- {group: 0x0008, element: 0x1155, op: replace_UID}
- {group: 0x0010, element: 0x0010, op: replace}
- {group: 0x0010, element: 0x0020, op: secure-hash}
- {group: 0x0020, element: 0x000D, op: replace_UID}
- {group: 0x0020, element: 0x000E, op: replace_UID}
- {group: 0x0020, element: 0x0011, op: keep}
- {group: 0x0020, element: 0x0013, op: keep}
- {group: 0x0028, element: 0x0002, op: keep}
- {group: 0x0028, element: 0x0004, op: keep}
- {group: 0x0028, element: 0x0010, op: keep}
- {group: 0x0028, element: 0x0011, op: keep}
- {group: 0x0028, element: 0x0100, op: keep}
- {group: 0x0028, element: 0x0101, op: keep}
- {group: 0x0028, element: 0x0102, op: keep}
- {group: 0x0028, element: 0x0103, op: keep}
- {group: 0x7FE0, element: 0x0010, op: keep}
"""


def instance(study, series, number, *, mrn, accession, modality="CT", side=32, description="AXIAL", manufacturer="Company",
             study_description="CT CHEST", implicit=False):
    """One image; study and series are small numbers that become UIDs."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    meta.MediaStorageSOPInstanceUID = f"{ROOT}.{study}.{series}.{number}"
    meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
    meta.SourceApplicationEntityTitle = f"{MARK}AE"
    d = FileDataset(None, {}, file_meta=meta, preamble=f"{MARK} preamble".encode().ljust(128, b"\0"))
    d.is_little_endian, d.is_implicit_VR = True, implicit
    d.SpecificCharacterSet = "ISO_IR 100"
    d.SOPClassUID, d.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    d.StudyInstanceUID, d.SeriesInstanceUID = f"{ROOT}.{study}", f"{ROOT}.{study}.{series}"
    d.Modality, d.Manufacturer = modality, manufacturer
    d.SeriesDescription, d.StudyDescription = description, study_description
    d.PatientName, d.PatientID, d.AccessionNumber = f"{MARK}son^Jane{study}", mrn, accession
    d.PatientBirthDate, d.PatientSex = "19620304", "F"
    d.OtherPatientIDs = f"{MARK}OTHER{study}"
    d.ReferringPhysicianName, d.InstitutionName = f"{MARK}doc^Ref", f"{MARK} Hospital"
    d.StudyDate, d.SeriesNumber, d.InstanceNumber = "20200523", series, number
    nested = Dataset()
    nested.ReferencedSOPClassUID, nested.ReferencedSOPInstanceUID = d.SOPClassUID, f"{ROOT}.{study}.{series}.{number + 1}"
    nested.PatientID = mrn
    d.ReferencedImageSequence = Sequence([nested])
    block = d.private_block(0x0019, f"{MARK} PRIVATE", create=True)
    block.add_new(0x10, "LO", f"{MARK} in private data")
    d.Rows = d.Columns = side
    d.SamplesPerPixel, d.PhotometricInterpretation = 1, "MONOCHROME2"
    d.BitsAllocated, d.BitsStored, d.HighBit, d.PixelRepresentation = 16, 12, 11, 0
    pixels = bytearray(random.Random(study * 1000 + series * 100 + number).randbytes(2 * side * side))
    pixels[1::2] = pixels[1::2].translate(bytes(i & 0x0F for i in range(256)))       # 12 bits stored
    d.PixelData = bytes(pixels)
    d["PixelData"].VR = "OW"
    return d


class Hospital:
    """An archive folder, one project with destination `directory`, a CSV; and `pixl` run on them."""

    def __init__(self, base, project="test-project", **project_extra):
        self.base = pathlib.Path(base)
        self.archive, self.configs = self.base / "archive", self.base / "configs"
        self.haven, self.state, self.exports = self.base / "haven", self.base / "state", self.base / "exports"
        self.csv, self.project = self.base / "cohort.csv", project
        for d in (self.archive, self.configs / "tag-operations", self.haven):
            d.mkdir(parents=True)
        (self.configs / "tag-operations" / "base.yaml").write_text(TAGS)
        self.write_project(**project_extra)
        self.rows = []
        self.files = {}                  # (study, series, number) -> path

    def write_project(self, destination="directory", min_instances=1, extra="", on_error=None, modalities="CT, DX", parquet=None,
                      filters="localizer", alias=None, ca_file=None):
        where = f"\n  directory: {self.haven}" if destination == "directory" else ""
        where += f"\n  ftps:\n    ca_file: {ca_file}" if ca_file else ""
        alias_line = f"  azure_kv_alias: {alias}\n" if alias else ""
        lines = f"""\
project:
  name: "{self.project.replace('-', ' ').title()}"
  modalities: [{modalities}]
{alias_line}series_filters: [{filters}]
min_instances_per_series: {min_instances}
allowed_manufacturers:
  - regex: "^company"
    exclude_series_numbers: [99]
tag_operation_files:
  base: [base.yaml]
  manufacturer_overrides: null
destination:
  dicom: {destination}
  parquet: {parquet or destination}{where}
"""
        if on_error:
            lines += f"on_instance_error: {on_error}\n"
        (self.configs / f"{self.project}.yaml").write_text(lines + extra)

    def mrn(self, study):
        return f"{MARK}{study:06d}"

    def accession(self, study):
        return f"{MARK}ACC{study:06d}"

    def add_study(self, study, series=1, instances=2, ask=True, by_uid=True, folder=None, **how):
        for s in range(1, series + 1):
            for n in range(1, instances + 1):
                d = instance(study, s, n, mrn=self.mrn(study), accession=self.accession(study), **how)
                path = (folder or self.archive / f"st{study}") / f"{MARK}-{s}-{n}.bin"
                path.parent.mkdir(parents=True, exist_ok=True)
                d.save_as(path, write_like_original=False)
                self.files[study, s, n] = path
        if ask:
            self.ask(study, by_uid=by_uid)

    def ask(self, study, by_uid=True, series_uid="", participant="", procedure=None):
        self.rows.append({"procedure_id": procedure or 1000 + study, "mrn": self.mrn(study), "accession_number": self.accession(study),
                          "project_name": self.project, "extract_generated_timestamp": "2023-12-07T14:08:58Z",
                          "study_date": "2020-05-23", "study_uid": f"{ROOT}.{study}" if by_uid else "",
                          "participant_id": participant, "series_uid": series_uid})

    def write_csv(self):
        with open(self.csv, "w", newline="") as f:
            w = csv.DictWriter(f, fieldnames=list(self.rows[0]))
            w.writeheader()
            w.writerows(self.rows)

    @property
    def environment(self):
        keep = {k: v for k, v in os.environ.items() if not k.startswith(("PIXL_", "PROJECT_", "HOST_EXPORT"))}
        return {**keep, "PIXL_STATE_DIR": str(self.state), "PROJECT_CONFIGS_DIR": str(self.configs),
                "HOST_EXPORT_ROOT_DIR": str(self.exports), "PIXL_ARCHIVE_URL": f"directory:{self.archive}", "LOG_LEVEL": "info"}

    def command(self, *args):
        return [os.path.abspath(PIXL), *map(str, args)]

    def pixl(self, *args, ok=(0,), timeout=300, input=None, **extra_env):
        r = subprocess.run(self.command(*args), env={**self.environment, **extra_env}, cwd=self.base, capture_output=True, text=True,
                           timeout=timeout, input=input)
        assert ok is None or r.returncode in ok, f"pixl {args}: {r.returncode}\n{r.stdout}\n{r.stderr}"
        return r

    def zips(self):
        return sorted(self.haven.glob("*/*.zip"))

    def snapshot(self):
        """Every file of the safe haven with its content's hash and time."""
        return {p: (hashlib.sha256(p.read_bytes()).hexdigest(), p.stat().st_mtime_ns) for p in self.haven.rglob("*") if p.is_file()}


def canaries(where, marks=(MARK.encode(), ROOT.encode())):
    """Names and contents below a folder that hold a marker, in any case."""
    found = []
    for p in sorted(pathlib.Path(where).rglob("*")):
        text = p.read_bytes().lower() if p.is_file() else b""
        found += [p for m in marks if m.lower() in os.fsencode(p.relative_to(where)).lower() or m.lower() in text]
    return found
