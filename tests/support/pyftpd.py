#!/usr/bin/python3
"""pyftpdlib with TLS and, as it has none of its own, the HASH command (draft-bryan-ftpext-hash); started by ftpd.py.

hash    SHA-256  offered beside SHA-1, which is in force until OPTS HASH chooses; another name: offered alone; none: HASH is not offered
        other    SHA-256 is offered and chosen, but what comes is a digest of another algorithm as long
        refused  SHA-256 is offered, and no file may be hashed
faulty  words with commas between: digest (HASH tells a wrong one), bytes (a byte of each file is stored wrongly), unreadable (RETR is refused),
        overtaken (what is to be renamed goes right before, and another file has the name that it was to get)
"""
import hashlib
import pathlib
import sys

from pyftpdlib.authorizers import AuthenticationFailed, DummyAuthorizer
from pyftpdlib.handlers import FTPHandler, TLS_DTPHandler, TLS_FTPHandler
from pyftpdlib.ioloop import IOLoop
from pyftpdlib.servers import FTPServer

given = dict(a.split("=", 1) for a in sys.argv[1:])
folder = pathlib.Path(given["folder"])
faulty = given["faulty"].split(",")
commands = open(folder / "commands.log", "a", buffering=1)
HASHES = {"SHA-1": hashlib.sha1, "SHA-256": hashlib.sha256, "SHA-512": hashlib.sha512, "SHA3-256": hashlib.sha3_256}
offered = {"none": [], "SHA-256": ["SHA-1", "SHA-256"], "other": ["SHA-1", "SHA-256"], "refused": ["SHA-1", "SHA-256"]}.get(given["hash"], [given["hash"]])


class Authorizer(DummyAuthorizer):
    def validate_authentication(self, username, password, handler):
        if f"{username} {password}" not in (folder / "passwords").read_text().split("\n"):
            raise AuthenticationFailed


class Transfer(TLS_DTPHandler):
    def readable(self):
        """pyftpdlib hangs up when TLS begins before the command that wants the connection, as libcurl has it."""
        return self._ssl_want_read or self._ssl_accepting if not self._initialized and not self.receive else super().readable()


class Handler(TLS_FTPHandler):
    authorizer = Authorizer()
    dtp_handler = Transfer
    banner = "ready"
    certfile, keyfile = given["certificate"], given["key"]
    tls_control_required = tls_data_required = True
    passive_ports = range(int(given["passive"]), int(given["passive"]) + int(given["n_passive"]))
    auth_failed_timeout = 0
    timeout = 600
    proto_cmds = {**TLS_FTPHandler.proto_cmds, **({"HASH": {"perm": "l", "auth": True, "arg": True, "help": "HASH <SP> pathname"}} if offered else {})}

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.algorithm = offered[0] if offered else ""
        if offered:
            self._extra_feats.append("HASH " + ";".join(f"{a}*" if a == self.algorithm else a for a in offered))

    def handle(self):
        if given["implicit"] == "yes":
            self.secure_connection(self.ssl_context)
        else:
            super().handle()

    def handle_ssl_established(self):
        if given["implicit"] == "yes":
            FTPHandler.handle(self)

    def pre_process_command(self, line, cmd, arg):
        commands.write(f"{cmd} {arg if cmd != 'PASS' else '(hidden)'}\n")
        super().pre_process_command(line, cmd, arg)

    def ftp_OPTS(self, line):
        word, _, algorithm = line.partition(" ")
        if word.upper() != "HASH" or not offered:
            super().ftp_OPTS(line)
        elif algorithm.upper() in offered:
            self.algorithm = algorithm.upper()
            self.respond(f"200 {self.algorithm}")
        elif algorithm:
            self.respond("501 Unknown algorithm, current selection not changed")
        else:
            self.respond(f"200 {self.algorithm}")

    def ftp_HASH(self, path):
        try:
            data = pathlib.Path(path).read_bytes()
        except OSError:
            self.respond("550 No such file")
            return
        if given["hash"] == "refused":
            self.respond("552 Not that file")
            return
        algorithm = "SHA3-256" if given["hash"] == "other" else self.algorithm
        digest = HASHES[algorithm](data + (b"?" if "digest" in faulty else b"")).hexdigest()
        self.respond(f"213 {algorithm} 0-{len(data)} {digest} {pathlib.Path(path).name}")

    def ftp_RNTO(self, path):
        if "overtaken" not in faulty or not self._rnfr:
            return super().ftp_RNTO(path)
        pathlib.Path(self._rnfr).unlink()
        self._rnfr = None
        pathlib.Path(path).write_text("by a later claim")
        self.respond("550 No such file")

    def on_file_received(self, file):
        if "bytes" in faulty:
            with open(file, "r+b") as f:
                first = f.read(1)
                f.seek(0)
                f.write(bytes(b ^ 1 for b in first))


Handler.authorizer.add_user("ftp", "", str(folder / "root"), perm="eladfmwMT" + ("" if "unreadable" in faulty else "r"))
FTPServer(("127.0.0.1", int(given["port"])), Handler, ioloop=IOLoop.instance()).serve_forever()
