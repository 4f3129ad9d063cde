#!/usr/bin/python3
"""A stand-in for Azure Key Vault and for Microsoft's sign-in, over TLS on loopback: the documented requests, their checks and answers,
without soft delete.  What it lets through is judged by Microsoft's own client (system/test_vault.py).

As a module: `with Vault() as v:`, then v.url, v.environment(), v.put(...), v.secrets, v.do("...").
As a program: prints "ready PORT OTHER_HOST_PORT EXPIRED_PORT FOLDER", then obeys lines on its standard input, "NUMBER COMMAND",
each answered with "NUMBER ANSWER", until that ends.  Commands:
    reset                       no secrets, nothing of the below
    put NAME VALUE              as somebody else would
    disable NAME                its current version
    values NAME                 how many versions, and how many different values they have: "2/1"
    get NAME                    the current value, or "-"
    busy STATUS TIMES SECONDS   so many requests are answered so, with Retry-After (SECONDS < 0: without)
    expire                      all tokens end now
    life SECONDS                of tokens to come
    forbid WORD                 what the vault answers everything with: 403 and that word, "-": no more
    odd KIND                    answers that are none: html, empty, list, deep; "-": no more
    count WORD                  requests so far whose method and path begin with that

FOLDER/certs: as certificates.py says.
"""
import http.server
import json
import pathlib
import re
import secrets as random
import shutil
import signal
import sys
import tempfile
import threading
import time
import urllib.parse

import certificates

TENANT, CLIENT = "11111111-2222-3333-4444-555555555555", "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"
SECRET = "s3~cret+v&l ue%=CANARYCLIENTSECRET"
API_VERSIONS = {"7.0", "7.1", "7.2", "7.3", "7.4", "7.5", "7.6", "2025-07-01"}
PAGE = 2                                # versions on a page, whatever is asked for: links must be followed


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    def answer(self, status, body, headers=(), kind="application/json; charset=utf-8"):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def refuse(self, status, code, inner=None, headers=()):
        error = {"code": code, "message": "CANARYSERVERTEXT " + code}
        if inner:
            error["innererror"] = {"code": inner}
        self.answer(status, {"error": error}, headers)

    def handle_request(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        url = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(url.query))
        v = self.server.vault
        with v.lock:
            v.seen.append(f"{self.command} {url.path}")
            if v.busy_times > 0:
                v.busy_times -= 1
                after = [("Retry-After", str(v.busy_after))] if v.busy_after >= 0 else []
                return self.refuse(v.busy_status, "Throttled", headers=after)
            odd = {"html": b"<html>CANARYSERVERTEXT</html>", "empty": b"", "list": b"[1,2]", "deep": b"[" * 50 + b"]" * 50}.get(v.odd)
            if odd is not None:
                return self.answer(200, odd, kind="text/html")
            if url.path.startswith("/secrets/"):
                return self.vault_request(v, url.path, query, body)
            return self.authority_request(v, url.path, body)

    do_GET = do_PUT = do_POST = do_DELETE = do_PATCH = handle_request

    # --- sign-in

    def no_token(self, status, error, code):
        self.answer(status, {"error": error, "error_description": f"AADSTS{code}: CANARYSERVERTEXT", "error_codes": [code]})

    def authority_request(self, v, path, body):
        base = f"https://localhost:{v.port}/{TENANT}"
        m = re.fullmatch(r"/([^/]+)/(v2\.0/\.well-known/openid-configuration|oauth2/v2\.0/token)", path)
        if m is None:
            return self.answer(404, b"<html>nothing here</html>", kind="text/html")
        if m[1] != TENANT:
            return self.no_token(400, "invalid_tenant", 90002)
        if m[2].startswith("v2.0"):
            return self.answer(200, {"token_endpoint": f"{base}/oauth2/v2.0/token", "issuer": f"{base}/v2.0", "jwks_uri": f"{base}/keys",
                                     "authorization_endpoint": f"{base}/oauth2/v2.0/authorize"})
        kind = self.headers.get("Content-Type", "").split(";")[0]
        form = dict(urllib.parse.parse_qsl(body.decode(), strict_parsing=True))
        if self.command != "POST" or kind != "application/x-www-form-urlencoded" or form.get("grant_type") != "client_credentials":
            return self.no_token(400, "invalid_request", 900144)
        if form.get("client_id") != CLIENT:
            return self.no_token(400, "unauthorized_client", 700016)
        if form.get("client_secret") != SECRET:
            return self.no_token(401, "invalid_client", 7000215)
        if "https://vault.azure.net/.default" not in form.get("scope", "").split():
            return self.no_token(400, "invalid_resource", 500011)
        token = "CANARYTOKEN" + random.token_urlsafe(40)
        v.tokens[token] = time.monotonic() + v.life
        return self.answer(200, {"token_type": "Bearer", "expires_in": v.life, "ext_expires_in": v.life, "access_token": token})

    # --- vault

    def bundle(self, v, name, version, with_value=True):
        made = {"id": f"https://localhost:{v.port}/secrets/{name}/{version['id']}",
                "attributes": {"enabled": version["enabled"], "created": version["created"], "updated": version["created"],
                               "recoveryLevel": "Purgeable", "recoverableDays": 0}}
        if with_value:
            made["value"] = version["value"]
        if version.get("contentType"):
            made["contentType"] = version["contentType"]
        return made

    def vault_request(self, v, path, query, body):
        if query.get("api-version") not in API_VERSIONS:
            return self.refuse(400, "BadParameter")
        kind, _, token = self.headers.get("Authorization", "").partition(" ")
        if kind != "Bearer" or v.tokens.get(token, 0) < time.monotonic():
            challenge = f'Bearer authorization="https://localhost:{v.port}/{TENANT}", resource="https://vault.azure.net"'
            return self.refuse(401, "Unauthorized", headers=[("WWW-Authenticate", challenge)])
        if v.forbid:
            return self.refuse(403, "Forbidden", v.forbid)
        m = re.fullmatch(r"/secrets/([0-9a-zA-Z-]{1,127})(?:/([0-9a-f]{32}|versions)?)?", path)
        if m is None:
            return self.refuse(400, "BadParameter")
        if self.command == "PUT" and not m[2]:
            return self.set_secret(v, m[1], body)
        if self.command != "GET":
            return self.refuse(405, "MethodNotAllowed")
        if m[2] == "versions":
            return self.list_versions(v, m[1], query)
        versions = v.secrets.get(m[1], [])
        found = [x for x in versions if x["id"] == m[2]] if m[2] else versions[-1:]
        if not found:
            return self.refuse(404, "SecretNotFound")
        if not found[0]["enabled"]:
            return self.refuse(403, "Forbidden", "SecretDisabled")
        return self.answer(200, self.bundle(v, m[1], found[0]))

    def set_secret(self, v, name, body):
        try:
            wanted = json.loads(body)
            good = self.headers.get("Content-Type", "").split(";")[0] == "application/json" and isinstance(wanted["value"], str) \
                and len(wanted["value"]) <= 25600
        except (ValueError, KeyError, TypeError):
            good = False
        if not good:
            return self.refuse(400, "BadParameter")
        return self.answer(200, self.bundle(v, name, v.put(name, wanted["value"], wanted.get("contentType"))))

    def list_versions(self, v, name, query):
        if not 1 <= int(query.get("maxresults", "25")) <= 25:
            return self.refuse(400, "BadParameter")
        # By id, as no order is promised.
        versions = sorted(v.secrets.get(name, []), key=lambda x: x["id"])
        start = int(query.get("$skiptoken", "0"))
        page = versions[start:start + PAGE]
        more = f"https://localhost:{v.port}/secrets/{name}/versions?api-version={query['api-version']}&$skiptoken={start + PAGE}&maxresults=25"
        self.answer(200, {"value": [self.bundle(v, name, x, False) for x in page],
                          "nextLink": more if start + PAGE < len(versions) else None})


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, vault, certificate):
        super().__init__(("127.0.0.1", 0), Handler)
        context = certificates.server_context(vault.folder / "certs", certificate)
        # The handshake belongs to the connection's own thread.
        self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        self.vault = vault

    def handle_error(self, request, client_address):
        pass                            # a client that does not trust us goes away


class Vault:
    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="pixl-vault-"))
        self.lock = threading.RLock()
        certificates.make(self.folder / "certs")
        self.reset()
        self.servers = [Server(self, name) for name in ("server", "elsewhere", "expired")]
        self.port, self.other_host_port, self.expired_port = (s.server_address[1] for s in self.servers)
        self.url = f"https://localhost:{self.port}"

    def reset(self):
        self.secrets, self.tokens, self.seen, self.life = {}, {}, [], 3599
        self.busy_status, self.busy_times, self.busy_after, self.forbid, self.odd = 429, 0, -1, None, None

    def put(self, name, value, content_type=None):
        version = {"id": random.token_hex(16), "value": value, "created": int(time.time()), "enabled": True, "contentType": content_type}
        self.secrets.setdefault(name, []).append(version)
        return version

    def environment(self):
        return {"PIXL_SECRETS_URL": f"azure:{self.url}", "AZURE_TENANT_ID": TENANT, "AZURE_CLIENT_ID": CLIENT, "AZURE_CLIENT_SECRET": SECRET,
                "AZURE_AUTHORITY_HOST": self.url, "PIXL_AZURE_CA_FILE": str(self.folder / "certs/ca.pem")}

    def do(self, command):
        word, *args = command.split(" ")
        with self.lock:
            if word == "reset":
                self.reset()
            elif word == "put":
                self.put(args[0], " ".join(args[1:]))
            elif word == "disable":
                self.secrets[args[0]][-1]["enabled"] = False
            elif word == "values":
                all_values = [x["value"] for x in self.secrets.get(args[0], [])]
                return f"{len(all_values)}/{len(set(all_values))}"
            elif word == "get":
                return self.secrets[args[0]][-1]["value"] if args[0] in self.secrets else "-"
            elif word == "busy":
                self.busy_status, self.busy_times, self.busy_after = (int(a) for a in args)
            elif word == "expire":
                self.tokens.clear()
            elif word == "life":
                self.life = int(args[0])
            elif word == "forbid":
                self.forbid = None if args[0] == "-" else args[0]
            elif word == "odd":
                self.odd = args[0]
            elif word == "count":
                return str(sum(s.startswith(" ".join(args)) for s in self.seen))
            else:
                raise ValueError(word)
        return "ok"

    def __enter__(self):
        for s in self.servers:
            threading.Thread(target=s.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        for s in self.servers:
            s.shutdown()
            s.server_close()
        shutil.rmtree(self.folder, ignore_errors=True)


def main():
    def end(*_):
        sys.exit(1)
    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, signal.SIG_IGN)        # who started this one ends it, by closing its standard input
    with Vault() as v:
        print("ready", v.port, v.other_host_port, v.expired_port, v.folder, flush=True)
        for line in sys.stdin:
            number, _, command = line.rstrip("\n").partition(" ")
            try:
                answer = v.do(command)
            except Exception as e:
                print(f"vault: {command}: {e}", file=sys.stderr, flush=True)
                answer = "failed"
            print(number, answer, flush=True)


if __name__ == "__main__":
    main()
