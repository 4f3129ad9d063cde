"""Disks that fill up, destinations that cannot be written: a clear error, nothing lost, and it goes on when mended."""
import json
import os
import pathlib
import shutil
import subprocess

import pytest
from disks import mounted, remount, umount
from hospital import Hospital, canaries


def hospital(tmp_path, n=6, **how):
    h = Hospital(tmp_path)
    for study in range(1, n + 1):
        h.add_study(study, instances=4, side=256, **how)
    h.write_csv()
    return h


def states(h):
    s = json.loads(h.pixl("status", "--json").stdout)["projects"][0]["states"]
    return {k: v for k, v in s.items() if v}


def test_full_destination(tmp_path):
    h = hospital(tmp_path)
    mounted(h.haven, "size=1200k")
    try:
        r = h.pixl("run", h.csv, "--patience", "3", ok=(75,))
        assert "space" in (r.stdout + r.stderr).lower()
        assert sum(states(h).values()) == 6 and states(h).get("failed", 0) == 0
        assert [p for p in h.haven.rglob(".*.part")] == []
        remount(h.haven, "size=64m")
        h.pixl("run")
        assert states(h) == {"exported": 6} and len(h.zips()) == 6
    finally:
        umount(h.haven)


def test_full_state_directory(tmp_path):
    h = hospital(tmp_path)
    mounted(h.state, "size=2m,mode=0700")
    try:
        r = h.pixl("run", h.csv, "--patience", "3", ok=None)
        if r.returncode != 0:
            assert r.returncode == 75 and "space" in (r.stdout + r.stderr).lower()
        remount(h.state, "size=128m")
        h.pixl("run", h.csv)
        assert states(h) == {"exported": 6} and len(h.zips()) == 6
    finally:
        umount(h.state)


def test_read_only_destination(tmp_path):
    h = hospital(tmp_path)
    mounted(h.haven, "size=64m")
    try:
        remount(h.haven, "ro")
        r = h.pixl("run", h.csv, "--patience", "2", ok=(75,))
        assert "read-only" in (r.stdout + r.stderr).lower() or "denied" in (r.stdout + r.stderr).lower()
        assert states(h).get("failed", 0) == 0
        remount(h.haven, "rw")
        h.pixl("run")
        assert states(h) == {"exported": 6} and len(h.zips()) == 6
    finally:
        umount(h.haven)


def test_destination_that_is_not_there(tmp_path):
    h = hospital(tmp_path)
    shutil.rmtree(h.haven)
    r = h.pixl("run", h.csv, "--patience", "2", ok=(75,))
    assert not h.haven.exists(), "an unmounted share must not be made"
    assert states(h) == {"deidentified": 6}, r.stdout
    h.haven.mkdir()
    h.pixl("run")
    assert states(h) == {"exported": 6} and len(h.zips()) == 6 and canaries(h.haven) == []


def test_a_spool_that_is_gone_for_good(tmp_path):
    h = hospital(tmp_path)
    shutil.rmtree(h.haven)
    h.pixl("run", h.csv, "--patience", "2", ok=(75,))
    h.haven.mkdir()
    gone = (h.state / "spool-id").read_text()
    assert "another state directory" not in h.pixl("status").stdout
    r = h.pixl("retry", "--lost-spool", gone, ok=(2,))
    assert "takes the name of another spool" in r.stderr and states(h) == {"deidentified": 6}
    shutil.rmtree(h.state / "spool")                               # the store is all that is left: another machine works on
    (h.state / "spool-id").unlink()
    h.pixl("run", ok=(75,))
    assert states(h) == {"deidentified": 6} and h.zips() == []
    assert f"spool {gone} of another state directory: 6 studies wait there for a worker that has it, 0 are kept there" in h.pixl("status").stdout
    assert json.loads(h.pixl("status", "--json").stdout)["spools"] == [{"spool": gone, "waiting": 6, "kept": 0, "here": False}]
    assert "0 studies had" in h.pixl("retry", "--lost-spool", gone[::-1], ok=(1,)).stdout
    assert "6 studies had their zip in that spool" in h.pixl("retry", "--lost-spool", gone).stdout
    h.pixl("run")
    assert states(h) == {"exported": 6} and len(h.zips()) == 6 and "another state directory" not in h.pixl("status").stdout


def test_no_permission(tmp_path):
    """As an ordinary user: root is denied nothing."""
    if os.getuid() != 0:
        pytest.skip("needs root to become somebody else")
    h = hospital(tmp_path)
    for p in [tmp_path, *tmp_path.parents]:
        if p != p.parent and p.stat().st_uid == 0 and str(p).startswith("/tmp/"):
            p.chmod(0o755)
    subprocess.run(["chown", "-R", "65534:65534", str(tmp_path)], check=True)
    h.haven.chmod(0o500)
    program = tmp_path / "bin" / "pixl"
    program.parent.mkdir()
    shutil.copy(h.command()[0], program)
    program.chmod(0o755)
    program.parent.chmod(0o755)
    lib = pathlib.Path(__file__).parents[2] / "third" / "duckdb" / "libduckdb.so"

    def as_nobody(*args):
        env = {**h.environment, "PIXL_DUCKDB_LIB": str(tmp_path / "bin" / "libduckdb.so"), "HOME": str(tmp_path), "TMPDIR": str(tmp_path)}
        return subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", str(program), *map(str, args)], env=env,
                              cwd=tmp_path, capture_output=True, text=True, timeout=120)

    shutil.copy(lib, tmp_path / "bin" / "libduckdb.so")
    r = as_nobody("run", h.csv, "--patience", "2")
    assert r.returncode == 75 and "denied" in (r.stdout + r.stderr).lower(), r.stdout + r.stderr
    h.haven.chmod(0o700)
    r = as_nobody("run", h.csv)
    assert r.returncode == 0, r.stdout + r.stderr
    assert len(h.zips()) == 6


def test_unmounted_archive(tmp_path):
    h = hospital(tmp_path)
    h.pixl("populate", h.csv)
    h.archive.rename(tmp_path / "away")
    r = h.pixl("run", h.csv, "--patience", "2", ok=(75,))
    assert states(h) == {"queued": 6} and "primary archive: its folder" in r.stderr and "archive: archive" not in r.stderr
    (tmp_path / "away").rename(h.archive)
    h.pixl("run", h.csv)
    assert states(h) == {"exported": 6}


def test_tables_that_cannot_be_written(tmp_path):
    """Known before anything is taken from the archive, though it is found out while that is looked through."""
    h = hospital(tmp_path)
    h.pixl("populate", h.csv)
    r = h.pixl("run", ok=(1,), PIXL_DUCKDB_LIB=str(tmp_path / "no-such-library.so"))
    assert "DuckDB" in r.stderr and states(h) == {"queued": 6} and not h.zips(), r.stderr
    h.pixl("run")
    assert states(h) == {"exported": 6}


def test_a_share_that_is_not_mounted_when_a_run_begins(tmp_path):
    """Its mount point is an empty folder, where studies would lie hidden once it is mounted again."""
    h = hospital(tmp_path, n=2)
    h.pixl("run", h.csv)
    before = h.snapshot()
    h.haven.rename(tmp_path / "share")
    h.haven.mkdir()
    h.add_study(3)
    h.write_csv()
    r = h.pixl("check", ok=(75,))
    assert f"directory {h.haven}/test-project: its marker .pixl-key was there and is gone\n" in r.stdout and "-> mount the share" in r.stdout
    r = h.pixl("run", h.csv, "--patience", "2", ok=(75,))
    assert "its marker .pixl-key was there and is gone: is the share mounted?" in r.stderr
    r = h.pixl("export-patient-data", "--project", "test-project", ok=(75,))
    assert states(h) == {"exported": 2, "deidentified": 1} and list(h.haven.iterdir()) == []
    h.haven.rmdir()
    (tmp_path / "share").rename(h.haven)
    h.pixl("run", h.csv)
    assert states(h) == {"exported": 3} and len(h.zips()) == 3
    assert {p: v for p, v in h.snapshot().items() if p in before and p.suffix == ".zip"} == {p: v for p, v in before.items() if p.suffix == ".zip"}
    # It was emptied on purpose: check tells the line that it wants.
    marker = (h.haven / "test-project/.pixl-key").read_text()
    shutil.rmtree(h.haven / "test-project")
    line, = [x.rpartition(": ")[2] for x in h.pixl("check", ok=(75,)).stdout.splitlines() if "with this line" in x]
    assert marker.startswith(line + "\n")
    (h.haven / "test-project").mkdir()
    (h.haven / "test-project/.pixl-key").write_text(line)
    h.add_study(4)
    h.write_csv()
    h.pixl("run", h.csv)
    assert states(h) == {"exported": 4} and len(h.zips()) == 1
    # Another place is new.
    h.haven = tmp_path / "other"
    h.haven.mkdir()
    h.write_project()
    h.add_study(5)
    h.write_csv()
    h.pixl("run", h.csv)
    assert states(h) == {"exported": 5} and len(h.zips()) == 1
