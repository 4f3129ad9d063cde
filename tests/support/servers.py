"""What servers of tests have in common: ports that are free, the start, the wait until they listen, Orthanc's REST interface."""
import base64
import json
import os
import socket
import subprocess
import time
import urllib.request


def free_ports(n):
    held = [socket.socket() for _ in range(n)]
    for s in held:
        s.bind(("127.0.0.1", 0))
    ports = [s.getsockname()[1] for s in held]
    for s in held:
        s.close()
    return ports


def spawn(command, log, env=None, **how):
    """What it says goes behind what the file log holds."""
    with open(log, "ab") as out:
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env={**os.environ, **(env or {})}, **how)


def wait_for_port(port, process, log, within_s):
    end = time.monotonic() + within_s
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            if process.poll() is not None or time.monotonic() > end:
                said = log.read_text(errors="replace")[-2000:] if log.exists() else ""
                raise RuntimeError(f"{process.args[0]} does not start:\n{said}") from None
            time.sleep(0.02)


class Rest:
    """Of the Orthanc at self.url, whose login is self.user and self.password."""

    def ask(self, method, path, body=None, headers=()):
        login = base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
        q = urllib.request.Request(self.url + path, data=body, method=method, headers={"Authorization": f"Basic {login}", **dict(headers)})
        with urllib.request.urlopen(q, timeout=120) as r:
            return r.read()

    def get(self, path):
        return json.loads(self.ask("GET", path) or b"null")

    def post(self, path, value):
        return json.loads(self.ask("POST", path, json.dumps(value).encode()) or b"null")
