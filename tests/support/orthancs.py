"""DICOM servers for tests, on free loopback ports and in a folder of their own; none of them outlives who started it.

    with Rig() as rig:
        vna = rig.orthanc("VNA")                                 # AE title VNA; or rig.dcmqrscp("VNA")
        raw = rig.orthanc("RAW", modalities={"UCPRIMARYQR": vna})
        vna.let("RAW", raw)                                      # VNA sends to RAW, and answers it (quicker before it starts)
        vna.upload(dataset); raw.get("/studies"); raw.post("/tools/find", {...}); raw.delete("/instances/...")
        vna.stop(); vna.start()                                  # what it stored is still there

An Orthanc also takes options of its configuration (`ConcurrentJobs=1`) and plugins (`plugins=["OrthancDicomWeb"]`).  Its user and
password are USER and PASSWORD; url is http://127.0.0.1:PORT, login_url the same with them in it.  https: a Cable with tls before it
(Debian's Orthanc itself crashes at the first TLS handshake).
TCP_NODELAY is set for all: DCMTK on Debian otherwise waits 40 ms for each small message.
"""
import collections
import io
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.parse

from processes import die_with_parent
from servers import Rest, free_ports, spawn, wait_for_port

ORTHANC, PLUGINS = "/usr/sbin/Orthanc", "/usr/share/orthanc/plugins"
USER, PASSWORD = "pixl", "pw%/@:CANARYPW"
LOGIN = f"{USER}:{urllib.parse.quote(PASSWORD, safe='')}"
START_S = 60


def part10(dataset):
    b = io.BytesIO()
    dataset.save_as(b, write_like_original=False)
    return b.getvalue()


Peer = collections.namedtuple("Peer", "aet port")        # what let() needs to know of a server


class Server:
    """One program; a subclass says what is run, and at which port it can be reached then."""

    def __init__(self, folder, aet):
        self.folder, self.aet, self.process = folder, aet, None
        folder.mkdir()
        self.log = folder / "log"

    def run(self, command, port, **environment):
        self.process = spawn(command, self.log, env={"TCP_NODELAY": "1", **environment}, cwd=self.folder, preexec_fn=die_with_parent)
        wait_for_port(port, self.process, self.log, START_S)

    def stop(self, number=signal.SIGTERM):
        if self.process is None:
            return
        self.process.send_signal(number)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    def kill(self):
        self.stop(signal.SIGKILL)


class Orthanc(Server, Rest):
    user, password = USER, PASSWORD

    def __init__(self, folder, aet, modalities, plugins, options):
        super().__init__(folder, aet)
        self.http_port, self.port = free_ports(2)
        self.modalities = dict(modalities)
        self.options = options
        self.plugins = [f"{PLUGINS}/lib{p}.so" for p in plugins]
        for name in ("storage", "index"):
            (folder / name).mkdir()

    url = property(lambda self: f"http://127.0.0.1:{self.http_port}")
    login_url = property(lambda self: f"http://{LOGIN}@127.0.0.1:{self.http_port}")

    def write_configuration(self):
        known = {name: {"AET": m.aet, "Host": "127.0.0.1", "Port": m.port, "AllowFind": True, "AllowMove": True, "AllowStore": True,
                        "AllowEcho": True, **more} for name, (m, more) in self.modalities.items()}
        (self.folder / "orthanc.json").write_text(json.dumps({
            "Name": self.aet, "StorageDirectory": f"{self.folder}/storage", "IndexDirectory": f"{self.folder}/index",
            "HttpPort": self.http_port, "RemoteAccessAllowed": False, "AuthenticationEnabled": True,
            "RegisteredUsers": {USER: PASSWORD}, "DicomAet": self.aet, "DicomPort": self.port, "DicomCheckCalledAet": False,
            "DicomAlwaysAllowStore": True, "DicomAlwaysAllowEcho": True, "DicomModalities": known, "StableAge": 1, "SaveJobs": False,
            "ConcurrentJobs": 5, "DicomScuTimeout": 20, "DicomScpTimeout": 20, "OverwriteInstances": True, "TcpNoDelay": True,
            "KeepAlive": True, "HttpTimeout": 60,
            "Plugins": self.plugins, "DicomWeb": {"Enable": True, "Ssl": False, "Host": f"127.0.0.1:{self.http_port}"},
            **self.options}))

    def start(self):
        self.write_configuration()
        self.run([ORTHANC, "--verbose", f"{self.folder}/orthanc.json"], self.http_port)
        self.wait_for_dicom()
        return self

    def wait_for_dicom(self):
        """The REST interface is there before the DICOM server is."""
        end = time.monotonic() + START_S
        while time.monotonic() < end:
            try:
                self.get("/system")
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                time.sleep(0.02)
        raise RuntimeError(f"{self.aet} does not answer")

    def let(self, name, server, **more):
        """Names another server to this one, also while it runs.  more: AllowFind=False and the like."""
        self.modalities[name] = (server, more)
        if self.process is not None:
            self.stop()
            self.start()

    def delete(self, path):
        self.ask("DELETE", path)

    def upload(self, dataset):
        return json.loads(self.ask("POST", "/instances", dataset if isinstance(dataset, bytes) else part10(dataset)))

    def sop_uids(self):
        return sorted(i["MainDicomTags"]["SOPInstanceUID"] for i in self.get("/instances?expand"))

    def instance_of(self, sop_uid):
        return self.post("/tools/find", {"Level": "Instance", "Query": {"SOPInstanceUID": sop_uid}})[0]

    def jobs(self, kind="DicomMoveScu"):
        return [j for j in self.get("/jobs?expand") if j["Type"] == kind]

    def moves(self):
        """How many C-MOVE requests this one was asked for so far, by level."""
        text = self.log.read_text(errors="replace")
        asked = re.findall(r"Move-SCU request received.*?QueryRetrieveLevel = (\w+)", text, re.S)
        return {level: asked.count(level) for level in set(asked)}


class Dcmqrscp(Server):
    """DCMTK's image archive.  peers: AE titles that may ask it, and be sent to."""

    def __init__(self, folder, aet, peers):
        super().__init__(folder, aet)
        self.port, = free_ports(1)
        self.peers = peers
        (folder / "db").mkdir()

    def write_configuration(self):
        hosts = "\n".join(f"peer{i} = ({name}, 127.0.0.1, {port})" for i, (name, port) in enumerate(self.peers.items()))
        (self.folder / "dcmqrscp.cfg").write_text(f"""\
NetworkTCPPort = {self.port}
MaxPDUSize = 16384
MaxAssociations = 16
HostTable BEGIN
{hosts}
HostTable END
VendorTable BEGIN
VendorTable END
AETable BEGIN
{self.aet} {self.folder}/db RW (200, 1024mb) ANY
AETable END
""")

    def start(self):
        self.write_configuration()
        self.run(["dcmqrscp", "-v", "--config", f"{self.folder}/dcmqrscp.cfg"], self.port)
        return self

    def let(self, name, server):
        self.peers[server.aet] = server.port
        if self.process is not None:
            self.stop()
            self.start()

    def upload(self, *datasets):
        with tempfile.TemporaryDirectory(dir=self.folder) as d:
            for i, dataset in enumerate(datasets):
                (pathlib.Path(d) / f"{i}.dcm").write_bytes(dataset if isinstance(dataset, bytes) else part10(dataset))
            subprocess.run(["storescu", "-aec", self.aet, "+sd", "127.0.0.1", str(self.port), d], check=True, capture_output=True,
                           env={**os.environ, "TCP_NODELAY": "1"})


class Rig:
    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="pixl-orthancs-"))
        self.servers = []

    def orthanc(self, aet, modalities=None, plugins=(), start=True, **options):
        modalities = {name: m if isinstance(m, tuple) else (m, {}) for name, m in (modalities or {}).items()}
        return self.add(Orthanc(self.folder / f"{len(self.servers)}-{aet}", aet, modalities, plugins, options), start)

    def dcmqrscp(self, aet, start=True):
        return self.add(Dcmqrscp(self.folder / f"{len(self.servers)}-{aet}", aet, {}), start)

    def add(self, server, start):
        self.servers.append(server)
        return server.start() if start else server

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for s in reversed(self.servers):
            s.kill()
        shutil.rmtree(self.folder, ignore_errors=True)
