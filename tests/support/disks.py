"""Disks of a test's own that can be full or read-only.  They are mounted in a namespace of the test's, and go with it."""
import ctypes
import functools
import subprocess

import pytest

CLONE_NEWNS = 0x00020000


@functools.cache
def may_mount():
    """To be asked before the test has threads: only those that come later see the same mounts."""
    own = ctypes.CDLL(None).unshare(CLONE_NEWNS) == 0
    return own and subprocess.run(["mount", "--make-rprivate", "/"], capture_output=True).returncode == 0


def mounted(path, options):
    if not may_mount():
        pytest.skip("mounting a tmpfs is not permitted here")
    path.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", path], check=True)


def remount(path, options):
    subprocess.run(["mount", "-o", f"remount,{options}", path], check=True, capture_output=True)


def umount(path):
    """Also while a program that was killed is not quite gone."""
    subprocess.run(["umount", "-l", path], check=True)
