"""The books of an extraction: what each study of a cohort must come to, and whether it has, judged from outside by zipfile, pydicom,
hyparquet and the store's own rows.  Every study has pixels that no other has, so that a zip tells whose it is without any key."""
import hashlib
import io
import re
import zipfile
from collections import Counter, defaultdict

import pydicom
from hospital import MARK, ROOT, canaries
from test_tables import parquet

ENDS = {"exported", "kept", "missing", "skipped", "failed", "withheld"}
FIRST_PROCEDURE = 1000                   # of study 0, as Hospital.ask() numbers them
TWIN_PROCEDURE = 1000000                 # of a second row for the same study
FINAL_NAME = re.compile(r"[a-z0-9-]+/(\.pixl-key|2\.25\.\d+\.zip|[0-9a-z-]+/parquet/radiology/(IMAGE_LINKER|OUTCOMES)\.parquet)")

PART = re.compile(r"[a-z0-9-]+/\.2\.25\.\d+\.zip\.[0-9a-f]+\.\d+\.part")


def digest(pixels):
    return hashlib.sha256(pixels).hexdigest()


class Want:
    """state and reason: the end; pixels: a digest for each instance that must arrive."""

    def __init__(self, state, reason="", pixels=()):
        self.state, self.reason, self.pixels = state, reason, frozenset(pixels)


class Cohort:
    """Studies of a Hospital, of every kind of end, and what is expected of them."""

    KINDS = ("plain", "plain", "plain", "large", "large", "by number", "twice", "missing", "skipped", "withheld", "damaged", "mixed up")

    def __init__(self, hospital):
        self.hospital, self.wanted, self.twins = hospital, {}, set()

    def add(self, study, kind):
        h, how = self.hospital, {"side": 32, "instances": 2, "series": 2}
        if kind == "large":
            how = {"side": 256, "instances": 12, "series": 1}
        elif kind == "skipped":
            how["modality"] = "MR"
        elif kind == "withheld":
            how["study_description"] = f"seen by {MARK}son"
        if kind == "missing":
            h.ask(study)
        else:
            h.add_study(study, by_uid=kind != "by number", **how)
        if kind == "twice":
            h.ask(study, procedure=TWIN_PROCEDURE + study)
            self.twins.add(study)
        files = [path for (s, _, _), path in h.files.items() if s == study]
        if kind == "damaged":
            files[-1].write_bytes(files[-1].read_bytes()[:-100])
        elif kind == "mixed up":
            d = pydicom.dcmread(files[-1])
            d.PatientID = f"{MARK}ELSE"
            d.save_as(files[-1])
        ends = {"missing": Want("missing", "not-in-archive"), "skipped": Want("skipped", "modality"), "withheld": Want("withheld", "residue"),
                "damaged": Want("failed", "unreadable-instance"), "mixed up": Want("failed", "identity-mismatch")}
        self.wanted[study] = ends.get(kind) or Want("exported", "", (digest(pydicom.dcmread(f).PixelData) for f in files))

    def procedures(self):
        return {FIRST_PROCEDURE + s: s for s in self.wanted} | {TWIN_PROCEDURE + s: s for s in self.twins}


def read_zip(path):
    """The study UIDs, SOP Instance UIDs and pixel digests that it has, and whatever in it names a patient.  Fails when it is not whole."""
    studies, sops, pixels, named = set(), [], [], []
    with zipfile.ZipFile(path) as z:
        for name in z.namelist():
            data = z.read(name)
            if MARK.lower().encode() in data.lower() or ROOT.encode() in data:
                named.append(name)
            d = pydicom.dcmread(io.BytesIO(data))
            if name != f"{d.StudyInstanceUID}/{d.SeriesInstanceUID}/{d.SOPInstanceUID}.dcm":
                raise ValueError(f"{name} is another instance")
            studies.add(d.StudyInstanceUID)
            sops.append(d.SOPInstanceUID)
            pixels.append(digest(d.PixelData))
    return studies, sops, pixels, named


class Ledger:
    """query(sql): rows of the store, tables without a schema.  destination: the folder that holds <project>/.  spools, logs: folders and files
    of all processes.  parts_may_stay: half uploads at a server that stores on after its client has given up.  Each check returns what is
    wrong, in words."""

    def __init__(self, cohort, query, destination, spools, logs, parts_may_stay=0):
        self.cohort, self.query, self.destination, self.spools, self.logs = cohort, query, destination, spools, logs
        self.parts_may_stay = parts_may_stay

    def check(self):
        self.rows = self.query(
            "SELECT r.procedure_occurrence_id, i.image_id, i.state, i.reason, coalesce(i.pseudo_study_uid, '') FROM request r"
            " LEFT JOIN request_image ri ON ri.request_id = r.request_id LEFT JOIN image i ON i.image_id = ri.image_id")
        self.procedures = self.cohort.procedures()
        return [*self.check_rows(), *self.check_events(), *self.check_destination(), *self.check_outcomes(), *self.check_left_over(),
                *self.check_names()]

    def check_rows(self):
        """Each row of the cohort has one image, and that the end that it must have."""
        ends = defaultdict(list)
        for procedure, _, state, reason, _ in self.rows:
            ends[procedure].append((state, reason))
        for procedure in sorted(ends.keys() - self.procedures.keys()):
            yield f"procedure {procedure} was never asked for"
        for procedure, study in self.procedures.items():
            want = self.cohort.wanted[study]
            if ends[procedure] != [(want.state, want.reason)]:
                yield f"study {study}, procedure {procedure}: {ends[procedure]}, and not {want.state} {want.reason}"

    def check_events(self):
        states = defaultdict(set)
        for _, image, state, *_ in self.rows:
            states[image].add(state)
        for image, n, last in self.query(
                "SELECT i.image_id, (SELECT count(*) FROM image_event e WHERE e.image_id = i.image_id AND e.to_state = 'exported'),"
                " (SELECT e.to_state FROM image_event e WHERE e.image_id = i.image_id ORDER BY e.event_no DESC LIMIT 1) FROM image i"):
            if n != (last == "exported") or states[image] != {last}:
                yield f"image {image} was exported {n} times; its last event is {last}, its state {states[image] or 'unknown'}"

    def check_destination(self):
        """A zip for each exported study and no other, whole, with each of its instances once."""
        whose = {want.pixels: study for study, want in self.cohort.wanted.items() if want.pixels}
        arrived, pseudo = Counter(), defaultdict(set)
        for procedure, *_, uid in self.rows:
            pseudo[self.procedures.get(procedure)].add(uid)
        for path in sorted(self.destination.rglob("*.zip")):
            if path.name.startswith("."):
                continue
            try:
                studies, sops, pixels, named = read_zip(path)
            except Exception as e:  # noqa: BLE001  whatever another reader says of it
                yield f"{path.name} cannot be read: {e!r}"
                continue
            study = whose.get(frozenset(pixels))
            arrived[study] += 1
            if named:
                yield f"{path.name} names a patient in {named}"
            if study is None:
                near = [s for p, s in whose.items() if p & set(pixels)]
                yield f"{path.name} is no study of the cohort as it is wanted, with {len(pixels)} instances (of {near})"
            elif not len(pixels) == len(set(sops)) == len(set(pixels)):
                yield f"{path.name}, study {study}: {len(pixels)} instances with {len(set(sops))} UIDs, and not {len(set(pixels))}"
            elif studies != {path.stem} or pseudo[study] != studies:
                yield f"{path.name}, study {study}: its instances say {studies}, the store {pseudo[study]}"
        for study in whose.values():
            if arrived[study] != 1:
                yield f"study {study} is {arrived[study]} times at the destination"

    def check_outcomes(self):
        """The table that was delivered tells the same."""
        tables = sorted(self.destination.rglob("OUTCOMES.parquet"))
        if len(tables) != 1:
            yield f"{len(tables)} tables OUTCOMES"
            return
        told = Counter((int(r["procedure_occurrence_id"]), r["outcome"]) for r in parquet(tables[0])[0]["rows"])
        want = Counter((p, self.cohort.wanted[s].state) for p, s in self.procedures.items())
        if told != want:
            yield f"OUTCOMES: too much {told - want}, missing {want - told}"

    def check_left_over(self):
        files = sorted(str(p.relative_to(self.destination)) for p in self.destination.rglob("*") if p.is_file())
        parts = [name for name in files if PART.fullmatch(name)]
        allowed = parts if len(parts) <= self.parts_may_stay else []
        for name in files:
            if not FINAL_NAME.fullmatch(name) and name not in allowed:
                yield f"left over at the destination: {name}"
        for spool in self.spools:
            for path in sorted(p for p in spool.rglob("*") if p.is_file()):
                yield f"left over in the spool: {path.relative_to(spool)}"

    def check_names(self):
        for where in (self.destination, self.cohort.hospital.exports):
            for path in canaries(where):
                yield f"a patient's name or number in {path.relative_to(where)}"
        for spool in self.spools:
            for path in spool.rglob("*"):
                if MARK.lower() in path.name.lower() or ROOT in path.name:
                    yield f"a patient's name or number as a file name in the spool: {path.name}"
        for log in self.logs:
            for number, line in enumerate(log.read_text(errors="replace").replace(str(self.cohort.hospital.archive), "").splitlines(), 1):
                if MARK.lower() in line.lower() or ROOT in line:
                    yield f"a patient's name or number in {log.name}, line {number}"


def open_rows(query):
    """How many studies are in no end state."""
    ((n,),) = query(f"SELECT count(*) FROM image WHERE state NOT IN ({', '.join(repr(s) for s in sorted(ENDS))})")
    return n
