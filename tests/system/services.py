"""`pixl imaging-api` and `pixl export-api` as processes of a test, asked by Python's own HTTP client and by curl; and what became of the studies."""
import http.client
import json
import signal
import socket
import subprocess
import time

from prometheus_client.parser import text_string_to_metric_families


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Service:
    def __init__(self, hospital, command, *args, port=None, **env):
        self.port, self.token = port or free_port(), env.get("PIXL_API_TOKEN")
        self.log = hospital.base / f"{command}.{self.port}.log"
        self.log_file = open(self.log, "a")
        self.process = subprocess.Popen(hospital.command(command, "--port", self.port, *args), env={**hospital.environment, **env},
                                        cwd=hospital.base, stdout=self.log_file, stderr=self.log_file)
        until = time.monotonic() + 60
        while True:
            try:
                assert self.ask("GET", "/heart-beat") == (200, '"OK"')
                return
            except (ConnectionError, http.client.HTTPException):
                assert self.process.poll() is None and time.monotonic() < until, self.log.read_text()
                time.sleep(0.05)

    def ask(self, method, path, body=None, timeout=60, **headers):
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        if self.token:
            headers.setdefault("Authorization", f"Bearer {self.token}")
        if body is not None and not isinstance(body, (str, bytes)):
            body = json.dumps(body)
            headers.setdefault("Content-Type", "application/json")
        c.request(method, path, body, {k.replace("_", "-"): v for k, v in headers.items()})
        r = c.getresponse()
        text = r.read().decode()
        c.close()
        return r.status, text

    def curl(self, *args):
        r = subprocess.run(["curl", "-sS", "-w", "\n%{http_code}", *args[:-1], f"http://127.0.0.1:{self.port}{args[-1]}"],
                           capture_output=True, text=True, timeout=60, check=True)
        body, _, status = r.stdout.rpartition("\n")
        return int(status), body

    def metrics(self):
        status, text = self.ask("GET", "/metrics")
        assert status == 200
        return {(s.name, *sorted(s.labels.items())): s.value for f in text_string_to_metric_families(text) for s in f.samples}

    def stop(self, timeout=60):
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(timeout)
        self.log_file.close()
        return code


def states(h, **env):
    out = {}
    for p in json.loads(h.pixl("status", "--json", **env).stdout)["projects"]:
        for state, n in p["states"].items():
            if n:
                out[state] = out.get(state, 0) + n
    return out


def wait_for(h, want, seconds=60, **env):
    until = time.monotonic() + seconds
    while states(h, **env) != want:
        assert time.monotonic() < until, states(h, **env)
        time.sleep(0.2)
    time.sleep(1.2)                      # what a service tells of itself follows within half a second
