"""Parquet tables as hyparquet reads them, a reader that nobody here wrote, and where pixl lays them."""
import json
import os
import pathlib
import subprocess

from hospital import PIXL

READER = pathlib.Path(__file__).parents[1] / "support" / "node" / "read-parquet.mjs"
MAKE_PARQUET = os.environ.get("MAKE_PARQUET", str(pathlib.Path(PIXL).parent / "tests" / "make-parquet"))
LINKER = [["procedure_occurrence_id", "INT64"], ["pseudo_study_uid", "BYTE_ARRAY"]]
OUTCOMES = [["procedure_occurrence_id", "INT64"], ["outcome", "BYTE_ARRAY"], ["reason", "BYTE_ARRAY"], ["pseudo_study_uid", "BYTE_ARRAY"],
            ["instances_found", "INT64"], ["instances_delivered", "INT64"], ["instances_skipped", "INT64"]]
SLUG = "2023-12-07t14-08-58-00-00"        # of the time in hospital.py's cohort


def parquet(*paths):
    r = subprocess.run(["node", READER, *paths], capture_output=True, text=True)
    assert r.returncode == 0, r.stderr
    return json.loads(r.stdout)


def columns(table):
    for name, kind, converted, _ in table["columns"]:
        assert kind != "BYTE_ARRAY" or converted == "UTF8", name
    return [c[:2] for c in table["columns"]]


def rows(table):
    """As tuples, the 64-bit integers as such."""
    whole = {name for name, kind, *_ in table["columns"] if kind == "INT64"}
    return [tuple(int(v) if k in whole and v is not None else v for k, v in row.items()) for row in table["rows"]]


def extract_folder(h, slug=SLUG):
    return h.exports / h.project / "all_extracts" / slug / "radiology"


def make_parquet(h, path, select):
    """What a SELECT of DuckDB gives, as a parquet file that pixl did not write."""
    path.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run([MAKE_PARQUET, path, select, h.base / "duck-temp"], check=True)
    return path
