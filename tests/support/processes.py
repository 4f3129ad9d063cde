"""Processes as /proc shows them."""
import ctypes
import os
import pathlib
import signal

libc = ctypes.CDLL(None)


def die_with_parent():
    """In a child, before its program: it does not outlive the thread that has made it."""
    libc.prctl(1, signal.SIGKILL)        # PR_SET_PDEATHSIG


def children(pid):
    """Of a process and of those: number and command line."""
    found = []
    for p in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            parent = int((p / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == pid:
                found.append((int(p.name), (p / "cmdline").read_bytes().decode().split("\0")))
        except (OSError, IndexError, ValueError):
            pass
    return found + [c for kid, _ in found for c in children(kid)]


def status_kib(pid, name):
    """A line of /proc/PID/status in KiB: VmHWM, RssAnon."""
    with open(f"/proc/{pid}/status") as f:
        return next(int(line.split()[1]) for line in f if line.startswith(name + ":"))


def n_descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))
