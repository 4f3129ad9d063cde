"""What a person sees while `pixl run` works: a line that is rewritten on a terminal, plain lines elsewhere."""
import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
import time

import pytest
from hospital import MARK, ROOT, Hospital

CONTROL = re.compile(rb"[\x00-\x08\x0b-\x1f\x7f]")               # all but tab and line feed
STUDIES = 8


@pytest.fixture
def hospital(tmp_path):
    h = Hospital(tmp_path)
    for study in range(1, STUDIES + 1):
        h.add_study(study)
    h.write_csv()
    return h


def on_terminal(h, *args, columns=120, **env):
    """Runs pixl with a pseudo-terminal of that width as its only standard streams; what it wrote, and its exit code."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    keep = {k: v for k, v in h.environment.items() if k != "LOG_LEVEL"}
    run = subprocess.Popen(h.command(*args), env={**keep, **env}, cwd=h.base, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True)
    os.close(theirs)
    out, until = b"", time.monotonic() + 120
    while time.monotonic() < until:
        try:
            part = os.read(ours, 65536)
        except OSError:                                           # EIO: nobody has the terminal open any more
            break
        if not part:
            break
        out += part
    os.close(ours)
    return out, run.wait(30)


def screen(out):
    """The lines as they stand at the end, and how often each line was rewritten."""
    lines, rewrites = [], []
    for line in out.replace(b"\r\n", b"\n").split(b"\n"):
        parts = line.split(b"\r\x1b[K")
        lines.append(parts[-1])
        rewrites.append(len(parts) - 1)
    return lines, rewrites


def test_on_a_terminal_the_line_is_rewritten(hospital):
    h = hospital
    out, code = on_terminal(h, "run", h.csv, "--rate", "4")       # 5 at once, the others one by one
    assert code == 0
    lines, rewrites = screen(out)
    shown = re.findall(rb"\r\x1b\[K(\d+)/(\d+) studies", out)
    assert len(shown) >= 2 and {total for _, total in shown} == {b"%d" % STUDIES}
    done = [int(d) for d, _ in shown]
    assert done == sorted(done) and done[0] < STUDIES and done[-1] == STUDIES
    (work,) = [i for i, line in enumerate(lines) if b"studies  " in line]      # one line, however often it was written
    assert rewrites[work] == len(shown)
    tail = b"\n".join(lines[work + 1:])
    assert b"all studies of " in tail and re.search(rb"\b8 exported", tail) and b"delivered to directory" in tail
    assert not CONTROL.search(b"\n".join(lines)) and b"study.moved" not in out
    assert MARK.encode() not in out.replace(os.fsencode(h.archive), b"") and ROOT.encode() not in out


def test_a_narrow_terminal_is_not_overrun(hospital):
    h = hospital
    out, code = on_terminal(h, "run", h.csv, columns=40)
    assert code == 0
    for text in re.findall(rb"\r\x1b\[K([^\r\n]*)", out):
        assert len(text) < 40
    assert re.search(rb"\r\x1b\[K8/8 studies", out)


def test_who_asks_for_events_gets_them_on_a_terminal_too(hospital):
    h = hospital
    out, code = on_terminal(h, "run", h.csv, LOG_LEVEL="info")
    assert code == 0 and out.count(b"to=exported") == STUDIES


def test_elsewhere_lines_are_plain(hospital):
    h = hospital
    r = subprocess.run(h.command("run", h.csv, "--rate", "4"), env={**h.environment, "LOG_LEVEL": "off"}, cwd=h.base, capture_output=True,
                       timeout=120)
    assert r.returncode == 0
    assert not CONTROL.search(r.stdout) and not CONTROL.search(r.stderr)
    assert re.search(rb"^\d+/8 studies", r.stderr, re.M) and b"all studies of " in r.stdout and b"8 exported" in r.stdout
    lines = r.stderr.splitlines()
    assert len(lines) < 25, "a line every ten seconds, not twice a second"


def test_results_in_a_pipe_stay_clean_under_a_terminal(hospital):
    """stdout to a file, stderr on the terminal: what a person does who keeps the JSON."""
    h = hospital
    ours, theirs = pty.openpty()
    keep = {k: v for k, v in h.environment.items() if k != "LOG_LEVEL"}
    with open(h.base / "summary.json", "wb") as f:
        run = subprocess.Popen(h.command("run", h.csv, "--json"), env=keep, cwd=h.base, stdin=theirs, stdout=f, stderr=theirs)
        os.close(theirs)
        seen = b""
        while True:
            try:
                seen += os.read(ours, 65536)
            except OSError:
                break
    os.close(ours)
    assert run.wait(60) == 0 and b"studies  " in seen
    import json
    assert json.loads((h.base / "summary.json").read_text())["counts"]["states"]["exported"] == STUDIES
