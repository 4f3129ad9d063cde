"""Secrets in a key vault: the stand-in (support/vault.py) judged by Microsoft's own client, and pixl runs that live on it."""
import json
import os
import pathlib
import subprocess
import sys
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import vault as stand_in  # noqa: E402
from hospital import Hospital, canaries  # noqa: E402

SUPPORT = pathlib.Path(__file__).resolve().parents[1] / "support"


@pytest.fixture()
def vault():
    with stand_in.Vault() as v:
        yield v


def official(vault, *calls, secret=stand_in.SECRET, client=stand_in.CLIENT, ca="ca"):
    r = subprocess.run(["node", SUPPORT / "node/keyvault.mjs", vault.url, stand_in.TENANT, client, secret], input=json.dumps(calls), text=True,
                       capture_output=True, timeout=120, env={"PATH": os.environ["PATH"], "NODE_EXTRA_CA_CERTS": f"{vault.folder}/certs/{ca}.pem"})
    assert r.returncode == 0, r.stderr
    return json.loads(r.stdout)


def test_microsofts_client_works_with_the_stand_in(vault):
    first, second, current, old, versions, gone = official(
        vault, ["set", "test--ftp--password", "one"], ["set", "test--ftp--password", "two \u00e9"], ["get", "test--ftp--password"],
        ["versions", "test--ftp--password"], ["get", "missing"], ["set", "bad_name", "x"])[:6]
    assert first["value"] == "one" and second["value"] == "two \u00e9" and first["version"] != second["version"]
    assert current == second
    assert {v["version"] for v in old["versions"]} == {first["version"], second["version"]}
    assert all(v["enabled"] and abs(v["created"] - time.time()) < 60 for v in old["versions"])
    assert versions["status"] == 404 and versions["error"] == "SecretNotFound"
    assert gone["status"] == 400
    assert official(vault, ["get", "test--ftp--password", first["version"]])[0]["value"] == "one"


def test_microsofts_client_follows_the_pages_of_versions(vault):
    official(vault, *[["set", "many", str(i)] for i in range(7)])
    assert len(official(vault, ["versions", "many"])[0]["versions"]) == 7


def test_microsofts_client_is_refused_where_pixl_is(vault):
    assert "7000215" in official(vault, ["get", "x"], secret="wrong")[0]["text"]
    assert "700016" in official(vault, ["get", "x"], client="bbbbbbbb-bbbb-cccc-dddd-eeeeeeeeeeee")[0]["text"]
    assert official(vault, ["get", "x"], ca="other")[0]["status"] is None
    vault.do("forbid AccessDenied")
    assert official(vault, ["get", "x"])[0]["status"] == 403
    vault.do("forbid -")
    vault.put("x", "1")
    vault.do("disable x")
    assert official(vault, ["get", "x"])[0]["status"] == 403
    vault.do("busy 429 1 1")
    start = time.monotonic()
    assert official(vault, ["set", "y", "1"])[0]["value"] == "1" and time.monotonic() - start >= 1


def hospital(tmp_path, **how):
    h = Hospital(tmp_path, **how)
    for study in (1, 2):
        h.add_study(study)
    h.write_csv()
    return h


def test_a_run_takes_its_key_from_the_vault_and_makes_its_salt_there(vault, tmp_path):
    h = hospital(tmp_path)
    r = h.pixl("run", h.csv, ok=(2,), **vault.environment())
    assert "the hashing key 'hash--key' is not in Azure Key Vault" in r.stderr and not vault.secrets
    vault.put("hash--key", "CANARYKEY" * 4)
    h.pixl("run", h.csv, **vault.environment())
    assert len(h.zips()) == 2 and not (h.state / "secrets.env").exists()
    salt = vault.do("get test-project")
    assert len(salt) == 16 and len(vault.secrets["test-project"]) == 1
    # A second state of the same vault finds that salt, and gives the same pseudonyms.
    names = [z.name for z in h.zips()]
    again = hospital(tmp_path / "again")
    again.pixl("run", again.csv, **vault.environment())
    assert [z.name for z in again.zips()] == names
    # As Microsoft's client sees it.
    assert official(vault, ["get", "test-project"])[0]["value"] == salt
    for folder in (tmp_path / "state", tmp_path / "haven", tmp_path / "exports"):
        assert not canaries(folder, (b"CANARYKEY", b"CANARYCLIENTSECRET", b"CANARYTOKEN", b"CANARYSERVERTEXT", salt.encode()))


def test_what_the_vault_refuses_is_said_without_a_secret(vault, tmp_path):
    h = hospital(tmp_path)
    wrong = {**vault.environment(), "AZURE_CLIENT_SECRET": "CANARYWRONG"}
    r = h.pixl("run", h.csv, ok=(1, 75), **wrong)
    assert "AADSTS7000215" in r.stderr and "AZURE_CLIENT_SECRET" in r.stderr
    said = r.stdout + r.stderr
    r = h.pixl("config", "show", **wrong)
    assert "AZURE_CLIENT_SECRET" in r.stdout
    assert "CANARYWRONG" not in said + r.stdout and "CANARYSERVERTEXT" not in said


def test_the_name_of_a_vault_alone_stands_for_its_url(tmp_path, vault):
    h = hospital(tmp_path)
    env = {k: v for k, v in vault.environment().items() if k != "PIXL_SECRETS_URL"}
    shown = json.loads(h.pixl("config", "show", "--json", AZURE_KEY_VAULT_NAME="a-vault", **env).stdout)
    assert shown["PIXL_SECRETS_URL"] == {"value": "azure:", "from": "environment"}
    r = h.pixl("config", "check", "--secrets", ok=(2,), AZURE_KEY_VAULT_NAME="a_vault", **env)
    assert "a vault is named by" in r.stderr


def looked_for(h, *args, ok, **env):
    r = h.pixl("config", "check", "--secrets", "--json", *args, ok=ok, **env)
    assert "CANARY" not in r.stdout
    return {(s["project"], s["secret"]): s["state"] for s in json.loads(r.stdout)["secrets"]}


def test_check_says_which_secrets_are_there(vault, tmp_path):
    h = Hospital(tmp_path)
    base = (h.configs / "test-project.yaml").read_text()
    web = base.replace("Test Project", "Web").replace("  modalities", "  azure_kv_alias: hospital\n  modalities")
    web = web[:web.index("destination:")] + "destination:\n  dicom: dicomweb\n  parquet: ftps\n"
    (h.configs / "web.yaml").write_text(web)
    assert looked_for(h, ok=(1,), **vault.environment()) == {
        ("test-project", "hash--key"): "missing", ("test-project", "test-project"): "missing",
        **{("web", name): "missing" for name in (
            "hash--key", "web", "hospital--dicomweb--url", "hospital--dicomweb--username", "hospital--dicomweb--password",
            "hospital--ftp--host", "hospital--ftp--port", "hospital--ftp--username", "hospital--ftp--password")}}
    assert not vault.secrets                       # looking makes nothing
    for name in ("hash--key", "test-project", "web", "hospital--dicomweb--url", "hospital--dicomweb--username", "hospital--dicomweb--password",
                 "hospital--ftp--host", "hospital--ftp--port", "hospital--ftp--username"):
        vault.put(name, "CANARY")
    assert [k for k, v in looked_for(h, ok=(1,), **vault.environment()).items() if v != "there"] == [("web", "hospital--ftp--password")]
    assert set(looked_for(h, "test-project", ok=(0,), **vault.environment()).values()) == {"there"}
    vault.put("hospital--ftp--password", "CANARY")
    r = h.pixl("config", "check", "--secrets", **vault.environment())
    assert "web: destination, secret hospital--dicomweb--url: there" in r.stdout and "0 secrets missing in Azure Key Vault" in r.stdout
    vault.do("disable hospital--ftp--password")
    r = h.pixl("config", "check", "--secrets", "web", ok=(1,), **vault.environment())
    assert "hospital--ftp--password: https://localhost" in r.stdout and "is disabled" in r.stdout


def test_check_looks_into_a_file_too(tmp_path):
    h = hospital(tmp_path)
    assert set(looked_for(h, ok=(1,)).values()) == {"missing"}
    assert not h.state.exists()
    h.pixl("run", h.csv)
    assert set(looked_for(h, ok=(0,)).values()) == {"there"}
    r = h.pixl("config", "show", "--secrets", ok=(1, 2))
    assert "--secrets is for config check only" in r.stderr
