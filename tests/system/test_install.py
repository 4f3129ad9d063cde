"""What `make install` puts where, that it works without the build tree, and the units that come with it."""
import os
import pathlib
import re
import shutil
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
UNITS = sorted((ROOT / "packaging/systemd").iterdir())


def make(target, home, **variables):
    env = {"PATH": os.environ["PATH"], "HOME": str(home)}
    # -o release: what is built is not built again beside other tests.
    r = subprocess.run(["make", "-s", "-o", "release", "-C", ROOT, target, *(f"{k}={v}" for k, v in variables.items())],
                       env=env, capture_output=True, text=True)
    assert r.returncode == 0, r.stdout + r.stderr
    return r


def files(where):
    return sorted(str(p.relative_to(where)) for p in where.rglob("*") if p.is_file())


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    said = make("install", home, PREFIX=home / ".local")
    assert said.stdout.strip().endswith("/.local/bin/pixl")
    assert said.stderr == f"{home}/.local/bin is not in PATH: log in anew, or add it\n"
    return home / ".local"


def hidden(command):
    """The command in a mount namespace where the build tree is an empty folder; as it is, where there are no namespaces."""
    unshare = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--user", "--map-root-user"])]
    if subprocess.run([*unshare, "true"], capture_output=True).returncode != 0:
        return command
    return [*unshare, "sh", "-c", 'mount -t tmpfs none "$0" && ! test -e "$0/Makefile" && exec "$@"', str(ROOT), *command]


def test_it_runs_without_the_build_tree(installed, tmp_path):
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    r = subprocess.run(hidden([str(installed / "bin/pixl"), "demo", "--dir", str(tmp_path / "demo")]), env=env, cwd=tmp_path,
                       capture_output=True, text=True, timeout=300)
    assert r.returncode == 0, r.stdout + r.stderr
    assert list((tmp_path / "demo").rglob("IMAGE_LINKER.parquet")), "DuckDB was found"
    # The shipped policies are in the program.
    r = subprocess.run(hidden([str(installed / "bin/pixl"), "config", "new", "p", "--modality", "ct"]), env=env, cwd=tmp_path,
                       capture_output=True, text=True)
    assert r.returncode == 0 and (tmp_path / "projects/configs/tag-operations/ct.yaml").exists()


def test_a_staged_install_is_removed_whole(installed, tmp_path):
    assert make("install", tmp_path, PREFIX="/opt/pixl", DESTDIR=tmp_path / "stage").stderr == ""
    assert files(tmp_path / "stage/opt/pixl") == files(installed)
    assert "ExecStart=/opt/pixl/bin/pixl run" in (tmp_path / "stage/opt/pixl/lib/systemd/system/pixl-run.service").read_text()
    other = tmp_path / "stage/opt/pixl/bin/other"
    other.write_text("somebody else's")
    make("uninstall", tmp_path, PREFIX="/opt/pixl", DESTDIR=tmp_path / "stage")
    assert files(tmp_path / "stage") == ["opt/pixl/bin/other"]
    assert not (tmp_path / "stage/opt/pixl/lib/pixl").exists()


def test_what_operations_points_to_is_there(installed):
    page = installed / "share/doc/pixl/operations.md"
    links = re.findall(r"\]\(([^)#:]+)\)", page.read_text())
    assert links and [link for link in links if not (page.parent / link).is_file()] == []


def test_the_manual_page_tells_all(installed):
    page = (installed / "share/man/man1/pixl.1").read_text()
    said = subprocess.run([installed / "bin/pixl", "--help"], capture_output=True, text=True).stdout
    for command in re.findall(r"^  ([a-z-]+) +\S", said.split("commands:")[1], re.M):
        assert f".SS pixl {command} ".replace("-", "\\-") in page.replace("\\-", "-").replace("-", "\\-"), command
    assert "PIXL_MAX_ATTEMPTS" in page and ".SH \"EXIT STATUS\"" in page
    macros = {line.split()[0] for line in page.splitlines() if line.startswith((".", "'"))}
    assert macros == {".TH", ".ad", ".SH", ".SS", ".TP", ".PP", ".B", ".I", ".nf", ".fi"}
    if shutil.which("groff"):
        r = subprocess.run(["groff", "-man", "-Tutf8", "-ww", "-z", installed / "share/man/man1/pixl.1"], capture_output=True, text=True)
        assert r.returncode == 0 and r.stderr == ""


def test_bash_completes_by_the_installed_file(installed):
    script = installed / "share/bash-completion/completions/pixl"
    r = subprocess.run(["bash", "-c", f'. {script}; COMP_WORDS=(pixl chec); COMP_CWORD=1; _pixl; echo "${{COMPREPLY[@]}}"'],
                       capture_output=True, text=True, check=True)
    assert r.stdout.split()[0] == "check"


@pytest.mark.parametrize("unit", [u for u in UNITS if u.suffix == ".service"], ids=lambda u: u.name)
def test_a_unit_starts_what_there_is(unit, installed):
    text = unit.read_text()
    commands = re.findall(r"^Exec\w+=-?/usr/local/bin/pixl ([a-z-]+)", text, re.M)
    assert commands and text.count("/usr/local/bin/pixl") == len(commands)
    for command in commands:
        subprocess.run([installed / "bin/pixl", command, "--help"], check=True, capture_output=True)
    settings = subprocess.run([installed / "bin/pixl", "config", "show"], capture_output=True, text=True, check=True).stdout
    for name in re.findall(r"(\w+)=", re.search(r"^Environment=(.*)$", text, re.M)[1]):
        assert f"{name} " in settings
    for wanted in ("User=pixl", "EnvironmentFile=/etc/pixl/pixl.env", "ProtectSystem=strict", "NoNewPrivileges=yes", "PrivateTmp=yes",
                   "MemoryDenyWriteExecute=yes", "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6", "LimitCORE=0",
                   "SystemCallFilter=@system-service", "UMask=0077", "StateDirectoryMode=0700"):
        assert f"\n{wanted}\n" in text, wanted
    assert re.search(r"^TimeoutStopSec=", text, re.M)


def test_systemd_knows_the_units(installed):
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd-analyze is not installed (Debian: systemd)")
    units = sorted((installed / "lib/systemd/system").iterdir())
    assert [u.name for u in units] == [u.name for u in UNITS]
    r = subprocess.run(["systemd-analyze", "verify", "--man=no", *units], capture_output=True, text=True)
    assert r.returncode == 0 and r.stderr == "", r.stderr
    for unit in units:
        if unit.suffix == ".service":
            # 2.0 of 10: "OK"; a service without any of it has 9.6, "UNSAFE".
            r = subprocess.run(["systemd-analyze", "security", "--offline=true", "--threshold=20", "--no-pager", unit],
                               capture_output=True, text=True)
            assert r.returncode == 0, r.stdout + r.stderr
