"""Orthancs for the tests of the dicomweb destination, on free loopback ports and in folders of their own; nothing of them is left after stop().

`with Orthanc("anon") as anon:`, then anon.url, anon.get("/studies"), anon.stop(), anon.start(), anon.log().  What another Orthanc calls
its DICOMweb address is anon.web.
"""
import base64
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

SERVER = shutil.which("Orthanc") or "/usr/sbin/Orthanc"
DICOMWEB = "/usr/share/orthanc/plugins/libOrthancDicomWeb.so"
START_S = 60


def free_ports(n):
    held = [socket.socket() for _ in range(n)]
    for s in held:
        s.bind(("127.0.0.1", 0))
    ports = [s.getsockname()[1] for s in held]
    for s in held:
        s.close()
    return ports


class Orthanc:
    def __init__(self, name, user="pixl", password="pixl password", plugins=(DICOMWEB,), **more):
        self.name, self.user, self.password = name, user, password
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix=f"pixl-orthanc-{name}-"))
        self.port, dicom = free_ports(2)
        self.process = None
        self.configuration = {
            "Name": name, "StorageDirectory": f"{self.folder}/storage", "IndexDirectory": f"{self.folder}/index", "HttpPort": self.port,
            "HttpBindAddresses": ["127.0.0.1"], "DicomServerEnabled": False, "DicomPort": dicom, "RemoteAccessAllowed": False,
            "AuthenticationEnabled": True, "RegisteredUsers": {user: password}, "SaveJobs": False, "TcpNoDelay": True, "KeepAlive": True,
            "StableAge": 1, "ConcurrentJobs": 4, "HttpDescribeErrors": True, "OverwriteInstances": True, "Plugins": list(plugins),
            "DicomWeb": {"Enable": True, "Root": "/dicom-web/", "EnableWado": False, "Ssl": False}, **more}

    url = property(lambda self: f"http://127.0.0.1:{self.port}")
    web = property(lambda self: f"http://127.0.0.1:{self.port}/dicom-web")

    def start(self):
        (self.folder / "orthanc.json").write_text(json.dumps(self.configuration))
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen([SERVER, f"{self.folder}/orthanc.json"], cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, start_new_session=True, env={**os.environ, "TCP_NODELAY": "1"})
        end = time.monotonic() + START_S
        while True:
            try:
                self.get("/system")
                return self
            except (OSError, urllib.error.URLError):
                if self.process.poll() is not None or time.monotonic() > end:
                    raise RuntimeError("Orthanc does not start:\n" + self.log()[-2000:]) from None
                time.sleep(0.02)

    def end(self, number=signal.SIGTERM):
        """Waits for the process: it lets go of its database last."""
        if self.process is not None:
            self.process.send_signal(number)
            self.process.wait(60)
            self.process = None

    def log(self):
        return (self.folder / "log").read_text(errors="replace")

    def ask(self, method, path, body=None, headers=()):
        login = base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
        q = urllib.request.Request(self.url + path, data=body, method=method, headers={"Authorization": f"Basic {login}", **dict(headers)})
        with urllib.request.urlopen(q, timeout=60) as r:
            return r.read()

    def get(self, path):
        return json.loads(self.ask("GET", path) or b"null")

    def post(self, path, value):
        return json.loads(self.ask("POST", path, json.dumps(value).encode()) or b"null")

    def instances(self):
        """SOP UID of all that is there -> the file's bytes."""
        return {i["MainDicomTags"]["SOPInstanceUID"]: self.ask("GET", f"/instances/{i['ID']}/file") for i in self.get("/instances?expand")}

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *_):
        self.end(signal.SIGKILL)
        shutil.rmtree(self.folder, ignore_errors=True)
