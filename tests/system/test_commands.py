"""What the command line says of itself: reference pages, help, completion, and `pixl check-env`."""
import json
import os
import pathlib
import re
import subprocess

import pytest

PIXL = os.environ.get("PIXL", "build/release/pixl")
ROOT = pathlib.Path(__file__).resolve().parents[2]


def pixl(*args, cwd, ok=(0,), **env):
    r = subprocess.run([os.path.abspath(PIXL), *args], cwd=cwd, capture_output=True, text=True,
                       env={"PATH": os.environ["PATH"], "HOME": str(cwd), **env})
    assert r.returncode in ok, (args, r.returncode, r.stdout, r.stderr)
    return r


@pytest.mark.parametrize("page, path", [("commands", "docs/reference/commands.md"), ("settings", "docs/reference/settings.md"),
                                        ("outcomes", "docs/reference/outcomes.md"), ("env", ".env.sample")])
def test_a_committed_page_is_what_the_program_says(page, path, tmp_path):
    said = pixl("reference", page, cwd=tmp_path).stdout
    assert (ROOT / path).read_text() == said, f"{path} is out of date: `make docs` writes it"


def commands(tmp_path):
    text = pixl("--help", cwd=tmp_path).stdout
    return re.findall(r"^  ([a-z-]+) +\S", text.split("commands:")[1], re.M)


def test_every_command_and_option_has_its_help(tmp_path):
    page = pixl("reference", "commands", cwd=tmp_path).stdout
    names = commands(tmp_path)
    assert len(names) >= 12 and re.findall(r"^## pixl ([a-z-]+)$", page, re.M) == names
    for name in names:
        shown = pixl(name, "--help", cwd=tmp_path).stdout
        assert shown.startswith(f"usage: pixl {name}") and len(shown.split("\n\n")[1].strip()) > 20, name
        for option, text in re.findall(r"^  (--[a-z-]+)(?: \S+)?  +(.*)$", shown, re.M):
            assert len(text) > 5, (name, option)
            assert f"`{option}" in page, (name, option)
    empty = [row for row in page.splitlines() if re.match(r"\| `--[^|]*\| *\|", row)]
    assert not empty


def test_every_state_and_reason_is_explained(tmp_path):
    """The words of the source, each with its meaning and what to do about it."""
    source = (ROOT / "src/study/state.h").read_text()
    words = {re.search(r'"([a-z-]*)"', x)[1] for x in re.findall(r"^    X\((?:[^()]|\([^()]*\))*?[OEFS]\)", source, re.M)} - {""}
    page = pixl("reference", "outcomes", cwd=tmp_path).stdout
    rows = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in page.splitlines() if line.startswith("| `")]
    assert len(words) > 35 and {name.strip("`") for name, _, _ in rows} == words
    for name, meaning, advice in rows:
        assert len(meaning) > 10 and len(advice) >= 8 and advice.endswith((".", "?")), name


def test_every_setting_has_its_help(tmp_path):
    page = pixl("reference", "settings", cwd=tmp_path).stdout
    rows = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in page.splitlines() if line.startswith("| `")]
    shown = json.loads(pixl("config", "show", "--json", cwd=tmp_path).stdout)
    assert [r[0].strip("`") for r in rows] == list(shown)
    for name, meaning, _default, _range in rows:
        assert len(meaning) > 10 and meaning.endswith("."), name


def test_the_sample_is_a_file_that_pixl_reads(tmp_path):
    sample = pixl("reference", "env", cwd=tmp_path).stdout
    before = json.loads(pixl("config", "show", "--json", cwd=tmp_path).stdout)
    (tmp_path / ".env").write_text(sample)
    after = json.loads(pixl("config", "show", "--json", cwd=tmp_path).stdout)
    assert {k: v["value"] for k, v in before.items()} == {k: v["value"] for k, v in after.items()}
    assert after["PIXL_WORKERS"]["from"].startswith(".env:")
    assert "PIXL_MAX_ATTEMPTS" in sample and pixl("check-env", cwd=tmp_path, ok=(2,)).stderr.count(".env.sample") == 1


def test_a_shell_reads_of_the_sample_what_pixl_reads(tmp_path):
    (tmp_path / "pixl.env").write_text(pixl("reference", "env", cwd=tmp_path).stdout)
    said = subprocess.run(["sh", "-ec", "set -a && . ./pixl.env && env"], cwd=tmp_path, capture_output=True, text=True, check=True, env={"PATH": os.environ["PATH"]})
    assert said.stderr == ""
    values = dict(line.split("=", 1) for line in said.stdout.splitlines())
    shown = json.loads(pixl("config", "show", "--json", cwd=tmp_path).stdout)
    for name, setting in shown.items():
        assert name in values, name
        if setting["value"] != "***":
            assert values[name] == (setting["value"] or ""), name


def test_completion_offers_every_command_and_option(tmp_path):
    script = pixl("completion", cwd=tmp_path).stdout
    offered = subprocess.run(["bash", "-c", script + '\nCOMP_WORDS=(pixl ""); COMP_CWORD=1; _pixl; echo "${COMPREPLY[@]}"\n'
                              'COMP_WORDS=(pixl populate --d); COMP_CWORD=2; _pixl; echo "${COMPREPLY[@]}"'],
                             capture_output=True, text=True, check=True, cwd=tmp_path).stdout.splitlines()
    assert set(commands(tmp_path)) <= set(offered[0].split())
    assert offered[1].split() == ["--dry-run"]


def test_a_reader_that_has_enough_is_no_failure_to_speak_of(tmp_path):
    read, write = os.pipe()
    os.close(read)
    r = subprocess.run([PIXL, "reference", "env"], stdout=write, stderr=subprocess.PIPE, text=True)
    os.close(write)
    assert r.returncode == 1 and r.stderr == ""
    r = subprocess.run(["sh", "-c", f'"{PIXL}" reference env > /dev/full'], capture_output=True, text=True)
    assert r.returncode == 1 and "could not be written" in r.stderr


def test_check_env_tells_what_is_not_set(tmp_path):
    (tmp_path / "sample").write_text("# what a site needs\nPIXL_STATE_DIR=./.pixl\nORTHANC_RAW_URL=http://x\nRABBITMQ_HOST=\nLOG_LEVEL=info\n")
    (tmp_path / ".env").write_text("\nRABBITMQ_HOST=queue\nLOG_LEVEL=\n")
    ask = ["check-env", "--sample-env-file", "sample"]
    r = pixl(*ask, cwd=tmp_path, PIXL_STATE_DIR="/tmp/x")
    assert re.search(r"^PIXL_STATE_DIR +environment$", r.stdout, re.M) and re.search(r"^RABBITMQ_HOST +\.env:2$", r.stdout, re.M)
    assert re.findall(r"^(\S+) +not set$", r.stdout, re.M) == ["ORTHANC_RAW_URL", "LOG_LEVEL"]
    assert "2 of 4 settings are not set" in r.stderr
    pixl(*ask, "--error", cwd=tmp_path, ok=(1,))
    assert json.loads(pixl(*ask, "--json", cwd=tmp_path).stdout) == {
        "PIXL_STATE_DIR": None, "ORTHANC_RAW_URL": None, "RABBITMQ_HOST": ".env:2", "LOG_LEVEL": None}
    full = dict(PIXL_STATE_DIR="/tmp/x", ORTHANC_RAW_URL="http://y", LOG_LEVEL="info")
    assert "0 of 4" in pixl(*ask, "--error", cwd=tmp_path, **full).stderr
    # Its values are nobody's business.
    assert "queue" not in r.stdout + r.stderr
    assert "sample-env-file" in pixl("check-env", "--sample-env-file", "nowhere", cwd=tmp_path, ok=(2,)).stderr
    (tmp_path / "sample").write_text("A=1\nA=2\n")
    assert "sample:2" in pixl(*ask, cwd=tmp_path, ok=(2,)).stderr


def test_a_wrong_value_is_told_by_the_option_that_gave_it(tmp_path):
    r = pixl("run", "--rate", "fast", cwd=tmp_path, ok=(2,))
    assert r.stderr == "pixl run: --rate: 'fast' is no number from 0 to 10000 studies/s\n" and r.stdout == ""
    shown = pixl("config", "show", "--state-dir", "here", cwd=tmp_path).stdout
    assert re.search(r"^PIXL_STATE_DIR +here +--state-dir$", shown, re.M)


def test_every_mistake_of_the_settings_is_told_at_once(tmp_path):
    (tmp_path / ".env").write_text("PIXL_WORKERS=many\nwhat is this\nPIXL_RATES=1\n")
    r = pixl("status", cwd=tmp_path, ok=(2,), PIXL_LEASE_S="1")
    told = r.stderr.splitlines()
    assert len(told) == 4 and all(line.startswith("pixl status: ") for line in told)
    for part in (".env:1: PIXL_WORKERS: 'many'", ".env:2: neither", ".env:3: unknown setting PIXL_RATES", "environment: PIXL_LEASE_S: '1'"):
        assert part in r.stderr
    (tmp_path / ".env").write_text("what is this\n" * 50)
    told = pixl("status", cwd=tmp_path, ok=(2,)).stderr.splitlines()
    assert len(told) == 21 and told[-1] == "... and 30 more"
