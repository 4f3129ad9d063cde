"""What all chaos tests have in common: the seed, the time, clocks and disks that go wrong, and the verdict.

PIXL_SOAK_S says how long the faults of all of them go on together; PIXL_CHAOS_SEED draws the same ones again."""
import os
import random
import re
import signal
import subprocess
import traceback

import pytest
from chaos import Fault
from disks import may_mount, mounted, remount, umount
from hospital import PIXL
from ledger import Cohort
from processes import children, die_with_parent, status_kib

SOAK_S = float(os.environ.get("PIXL_SOAK_S") or (600 if os.environ.get("PIXL_TEST_LONG") else 60))
SEED = int(os.environ.get("PIXL_CHAOS_SEED") or random.randrange(1 << 30))
CLOCK_STEP = os.path.abspath(os.environ.get("CLOCK_STEP", "build/release/tests/clock-step.so"))
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


def add_batch(cohort, dice, n, kinds=Cohort.KINDS):
    """The CSV asks for n studies more, and for no others."""
    cohort.hospital.rows.clear()
    for study in range(len(cohort.wanted) + 1, len(cohort.wanted) + n + 1):
        cohort.add(study, dice.choice(kinds))
    cohort.hospital.write_csv()
    return f"batch: {len(cohort.wanted)} studies so far"


class Program:
    """A pixl with its supervisor, the signals that it was sent, and what it said."""

    def __init__(self, command, cwd, log, env):
        self.log, self.sent, self.began = log, set(), log.stat().st_size if log.exists() else 0
        with open(log, "ab") as f:
            self.process = subprocess.Popen(command, cwd=cwd, stdin=subprocess.DEVNULL, stdout=f, stderr=f, env=env,
                                            preexec_fn=die_with_parent)

    def is_alive(self):
        return self.process.poll() is None

    def family(self):
        return [*(pid for pid, _ in children(self.process.pid)), self.process.pid]

    def hit(self, number, whom):
        """whom: the supervisor, the worker below it, or all.  Says whom it hit, if anybody."""
        if not self.is_alive():
            return None
        self.sent.add(number)
        *below, top = self.family()
        pids = {"supervisor": [top], "worker": below[:1], "all": [*below, top]}[whom]
        for pid in pids:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass
        return f"{whom} {pids}" if pids else None

    def kill(self, dice):
        return self.hit(signal.SIGKILL, dice.choice(("supervisor", "worker", "worker", "all")))

    def stall(self, dice):
        """A fault, without its name."""
        yield self.hit(signal.SIGSTOP, dice.choice(("worker", "all")))
        self.hit(signal.SIGCONT, "all")

    def end(self):
        if self.is_alive():
            self.hit(signal.SIGKILL, "all")
        self.process.wait()

    def most_kib(self):
        """Of memory of its own, of any of its processes now."""
        most = 0
        for pid in self.family():
            try:
                most = max(most, status_kib(pid, "RssAnon"))
            except (OSError, StopIteration):                      # it ended
                pass
        return most

    def said(self):
        with open(self.log, "rb") as f:
            f.seek(self.began)
            return f.read().decode(errors="replace")

    def crashes(self):
        """Those that nobody ordered, in words."""
        said = self.said()
        signals = {int(n) for n in re.findall(r"ended by signal (\d+)", said)} - {int(s) for s in self.sent}
        bad = signals or "Assertion" in said or "Sanitizer" in said
        return [f"it crashed by signals {signals}: {said[-1500:]}"] if bad else []


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

    def __init__(self, path, size, options="mode=755"):
        self.path, self.size, self.is_own = path, size, may_mount()
        path.mkdir(exist_ok=True)
        if self.is_own:
            mounted(path, f"size={size},{options}")

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
