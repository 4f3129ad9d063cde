#!/usr/bin/python3
"""A RabbitMQ for tests, on free loopback ports and in a folder of its own; nothing of it is left after stop().

As a module: `with Broker() as b:`, then b.url, b.tls_url, b.ctl(...), b.kill(), b.start().
As a program: prints "ready PORT TLS_PORT FOLDER", then obeys lines on its standard input, each answered with
"NUMBER ok" or "NUMBER failed", until that ends (then it stops the broker):
    NUMBER kill | start | ctl ARGUMENT...

Users: guest (all rights), reader (password reader: may read, and neither declare nor write), and ODD_USER, whose texts need
percent-encoding, in the vhost ODD_VHOST.  FOLDER/certs: ca.pem signed server.pem (localhost, 127.0.0.1); other.pem did not.
"""
import base64
import hashlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile

import certificates
from servers import free_ports, spawn, wait_for_port

SERVER = "/usr/lib/rabbitmq/bin/rabbitmq-server"        # not the one in sbin, which changes its user
CTL = "/usr/lib/rabbitmq/bin/rabbitmqctl"
ODD_USER, ODD_PASSWORD, ODD_VHOST = "n\u00e9 user", "p@ss/w:rd%#?&", "odd/vhost"
START_S = 120


def user(name, password, tags=""):
    salt = b"salt"
    digest = base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()
    return {"name": name, "password_hash": digest, "hashing_algorithm": "rabbit_password_hashing_sha256", "tags": tags}


def rights(name, vhost, configure=".*", write=".*", read=".*"):
    return {"user": name, "vhost": vhost, "configure": configure, "write": write, "read": read}


DEFINITIONS = {
    "users": [user("guest", "guest", "administrator"), user("reader", "reader"), user(ODD_USER, ODD_PASSWORD)],
    "vhosts": [{"name": "/"}, {"name": ODD_VHOST}],
    "permissions": [rights("guest", "/"), rights("guest", ODD_VHOST), rights("reader", "/", "^$", "^$"), rights(ODD_USER, ODD_VHOST)],
}


class Broker:
    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="pixl-rabbitmq-"))
        self.port, self.tls_port, dist, self.epmd_port = free_ports(4)
        self.server = self.epmd = None
        self.log = self.folder / "server.log"
        certificates.make(self.folder / "certs")
        for name in ("mnesia", "log", "home", "schema"):
            (self.folder / name).mkdir()
        (self.folder / "definitions.json").write_text(json.dumps(DEFINITIONS))
        (self.folder / "plugins").write_text("[].")
        certs = self.folder / "certs"
        (self.folder / "rabbitmq.conf").write_text("\n".join((
            f"listeners.tcp.1 = 127.0.0.1:{self.port}", f"listeners.ssl.1 = 127.0.0.1:{self.tls_port}",
            f"ssl_options.cacertfile = {certs}/ca.pem", f"ssl_options.certfile = {certs}/server.pem",
            f"ssl_options.keyfile = {certs}/server.key", "ssl_options.verify = verify_none", "ssl_options.fail_if_no_peer_cert = false",
            "loopback_users = none", "log.console = true", "log.console.level = warning", "log.file = false",
            "vm_memory_high_watermark.absolute = 1GB", "disk_free_limit.absolute = 50MB",
            f"load_definitions = {self.folder}/definitions.json", "")))
        self.environment = {
            **os.environ, "HOME": f"{self.folder}/home", "RABBITMQ_NODENAME": f"pixl{self.port}@localhost",
            "RABBITMQ_MNESIA_BASE": f"{self.folder}/mnesia", "RABBITMQ_LOG_BASE": f"{self.folder}/log",
            "RABBITMQ_SCHEMA_DIR": f"{self.folder}/schema", "RABBITMQ_GENERATED_CONFIG_DIR": f"{self.folder}/schema",
            "RABBITMQ_CONFIG_FILE": f"{self.folder}/rabbitmq.conf", "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_ENABLED_PLUGINS_FILE": f"{self.folder}/plugins", "RABBITMQ_PID_FILE": f"{self.folder}/pid",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1", "RABBITMQ_NODE_PORT": str(self.port), "RABBITMQ_DIST_PORT": str(dist),
            "ERL_EPMD_PORT": str(self.epmd_port), "ERL_EPMD_ADDRESS": "127.0.0.1",
            # Else the port for other nodes listens everywhere; and idle schedulers do not spin.
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1} +sbwt none +sbwtdcpu none +sbwtdio none",
        }

    url = property(lambda self: f"amqp://guest:guest@127.0.0.1:{self.port}/%2f")
    tls_url = property(lambda self: f"amqps://guest:guest@localhost:{self.tls_port}/%2f?cacertfile={self.folder}/certs/ca.pem")

    def start(self):
        if self.epmd is None:           # our own, so that it can be stopped by its number
            self.epmd = spawn(["epmd"], self.log, env=self.environment, start_new_session=True)
            wait_for_port(self.epmd_port, self.epmd, self.log, START_S)
        pid_file = self.folder / "pid"
        pid_file.unlink(missing_ok=True)
        self.server = spawn([SERVER], self.log, env=self.environment, cwd=self.folder, start_new_session=True)
        for port in (self.tls_port, self.port):         # the first is the last to listen
            wait_for_port(port, self.server, self.log, START_S)

    def signal(self, number):
        """To the Erlang machine itself; waits until it and its starter are gone."""
        try:
            os.kill(int((self.folder / "pid").read_text()), number)
        except (OSError, ValueError):
            self.server.kill()
        try:
            self.server.wait(60)
        except subprocess.TimeoutExpired:
            os.killpg(self.server.pid, signal.SIGKILL)
            self.server.wait()
        self.server = None

    def kill(self):
        self.signal(signal.SIGKILL)

    def ctl(self, *args):
        return subprocess.run([CTL, *args], env=self.environment, stdin=subprocess.DEVNULL, check=True, capture_output=True, text=True,
                              timeout=120).stdout

    def stop(self):
        if self.server is not None:
            self.signal(signal.SIGTERM)
        if self.epmd is not None:
            self.epmd.kill()
            self.epmd.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_):
        self.stop()


def main():
    def end(*_):
        sys.exit(1)
    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, signal.SIG_IGN)        # who started this one ends it, by closing its standard input
    with Broker() as b:
        print("ready", b.port, b.tls_port, b.folder, flush=True)
        for line in sys.stdin:
            number, what, *args = line.split()
            try:
                {"kill": b.kill, "start": b.start, "ctl": b.ctl}[what](*args)
                answer = "ok"
            except Exception as e:
                print(f"rabbitmq: {what}: {e}", file=sys.stderr, flush=True)
                answer = "failed"
            print(number, answer, flush=True)


if __name__ == "__main__":
    main()
