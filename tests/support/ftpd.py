#!/usr/bin/python3
"""A ProFTPD for tests, on free loopback ports and in a folder of its own; nothing of it is left after stop().

As a module: `with FtpServer(...) as f:`, then f.port, f.certs, f.root (what a login sees), f.secrets(prefix), f.kill(), f.start(), f.logs().
As a program: ftpd.py [NAME=VALUE...] with the arguments of FtpServer; prints "ready PORT PASSIVE_PORT N_PASSIVE FOLDER", then obeys lines on
its standard input, each answered with "NUMBER ok" or "NUMBER failed", until that ends (then it stops the server):
    NUMBER kill | start | stall | go_on
FOLDER/root is what a login sees, FOLDER/certs has ca.pem, server.pem (localhost, 127.0.0.1, 127.0.0.2), signed by ca, and the bad ones: other.pem
(a CA that signed nothing), elsewhere.pem, expired.pem, alone.pem (self-signed).

The login is USER and PASSWORD.  Data connections use PASSIVE_PORT and the N_PASSIVE - 1 ports after it, so that proxies can stand in front of them.
"""
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import certificates  # noqa: E402
from servers import spawn, wait_for_port  # noqa: E402

USER, PASSWORD = "pixl", "CANARY-s3cret:/@%"
START_S = 30
N_PASSIVE = 8


def free_range(n):
    """The first of n ports that are free one after the other."""
    dice = random.Random()
    for _ in range(1000):
        first = dice.randrange(20000, 32000)
        held = []
        try:
            for port in range(first, first + n):
                s = socket.socket()
                held.append(s)
                for host in ("127.0.0.1", "127.0.0.2"):
                    t = socket.socket()
                    held.append(t)
                    t.bind((host, port))
            return first
        except OSError:
            continue
        finally:
            for s in held:
                s.close()
    raise RuntimeError("no free ports")


def make_certificates(folder):
    """Those of certificates.py, the right one good for 127.0.0.2 too, and one that nobody else has signed."""
    here = f"{certificates.LOCAL},IP:127.0.0.2"
    certificates.make(folder)
    certificates.sign(folder, "server", here, 30)
    certificates.openssl(folder, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", "alone.key",
                         "-out", "alone.pem", "-days", "30", "-subj", "/CN=localhost", "-addext", f"subjectAltName={here}")


class FtpServer:
    """implicit: TLS from the first byte, else AUTH TLS; reuse: the data connection must continue the TLS session; certificate: which of
    the certs; tls: versions, or none; digest: offers XSHA256; space: how much fits in root ("1m"), which then only the server sees; extra: lines of its configuration, instead of
    those of the same name."""

    def __init__(self, implicit=True, reuse=True, tls="TLSv1.2 TLSv1.3", certificate="server", digest=False, space="", extra=""):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="pixl-ftpd-"))
        self.root, self.certs = self.folder / "root", self.folder / "certs"
        self.passive = free_range(N_PASSIVE + 1)
        self.port = self.passive + N_PASSIVE
        self.implicit = implicit
        self.command = ["proftpd", "-n", "-q", "-c", f"{self.folder}/proftpd.conf"]
        if space:
            owner = "uid=65534,gid=65534" if os.geteuid() == 0 else "uid=0"
            self.command = ["unshare", *([] if os.geteuid() == 0 else ["-r"]), "-m", "sh", "-c",
                            f'mount -t tmpfs -o size={space},mode=750,{owner} tmpfs {self.root} && exec "$@"', "sh", *self.command]
        self.server = None
        self.root.mkdir()
        make_certificates(self.certs)
        as_root = os.geteuid() == 0
        uid, gid, name, group = (65534, 65534, "nobody", "nogroup") if as_root else (os.getuid(), os.getgid(), f"#{os.getuid()}", f"#{os.getgid()}")
        if as_root:
            os.chown(self.root, uid, gid)
        self.folder.chmod(0o711)
        hashed = subprocess.run(["openssl", "passwd", "-6", PASSWORD], check=True, stdin=subprocess.DEVNULL, capture_output=True, text=True).stdout.strip()
        (self.folder / "passwd").write_text(f"{USER}:{hashed}:{uid}:{gid}:x:{self.root}:/bin/false\n")
        (self.folder / "passwd").chmod(0o600)
        options = " ".join((["UseImplicitSSL"] if implicit else []) + ([] if reuse else ["NoSessionReuseRequired"]))
        lines = [
            'ServerName "pixl-test"', "ServerType standalone", "ModulePath /usr/lib/proftpd", "LoadModule mod_tls.c",
            *(["LoadModule mod_digest.c", "DigestEngine on", "DigestAlgorithms all"] if digest else []),
            "ControlsEngine off", "DefaultAddress 127.0.0.1", "SocketBindTight on", f"Port {self.port}", "UseIPv6 off", "UseReverseDNS off",
            f"User {name}", f"Group {group}", f"PidFile {self.folder}/pid", f"ScoreboardFile {self.folder}/scoreboard",
            f"SystemLog {self.folder}/system.log", 'LogFormat all "%m %f %s %S"', f"ExtendedLog {self.folder}/commands.log ALL all",
            f"TransferLog {self.folder}/transfer.log", "WtmpLog off", "DelayEngine off", "AuthOrder mod_auth_file.c",
            f"AuthUserFile {self.folder}/passwd", "RequireValidShell off", *([f"DefaultRoot {self.root}"] if as_root else []),
            f"PassivePorts {self.passive} {self.passive + N_PASSIVE - 1}", "MaxInstances 60", "MaxLoginAttempts 3", "AllowOverwrite on",
            "AllowStoreRestart on", "DeleteAbortedStores off", "TimeoutIdle 600", "Umask 027 027",
            *([] if tls == "none" else [
                "<IfModule mod_tls.c>", "TLSEngine on", f"TLSLog {self.folder}/tls.log", f"TLSProtocol {tls}",
            f"TLSRSACertificateFile {self.certs}/{certificate}.pem", f"TLSRSACertificateKeyFile {self.certs}/{certificate}.key",
            "TLSRequired on", "TLSVerifyClient off", *([f"TLSOptions {options}"] if options else []), "</IfModule>"])]
        replaced = {line.split(" ")[0] for line in extra.split("\n")}
        lines = [line for line in lines if line.split(" ")[0] not in replaced] + [*extra.split("\n"), ""]
        (self.folder / "proftpd.conf").write_text("\n".join(lines))

    def secrets(self, prefix, host="localhost"):
        """Lines of a secrets.env."""
        return "".join(f"{prefix}--ftp--{name}={value}\n" for name, value in
                       (("host", host), ("port", self.port), ("username", USER), ("password", PASSWORD)))

    def start(self):
        log = self.folder / "out.log"
        self.server = spawn(self.command, log, start_new_session=True)
        wait_for_port(self.port, self.server, log, START_S)

    def signal(self, number):
        """To the server and its sessions, which are its process group."""
        os.killpg(self.server.pid, number)

    def kill(self):
        self.signal(signal.SIGKILL)
        self.server.wait()
        self.server = None

    def stall(self):
        self.signal(signal.SIGSTOP)

    def go_on(self):
        self.signal(signal.SIGCONT)

    def logs(self):
        """All that the server itself has written, and the names of all files it holds."""
        return "".join(f.read_text(errors="replace") for f in self.folder.glob("*.log")) + \
            "\n".join(str(f.relative_to(self.root)) for f in self.root.rglob("*"))

    def stop(self):
        if self.server is not None:
            self.kill()
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
    given = dict(a.split("=", 1) for a in sys.argv[1:])
    how = {name: value == "yes" if value in ("yes", "no") else value for name, value in given.items()}
    with FtpServer(**how) as f:
        print("ready", f.port, f.passive, N_PASSIVE, f.folder, flush=True)
        for line in sys.stdin:
            number, what = line.split()
            try:
                {"kill": f.kill, "start": f.start, "stall": f.stall, "go_on": f.go_on}[what]()
                answer = "ok"
            except Exception as e:
                print(f"ftpd: {what}: {e}", file=sys.stderr, flush=True)
                answer = "failed"
            print(number, answer, flush=True)


if __name__ == "__main__":
    main()
