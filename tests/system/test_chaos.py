"""Faults at random while studies go through pixl; then all faults end, it is let finish, and the books are opened (ledger.py).
storms.py says how to choose the time and the seed."""
import random
import signal
import sqlite3
import threading
import time

import pytest
from chaos import Diary, Fault, Storm, Watch, part_of
from disks import may_mount
from hospital import Hospital
from ledger import Cohort, Ledger, open_rows, read_zip
from storms import MOST_KIB, SANITIZED, SEED, SOAK_S, Clock, Disk, Program, add_batch, weather

EMBEDDED_S = 0.4 * SOAK_S                # test_chaos_servers.py has the rest
LEASE_S = 10
BATCH = 20


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
        self.log, self.run, self.wrong, self.hit, self.most_kib, self.runs = base / "run.log", None, [], {}, 0, 0
        self.logs, self.archive_is_there = [self.log], threading.Lock()
        self.log.touch()

    def query(self, sql):
        with sqlite3.connect(f"file:{self.h.state / 'pixl.db'}?mode=ro", uri=True, timeout=10) as c:
            answer = c.execute(sql).fetchall()
        c.close()
        return answer

    def add_batch(self):
        with self.archive_is_there:
            self.diary.note(add_batch(self.cohort, self.dice, BATCH))

    # --- faults

    def kill(self, dice):
        yield self.run and self.run.kill(dice)

    def terminate(self, dice):
        run = self.run
        yield run and run.hit(signal.SIGTERM, "supervisor")
        if dice.random() < 0.3:
            run.hit(signal.SIGTERM, "supervisor")

    def stall(self, dice):
        return self.run.stall(dice) if self.run else iter(())

    def sleep_over_lease(self, dice):
        return self.stall(dice)

    def take_away(self, folder):
        away = folder.with_name(folder.name + "-away")
        folder.rename(away)
        yield folder.name
        away.rename(folder)

    def unmount_archive(self, dice):
        with self.archive_is_there:
            yield from self.take_away(self.h.archive)

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

    def one_run(self):
        """A run to its end; while it lives it is measured."""
        h = self.h
        self.runs += 1
        self.run = run = Program(h.command("run", h.csv, "--workers", "2", "--rate", "20", "--patience", "4"), h.base, self.log,
                                 {**h.environment, **self.clock.environment, "PIXL_LEASE_S": str(LEASE_S), "PIXL_DEFLATE_LEVEL": "9"})
        until = time.monotonic() + 180
        while run.is_alive():
            self.most_kib = max(self.most_kib, run.most_kib())
            if time.monotonic() > until:
                self.wrong.append("a run does not end")
                run.end()
            time.sleep(0.03)
        code = run.process.returncode
        may = {0, 1, 75} | {-s for s in run.sent} | ({70} if signal.SIGKILL in run.sent else set())
        self.diary.note(f"run {self.runs} ended with {code}")
        self.wrong += [f"run {self.runs}: {x}" for x in run.crashes()]
        if code not in may:
            self.wrong.append(f"run {self.runs} ended with {code}: {run.said()[-1500:]}")
        return code

    def through(self, seconds):
        self.add_batch()
        with Watch(lambda: self.h.haven, read_zip) as watch, \
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
        self.wrong += watch.wrong if watch.seen else ["nothing was delivered"]

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
        if self.run is not None:
            self.run.end()
        for disk in (self.state_disk, self.haven_disk):
            disk.end()


def test_disks_can_be_filled():
    """Else the storms are without full and read-only disks."""
    if not may_mount():
        pytest.skip("mounting a tmpfs is not permitted here")


def test_embedded(tmp_path, capfd):
    weather("runs on a file and two folders", Embedded(tmp_path), EMBEDDED_S, capfd)
