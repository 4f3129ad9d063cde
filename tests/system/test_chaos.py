"""Faults at random while studies go through pixl; then all faults end, it is let finish, and the books are opened (ledger.py).

PIXL_SOAK_S says how long the faults go on; PIXL_CHAOS_SEED draws the same ones again."""
import os
import random
import re
import signal
import sqlite3
import subprocess
import time
import traceback

import pytest
from chaos import Diary, Fault, Storm, Watch, part_of
from disks import may_mount, mounted, remount, umount
from hospital import PIXL, Hospital
from ledger import Cohort, Ledger, open_rows, read_zip
from processes import children, status_kib

SOAK_S = float(os.environ.get("PIXL_SOAK_S") or (600 if os.environ.get("PIXL_TEST_LONG") else 60))
SEED = int(os.environ.get("PIXL_CHAOS_SEED") or random.randrange(1 << 30))
EMBEDDED_S = 0.4 * SOAK_S
CLOCK_STEP = os.path.abspath(os.environ.get("CLOCK_STEP", "build/release/tests/clock-step.so"))
LEASE_S = 10
BATCH = 20
HOUR_US = 3600 * 1000000
MOST_KIB = 64 * 1024                     # of memory of its own, DuckDB included, on small studies
SANITIZED = b"__asan_init" in open(PIXL, "rb").read()


def announce(capfd, what, seconds):
    with capfd.disabled():
        print(f"\nchaos: {what}: PIXL_CHAOS_SEED={SEED} PIXL_SOAK_S={SOAK_S:g} ({seconds:g} s of it)", flush=True)


def verdict(what, wrong, diary, logs):
    """pytest shows all of this where the test has failed, and otherwise by -rP."""
    print(diary)
    for log in logs:
        print(f"---- end of {log.name}\n{log.read_text(errors='replace')[-3000:]}")
    if wrong:
        pytest.fail(f"{what}, PIXL_CHAOS_SEED={SEED} PIXL_SOAK_S={SOAK_S:g}:\n" + "\n".join(wrong), pytrace=False)


class Clock:
    """Of the programs that are started with its environment."""

    def __init__(self, path):
        self.path = path
        self.set(0)
        self.environment = {"LD_PRELOAD": CLOCK_STEP, "CLOCK_STEP_FILE": str(path), "ASAN_OPTIONS": "verify_asan_link_order=0"}

    def set(self, step_us):
        with open(self.path, "r+b" if self.path.exists() else "wb") as f:
            f.write(step_us.to_bytes(8, "little", signed=True))

    def step(self, dice):
        us = dice.choice((-1, 1)) * dice.choice((5 * 1000000, HOUR_US, 26 * HOUR_US, 400 * 24 * HOUR_US))
        self.set(us)
        yield f"by {us // 1000000} s"
        self.set(0)


class Disk:
    """A folder that can be full or read-only, where mounting is permitted; else one that is just a folder."""

    def __init__(self, path, size, owner=""):
        self.path, self.size, self.is_own = path, size, may_mount(path)
        if self.is_own:
            mounted(path, f"size={size}{owner}")

    def fill(self, dice):
        room = dice.choice((0, 4096, 65536, 300000))
        for _ in range(20):
            s = os.statvfs(self.path)
            try:
                remount(self.path, f"size={(s.f_blocks - s.f_bfree) * s.f_frsize + room + 4096}")
                break
            except subprocess.CalledProcessError:                 # somebody wrote more meanwhile
                pass
        else:
            return
        yield f"{self.path.name}, {room} bytes left"
        remount(self.path, f"size={self.size}")

    def write_protect(self, dice):
        try:
            remount(self.path, "ro")
        except subprocess.CalledProcessError:                     # somebody writes just now
            return
        yield self.path.name
        remount(self.path, "rw")

    def faults(self, weight=1.0):
        def fill_disk(dice):
            return self.fill(dice)
        return [Fault(fill_disk, self, weight, (0.5, 4), 1)] if self.is_own else []

    def end(self):
        if self.is_own:
            umount(self.path)


class Embedded:
    """`pixl run` again and again on a SQLite store, a folder as archive, a folder as destination."""

    def __init__(self, base):
        self.diary, self.dice = Diary(), random.Random(part_of(SEED, "embedded"))
        self.state_disk, self.haven_disk = Disk(base / "state-disk", "256m"), Disk(base / "haven-disk", "1g")
        self.h = h = Hospital(base / "hospital")
        h.haven.rmdir()
        h.state, h.haven = self.state_disk.path / "state", self.haven_disk.path / "haven"
        h.haven.mkdir()
        h.write_project()
        self.cohort, self.clock = Cohort(h), Clock(base / "clock")
        self.log, self.process, self.sent, self.wrong, self.hit, self.most_kib, self.runs = base / "run.log", None, set(), [], {}, 0, 0
        self.logs = [self.log]
        self.log.touch()

    def query(self, sql):
        with sqlite3.connect(f"file:{self.h.state / 'pixl.db'}?mode=ro", uri=True, timeout=10) as c:
            answer = c.execute(sql).fetchall()
        c.close()
        return answer

    def add_batch(self):
        self.h.rows.clear()
        for study in range(len(self.cohort.wanted) + 1, len(self.cohort.wanted) + BATCH + 1):
            self.cohort.add(study, self.dice.choice(Cohort.KINDS))
        self.h.write_csv()
        self.diary.note(f"batch: {len(self.cohort.wanted)} studies so far")

    # --- faults

    def signal(self, number, whom):
        """whom: the supervisor, what is below it, or both.  Nothing when there is none."""
        run = self.process
        if run is None or run.poll() is not None:
            return None
        below = [pid for pid, _ in children(run.pid)]
        hit = {"supervisor": [run.pid], "worker": below[:1], "all": [*below, run.pid]}[whom]
        self.sent.add(number)
        for pid in hit:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass
        return f"{whom} {hit}" if hit else None

    def kill(self, dice):
        yield self.signal(signal.SIGKILL, dice.choice(("supervisor", "worker", "worker", "all")))

    def terminate(self, dice):
        yield self.signal(signal.SIGTERM, "supervisor")
        if dice.random() < 0.3:
            self.signal(signal.SIGTERM, "supervisor")

    def stall(self, dice):
        whom = dice.choice(("worker", "all"))
        run, did = self.process, self.signal(signal.SIGSTOP, whom)
        yield did
        for pid in [run.pid, *(pid for pid, _ in children(run.pid))]:
            if run.poll() is None:
                os.kill(pid, signal.SIGCONT)

    def sleep_over_lease(self, dice):
        return self.stall(dice)

    def take_away(self, folder):
        away = folder.with_name(folder.name + "-away")
        folder.rename(away)
        yield folder.name
        away.rename(folder)

    def unmount_archive(self, dice):
        return self.take_away(self.h.archive)

    def unmount_destination(self, dice):
        return self.take_away(self.h.haven)

    def lock_store(self, dice):
        try:
            c = sqlite3.connect(f"file:{self.h.state / 'pixl.db'}?mode=rw", uri=True, timeout=2, isolation_level=None)
            c.execute("BEGIN IMMEDIATE")
        except sqlite3.Error:
            return
        yield "by somebody else"
        try:
            c.rollback()
            c.close()
        except sqlite3.Error:
            pass

    def step_clock(self, dice):
        return self.clock.step(dice)

    def faults(self):
        write_protect = [Fault(self.haven_disk.write_protect, "haven", 1, (0.5, 3), 1)] if self.haven_disk.is_own else []
        return [Fault(self.kill, "run", 5, gap=0.3), Fault(self.terminate, "run", 1.5, gap=0.3), Fault(self.stall, "run", 2, (0.1, 2)),
                Fault(self.sleep_over_lease, "run", 0.4, (LEASE_S + 0.5, LEASE_S + 3)), Fault(self.unmount_archive, "archive", 1, (0.3, 4), 1),
                Fault(self.unmount_destination, "haven", 1, (0.3, 4), 1), Fault(self.lock_store, "store", 1, (0.2, 4), 1),
                Fault(self.step_clock, "clock", 2, (0.5, 6)), *self.state_disk.faults(2), *self.haven_disk.faults(2), *write_protect]

    # --- runs

    def one_run(self, storm=None):
        """A run to its end; while it lives it is measured."""
        self.sent.clear()
        self.runs += 1
        began = self.log.stat().st_size
        with open(self.log, "ab") as log:
            self.process = run = subprocess.Popen(
                self.h.command("run", self.h.csv, "--workers", "2", "--rate", "20", "--patience", "4"), cwd=self.h.base, stdout=log, stderr=log,
                env={**self.h.environment, **self.clock.environment, "PIXL_LEASE_S": str(LEASE_S), "PIXL_DEFLATE_LEVEL": "9"})
        until = time.monotonic() + 180
        while run.poll() is None:
            self.measure(run)
            if time.monotonic() > until:
                self.wrong.append("a run does not end")
                run.kill()
            time.sleep(0.03)
        with open(self.log, "rb") as log:
            log.seek(began)
            self.judge(run.returncode, log.read().decode(errors="replace"))
        return run.returncode

    def measure(self, run):
        for pid in [run.pid, *(pid for pid, _ in children(run.pid))]:
            try:
                self.most_kib = max(self.most_kib, status_kib(pid, "RssAnon"))
            except (OSError, StopIteration):
                pass

    def judge(self, code, said):
        may = {0, 1, 75} | {-s for s in self.sent} | ({70} if signal.SIGKILL in self.sent else set())
        self.diary.note(f"run {self.runs} ended with {code}")
        if code not in may:
            self.wrong.append(f"run {self.runs} ended with {code}: {said[-1500:]}")
        crashes = {int(n) for n in re.findall(r"ended by signal (\d+)", said)} - {int(s) for s in self.sent}
        if crashes or "Assertion" in said:
            self.wrong.append(f"run {self.runs} crashed with {crashes}: {said[-1500:]}")

    def through(self, seconds):
        self.add_batch()
        with Watch(lambda: self.h.haven, read_zip, self.diary) as watch, \
                Storm(part_of(SEED, "embedded storm"), seconds, self.faults(), self.diary, per_s=1.6) as storm:
            while storm.is_on() and not self.wrong:
                code = self.one_run()
                if code in (0, 1) and self.is_done():
                    self.add_batch()
                elif code == 75:
                    time.sleep(0.2)
        self.diary.note("calm")
        self.hit = storm.hit
        with watch:
            self.finish()
        self.wrong += watch.wrong

    def is_done(self):
        try:
            asked = {row["procedure_id"] for row in self.h.rows}
            known = {p for (p,) in self.query("SELECT procedure_occurrence_id FROM request")}
            return asked <= known and open_rows(self.query) == 0
        except sqlite3.Error:
            return False

    def finish(self):
        for _ in range(5):
            if self.one_run() in (0, 1) and self.is_done():
                break
        crashed = self.query("SELECT count(*) FROM image WHERE state = 'failed' AND reason = 'crashed'")[0][0]
        if crashed:                                               # killed twice with the same study in hand
            self.diary.note(f"{crashed} studies failed as crashed; a person orders a retry")
            self.h.pixl("retry")
            self.one_run()
        self.wrong += Ledger(self.cohort, self.query, self.h.haven, [self.h.state / "spool"], self.logs).check()
        if self.most_kib > MOST_KIB and not SANITIZED:
            self.wrong.append(f"a run took {self.most_kib} KiB")

    def told(self):
        return f"{len(self.cohort.wanted)} studies in {self.runs} runs, at most {self.most_kib} KiB"

    def end(self):
        if self.process is not None and self.process.poll() is None:
            self.signal(signal.SIGKILL, "all")
            self.process.wait()
        for disk in (self.state_disk, self.haven_disk):
            disk.end()


def test_disks_can_be_filled(tmp_path):
    """Else the storms are without full and read-only disks."""
    if not may_mount(tmp_path / "disk"):
        pytest.skip("mounting a tmpfs is not permitted here")


def weather(what, site, seconds, capfd):
    """A site through a storm of so many seconds, and what it says then."""
    announce(capfd, what, seconds)
    try:
        site.through(seconds)
        with capfd.disabled():
            print(f"chaos: {site.told()}; {sum(site.hit.values())} faults: {site.hit}", flush=True)
        if len(site.hit) < min(4, seconds / 4):
            site.wrong.append("hardly anything happened")
    except Exception:  # noqa: BLE001
        site.wrong.append(traceback.format_exc())
    finally:
        site.end()
        verdict(what, site.wrong, site.diary, site.logs)


def test_embedded(tmp_path, capfd):
    weather("runs on a file and two folders", Embedded(tmp_path), EMBEDDED_S, capfd)
