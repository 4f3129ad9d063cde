"""Faults at random, drawn from one seed: what happens when is known before it begins; what it hits depends on the machine.

A Fault is a generator function: it begins the fault, yields what it did in words (or nothing, where it found nothing to do), and ends it.
Faults `on` the same thing do not overlap; others do.  Whatever is on when the storm's time is over ends at once.
"""
import hashlib
import random
import threading
import time
import traceback


class Diary:
    """What happened when, by the clock that nobody steps."""

    def __init__(self):
        self.began, self.lines, self.lock = time.monotonic(), [], threading.Lock()

    def note(self, text):
        with self.lock:
            self.lines.append(f"{time.monotonic() - self.began:8.3f}  {text}")

    def __str__(self):
        with self.lock:
            return "\n".join(self.lines)


class Fault:
    """weight: how often beside others; hold: how long it may last (s); gap: the least pause before the next one on the same thing (s)."""

    def __init__(self, what, on, weight=1.0, hold=(0, 0), gap=0.0):
        self.what, self.on, self.weight, self.hold, self.gap = what, on, weight, hold, gap


def plan(seed, seconds, faults, per_s):
    """(when, fault, how long, its own dice), in order of time."""
    dice, at, free, out = random.Random(seed), 0.5, {}, []
    while at < seconds:
        fault = dice.choices(faults, [f.weight for f in faults])[0]
        held, own = dice.uniform(*fault.hold), dice.getrandbits(64)
        if free.get(fault.on, 0) <= at:
            out.append((at, fault, held, random.Random(own)))
            free[fault.on] = at + held + fault.gap
        at += dice.expovariate(per_s)
    return out


class Storm:
    """`with Storm(...)` begins it; its end waits until the last fault is over.  A fault that breaks itself is raised there."""

    def __init__(self, seed, seconds, faults, diary, per_s=1.0):
        self.plan = plan(seed, seconds, faults, per_s)
        self.seconds, self.diary = seconds, diary
        self.over, self.broken, self.hit = threading.Event(), [], {}
        self.locks = {f.on: threading.Lock() for f in faults}

    def __enter__(self):
        self.end = time.monotonic() + self.seconds
        self.thread = threading.Thread(target=self.blow)
        self.thread.start()
        return self

    def is_on(self):
        return time.monotonic() < self.end and not self.broken

    def blow(self):
        began, running = time.monotonic(), []
        for at, fault, held, dice in self.plan:
            if self.over.wait(max(0.0, began + at - time.monotonic())):
                break
            running.append(threading.Thread(target=self.live, args=(fault, held, dice)))
            running[-1].start()
        self.over.wait(max(0.0, self.end - time.monotonic()))
        self.over.set()
        for t in running:
            t.join()

    def live(self, fault, held, dice):
        name = fault.what.__name__
        try:
            with self.locks[fault.on]:
                life = fault.what(dice)
                did = next(life, None)
                if did is None:
                    return
                self.hit[name] = self.hit.get(name, 0) + 1
                self.diary.note(f"{name}: {did}")
                self.over.wait(held)
                next(life, None)
                if held > 0:
                    self.diary.note(f"{name}: over")
        except Exception:  # noqa: BLE001
            self.diary.note(f"{name} broke")
            self.broken.append(traceback.format_exc())

    def __exit__(self, kind, *_):
        self.over.set()
        self.thread.join()
        if self.broken and kind is None:
            raise RuntimeError("a fault broke itself:\n" + "\n".join(self.broken))


class Watch:
    """Looks at a folder of deliveries again and again: what stands under a final name is whole from its first moment and never changes."""

    def __init__(self, folder, is_whole, every_s=0.2):
        self.folder, self.is_whole, self.every_s = folder, is_whole, every_s
        self.seen, self.wrong, self.stop = {}, [], threading.Event()

    def look(self):
        try:
            found = [(p, p.stat()) for p in self.folder().rglob("*.zip") if not p.name.startswith(".")]
        except FileNotFoundError:                                 # the folder was taken away just now
            return
        for path, s in found:
            told = (s.st_ino, s.st_size, s.st_mtime_ns)
            if path.name not in self.seen:
                try:
                    self.is_whole(path)
                except FileNotFoundError:
                    continue
                except Exception as e:  # noqa: BLE001
                    self.wrong.append(f"{path.name} was not whole: {e!r}")
                self.seen[path.name] = told
            elif self.seen[path.name] != told:
                self.wrong.append(f"{path.name} was written again: {self.seen[path.name]} {told}")
                self.seen[path.name] = told

    def run(self):
        try:
            while not self.stop.wait(self.every_s):
                self.look()
        except Exception:  # noqa: BLE001
            self.wrong.append("the watch broke:\n" + traceback.format_exc())

    def __enter__(self):
        self.stop.clear()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.thread.join()
        self.look()


def part_of(seed, name):
    """A seed of its own for each thing that draws from the one."""
    return int.from_bytes(hashlib.sha256(f"{seed} {name}".encode()).digest()[:8], "big")
