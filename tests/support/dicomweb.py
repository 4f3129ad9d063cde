"""Orthancs for the tests of the dicomweb destination, on free loopback ports and in folders of their own; nothing of them is left after stop().

`with Orthanc("anon") as anon:`, then anon.url, anon.get("/studies"), anon.stop(), anon.start(), anon.log().  What another Orthanc calls
its DICOMweb address is anon.web.
"""
import json
import pathlib
import shutil
import signal
import tempfile

from servers import Rest, free_ports, spawn, wait_for_port

SERVER = shutil.which("Orthanc") or "/usr/sbin/Orthanc"
DICOMWEB = "/usr/share/orthanc/plugins/libOrthancDicomWeb.so"
START_S = 60


class Orthanc(Rest):
    def __init__(self, name, user="pixl", password="pixl password", plugins=(DICOMWEB,), options=(), **more):
        self.name, self.user, self.password = name, user, password
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix=f"pixl-orthanc-{name}-"))
        self.port, dicom = free_ports(2)
        self.process, self.options = None, options
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
        self.process = spawn([SERVER, *self.options, f"{self.folder}/orthanc.json"], self.folder / "log", env={"TCP_NODELAY": "1"}, cwd=self.folder,
                             start_new_session=True)
        wait_for_port(self.port, self.process, self.folder / "log", START_S)
        return self

    def end(self, number=signal.SIGTERM):
        """Waits for the process: it lets go of its database last."""
        if self.process is not None:
            self.process.send_signal(number)
            self.process.wait(60)
            self.process = None

    def log(self):
        return (self.folder / "log").read_text(errors="replace")

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
