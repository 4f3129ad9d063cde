#!/usr/bin/python3
"""FTPS servers for tests, on free loopback ports and in a folder of their own; nothing of them is left after stop().

As a module: `with FtpServer(...) as f:` (ProFTPD), Vsftpd or Pyftpd, then f.port, f.certs, f.root (what a login sees), f.secrets(prefix), f.kill(),
f.start(), f.logs().
As a program: ftpd.py [make=proftpd|vsftpd|pyftpd] [NAME=VALUE...] with the arguments of that class; prints "ready PORT PASSIVE_PORT N_PASSIVE FOLDER",
then obeys lines on its standard input, each answered with "NUMBER ok" or "NUMBER failed", until that ends (then it stops the server):
    NUMBER kill | start | stall | go_on | other_password | first_password
FOLDER/root is what a login sees, FOLDER/certs has ca.pem, server.pem (localhost, 127.0.0.1, 127.0.0.2), signed by ca, and the bad ones: other.pem
(a CA that signed nothing), elsewhere.pem, expired.pem, alone.pem (self-signed).

The login is USER and PASSWORD, or OTHER_PASSWORD after "other_password".  Data connections use PASSIVE_PORT and the N_PASSIVE - 1 ports after it, so
that proxies can stand in front of them.  FOLDER/commands.log has what was asked: "STOR ..." begins a line, or stands behind a quotation mark.
"""
import contextlib
import os
import pathlib
import pwd
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import certificates  # noqa: E402
import processes  # noqa: E402
from servers import spawn, wait_for_port  # noqa: E402

# USER is the one name that vsftpd takes without PAM.
USER, PASSWORD, OTHER_PASSWORD = "ftp", "CANARY-s3cret:/@%", "CANARY-0ther"
HERE = pathlib.Path(__file__).resolve().parent
NOBODY = 65534
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


class Ftpd:
    """What the makes have in common.  certificate: which of the certs; space: how much fits in root ("1m"), which then only the server sees."""

    def __init__(self, command, certificate, space):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="pixl-ftpd-"))
        self.root, self.certs = self.folder / "root", self.folder / "certs"
        self.key = self.certs / f"{certificate}.key"
        self.certificate = self.certs / f"{certificate}.pem"
        self.passive = free_range(N_PASSIVE + 1)
        self.port = self.passive + N_PASSIVE
        self.command = [str(a).replace("FOLDER", str(self.folder)) for a in command]
        self.as_root = os.geteuid() == 0
        self.uid, self.gid = (NOBODY, NOBODY) if self.as_root else (os.getuid(), os.getgid())
        if space:
            owner = f"uid={NOBODY},gid={NOBODY}" if self.as_root else "uid=0"
            self.command = ["unshare", *([] if self.as_root else ["-r"]), "-m", "sh", "-c",
                            f'mount -t tmpfs -o size={space},mode=750,{owner} tmpfs {self.root} && exec "$@"', "sh", *self.command]
        self.server = None
        self.root.mkdir()
        make_certificates(self.certs)
        if self.as_root:
            os.chown(self.root, self.uid, self.gid)
        self.folder.chmod(0o711)
        self.set_password(PASSWORD)

    def write(self, name, text, owned=False):
        """A file of the folder that nobody else reads; owned: by whom the server runs as."""
        new = self.folder / f"{name}.new"
        new.write_text(text)
        new.chmod(0o600)
        if owned and self.as_root:
            os.chown(new, self.uid, self.gid)
        new.replace(self.folder / name)

    def write_conf(self, name, lines, between, extra, owned=False):
        """extra: lines that stand instead of those of the same name."""
        replaced = {line.split(between)[0] for line in extra.split("\n")}
        lines = [line for line in lines if line.split(between)[0] not in replaced]
        self.write(name, "\n".join([*lines, *extra.split("\n"), ""]), owned)

    def give_away_certs(self):
        """To a server that reads them as itself."""
        if self.as_root:
            for path in (self.certs, *self.certs.iterdir()):
                os.chown(path, self.uid, self.gid)

    def secrets(self, prefix, host="localhost"):
        """Lines of a secrets.env."""
        return "".join(f"{prefix}--ftp--{name}={value}\n" for name, value in
                       (("host", host), ("port", self.port), ("username", USER), ("password", PASSWORD)))

    def start(self):
        log = self.folder / "out.log"
        self.server = spawn(self.command, log, start_new_session=True)
        wait_for_port(self.port, self.server, log, START_S)

    def signal(self, number):
        """To the server and its sessions, which are its process group or its children."""
        sessions = processes.children(self.server.pid)
        os.killpg(self.server.pid, number)
        for pid, _ in sessions:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def kill(self):
        self.signal(signal.SIGKILL)
        self.server.wait()
        self.server = None

    def other_password(self):
        self.set_password(OTHER_PASSWORD)

    def first_password(self):
        self.set_password(PASSWORD)

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


class FtpServer(Ftpd):
    """ProFTPD.  implicit: TLS from the first byte, else AUTH TLS; reuse: the data connection must continue the TLS session; tls: versions, or none;
    digest: offers XSHA256; extra: lines of its configuration."""

    def __init__(self, implicit=True, reuse=True, tls="TLSv1.2 TLSv1.3", certificate="server", digest=False, space="", extra=""):
        super().__init__(["proftpd", "-n", "-q", "-c", "FOLDER/proftpd.conf"], certificate, space)
        name, group = ("nobody", "nogroup") if self.as_root else (f"#{self.uid}", f"#{self.gid}")
        options = " ".join((["UseImplicitSSL"] if implicit else []) + ([] if reuse else ["NoSessionReuseRequired"]))
        lines = [
            'ServerName "pixl-test"', "ServerType standalone", "ModulePath /usr/lib/proftpd", "LoadModule mod_tls.c",
            *(["LoadModule mod_digest.c", "DigestEngine on", "DigestAlgorithms all"] if digest else []),
            "ControlsEngine off", "DefaultAddress 127.0.0.1", "SocketBindTight on", f"Port {self.port}", "UseIPv6 off", "UseReverseDNS off",
            f"User {name}", f"Group {group}", f"PidFile {self.folder}/pid", f"ScoreboardFile {self.folder}/scoreboard",
            f"SystemLog {self.folder}/system.log", 'LogFormat all "%m %f %s %S"', f"ExtendedLog {self.folder}/commands.log ALL all",
            f"TransferLog {self.folder}/transfer.log", "WtmpLog off", "DelayEngine off", "AuthOrder mod_auth_file.c",
            f"AuthUserFile {self.folder}/passwd", "RequireValidShell off", *([f"DefaultRoot {self.root}"] if self.as_root else []),
            f"PassivePorts {self.passive} {self.passive + N_PASSIVE - 1}", "MaxInstances 60", "MaxLoginAttempts 3", "AllowOverwrite on",
            "AllowStoreRestart on", "DeleteAbortedStores off", "TimeoutIdle 600", "Umask 027 027",
            *([] if tls == "none" else [
                "<IfModule mod_tls.c>", "TLSEngine on", f"TLSLog {self.folder}/tls.log", f"TLSProtocol {tls}",
            f"TLSRSACertificateFile {self.certificate}", f"TLSRSACertificateKeyFile {self.key}",
            "TLSRequired on", "TLSVerifyClient off", *([f"TLSOptions {options}"] if options else []), "</IfModule>"])]
        self.write_conf("proftpd.conf", lines, " ", extra)

    def set_password(self, password):
        hashed = subprocess.run(["openssl", "passwd", "-6", password], check=True, stdin=subprocess.DEVNULL, capture_output=True, text=True).stdout.strip()
        self.write("passwd", f"{USER}:{hashed}:{self.uid}:{self.gid}:x:{self.root}:/bin/false\n")


class Vsftpd(Ftpd):
    """vsftpd.  Without root and PAM it knows one login, which it calls anonymous.  implicit: as above; reuse: its require_ssl_reuse; tls: none, or what
    it offers; few_ports: data connections use those of f.passive, of which it tries a few at random: for a session or two; extra: as above."""

    def __init__(self, implicit=True, reuse=True, tls="", certificate="server", few_ports=False, space="", extra=""):
        own = HERE.parent.parent / "third" / "vsftpd" / "usr" / "sbin" / "vsftpd"
        as_nobody = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"] if os.geteuid() == 0 else []
        super().__init__([*as_nobody, own if own.exists() else "vsftpd", "FOLDER/vsftpd.conf"], certificate, space)
        user = pwd.getpwuid(self.uid).pw_name
        yes = {True: "YES", False: "NO"}
        lines = [
            "listen=YES", "background=NO", "run_as_launching_user=YES", "listen_address=127.0.0.1", f"listen_port={self.port}",
            *([f"pasv_min_port={self.passive}", f"pasv_max_port={self.passive + N_PASSIVE - 1}"] if few_ports else []), "seccomp_sandbox=NO", "isolate=NO", "isolate_network=NO",
            "tcp_wrappers=NO", f"ftp_username={user}", f"nopriv_user={user}", "anonymous_enable=YES", "local_enable=NO", f"anon_root={self.root}",
            "secure_email_list_enable=YES", f"email_password_file={self.folder}/passwords", "write_enable=YES", "anon_upload_enable=YES",
            "anon_mkdir_write_enable=YES", "anon_other_write_enable=YES", "anon_world_readable_only=NO", "anon_umask=027", "file_open_mode=0666",
            "idle_session_timeout=600", "xferlog_enable=YES", "log_ftp_protocol=YES", f"vsftpd_log_file={self.folder}/commands.log",
            *([] if tls == "none" else [
                "ssl_enable=YES", f"implicit_ssl={yes[implicit]}", f"require_ssl_reuse={yes[reuse]}", "allow_anon_ssl=YES", "force_anon_logins_ssl=YES",
                "force_anon_data_ssl=YES", "ssl_ciphers=HIGH", f"rsa_cert_file={self.certificate}", f"rsa_private_key_file={self.key}"])]
        self.write_conf("vsftpd.conf", lines, "=", extra, owned=True)
        self.give_away_certs()
        self.folder.chmod(0o777 if self.as_root else 0o711)        # it writes its log there

    def set_password(self, password):
        self.write("passwords", f"{password}\n", owned=True)


class Pyftpd(Ftpd):
    """pyftpdlib, by pyftpd.py, which says what hash and faulty are.  implicit, certificate: as above."""

    def __init__(self, implicit=True, certificate="server", hash="SHA-256", faulty=""):
        as_nobody = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"] if os.geteuid() == 0 else []
        super().__init__([*as_nobody, "/usr/bin/python3", HERE / "pyftpd.py"], certificate, "")
        self.command += [f"{name}={value}" for name, value in (
            ("port", self.port), ("passive", self.passive), ("n_passive", N_PASSIVE), ("folder", self.folder), ("certificate", self.certificate),
            ("key", self.key), ("implicit", "yes" if implicit else "no"), ("hash", hash), ("faulty", faulty))]
        self.give_away_certs()
        self.folder.chmod(0o777 if self.as_root else 0o711)

    def set_password(self, password):
        self.write("passwords", f"{USER} {password}\n", owned=True)


MAKES = {"proftpd": FtpServer, "vsftpd": Vsftpd, "pyftpd": Pyftpd}


def main():
    def end(*_):
        sys.exit(1)
    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, signal.SIG_IGN)        # who started this one ends it, by closing its standard input
    given = dict(a.split("=", 1) for a in sys.argv[1:])
    how = {name: value == "yes" if value in ("yes", "no") else value for name, value in given.items()}
    with MAKES[how.pop("make", "proftpd")](**how) as f:
        print("ready", f.port, f.passive, N_PASSIVE, f.folder, flush=True)
        for line in sys.stdin:
            number, what = line.split()
            try:
                {"kill": f.kill, "start": f.start, "stall": f.stall, "go_on": f.go_on, "other_password": f.other_password,
                 "first_password": f.first_password}[what]()
                answer = "ok"
            except Exception as e:
                print(f"ftpd: {what}: {e}", file=sys.stderr, flush=True)
                answer = "failed"
            print(number, answer, flush=True)


if __name__ == "__main__":
    main()
