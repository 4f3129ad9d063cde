#!/usr/bin/python3
"""What upload/anon.c asks of an Orthanc with the DICOMweb plugin, and the DICOMweb server behind it, in one process and without DICOM: an
instance is its SOP UID as text.  For answers that a real Orthanc gives too rarely (system/test_dicomweb.py has the real ones).

Prints "ready PORT", then obeys lines on its standard input, "NUMBER COMMAND", each answered with "NUMBER ANSWER":
    reset                 nothing is there, nothing is odd
    odd WHERE KIND        WHERE: register query store stow job lookup direct; KIND: html empty number list object cut deep, or a status;
                          500 says that the storage is full
    store WORD            what /instances says: Success, AlreadyStored (until it was deleted), FilteredOut
    job WORD              Success, Failure, Running, gone
    far UID...            the server has these, as from before
    page N                instances on a page of a query
    whole                 queries are answered whole, whatever was asked
    absent STATUS         how a study without instances is answered: 200, 204, 404
    late N                so many queries after a transfer list nothing new
    has                   the UIDs that the server has, sorted
    anon                  how many instances the Orthanc has
    seen WORD             requests so far that begin with it
"""
import base64
import http.server
import json
import signal
import sys
import threading

STUDY, ANON, FAR = "2.25.1", ("pixl", "CANARYANON"), ("far", "CANARYFAR")
BODIES = {"html": b"<html>CANARYTEXT</html>", "empty": b"", "number": b"17", "list": b'[{"ID":"../CANARY"},7,null]', "object": b'{"ID":"../CANARY"}',
          "cut": b'{"ID":"aa', "deep": b"[" * 50 + b"]" * 50}


class State:
    def __init__(self):
        self.lock = threading.Lock()
        self.reset()

    def reset(self):
        self.odd, self.anon, self.deleted, self.far, self.seen, self.servers = {}, {}, set(), [], [], {}
        self.word, self.job, self.page, self.whole, self.absent, self.late, self.pending = "Success", "Success", 10000, False, 200, 0, []

    def do(self, command):
        word, *args = command.split()
        if word == "reset":
            self.reset()
        elif word == "odd":
            self.odd[args[0]] = args[1]
        elif word == "store":
            self.word = args[0]
        elif word == "job":
            self.job = args[0]
        elif word == "far":
            self.far = args
        elif word in ("page", "absent", "late"):
            setattr(self, word, int(args[0]))
        elif word == "whole":
            self.whole = True
        elif word == "has":
            return " ".join(sorted(self.far)) or "-"
        elif word == "anon":
            return str(len(self.anon))
        elif word == "seen":
            return str(sum(s.startswith(" ".join(args)) for s in self.seen))
        else:
            raise ValueError(word)
        return "ok"


state = State()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version, disable_nagle_algorithm = "HTTP/1.1", True

    def log_message(self, *_):
        pass

    def say(self, status, value=None, raw=None):
        data = raw if raw is not None else json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def is_odd(self, where):
        kind = state.odd.get(where)
        if kind is None:
            return False
        self.say(int(kind) if kind.isdigit() else 200, raw=b'{"OrthancStatus":11}' if kind == "500" else BODIES.get(kind, b"CANARYTEXT"))
        return True

    def query(self, uri, arguments):
        if uri == "/studies":
            return self.say(200, [])
        if state.late > 0 and state.pending:
            state.late -= 1
        else:
            state.far += state.pending
            state.pending = []
        known = sorted(set(state.far))
        if not known and state.absent != 200:
            return self.say(state.absent, raw=b"")
        offset = 0 if state.whole else int(arguments["offset"])
        limit = len(known) if state.whole else min(state.page, int(arguments["limit"]))
        return self.say(200, [{"00080018": {"vr": "UI", "Value": [u]}, "00100010": {"vr": "PN"}} for u in known[offset:offset + limit]])

    def handle_request(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        with state.lock:
            state.seen.append(f"{self.command} {self.path}")
            user = FAR if self.path.startswith("/far/") else ANON
            if self.headers.get("Authorization") != "Basic " + base64.b64encode(":".join(user).encode()).decode():
                return self.say(401, raw=b"CANARYTEXT")
            return self.dispatch(self.command, self.path.split("?")[0].strip("/").split("/"), body)

    do_GET = do_PUT = do_POST = do_DELETE = handle_request

    def dispatch(self, method, path, body):
        if path[0] == "far":
            return self.is_odd("direct") or self.say(200, [])
        if path[:2] == ["dicom-web", "servers"] and method == "PUT":
            state.servers[path[2]] = json.loads(body)
            return self.is_odd("register") or self.say(200, {})
        if path[:2] == ["dicom-web", "servers"] and path[3] == "get":
            asked = json.loads(body)
            return self.is_odd("query") or self.query(asked["Uri"], asked["Arguments"])
        if path[:2] == ["dicom-web", "servers"] and path[3] == "stow":
            assert json.loads(body)["Synchronous"] is False
            if self.is_odd("stow"):
                return None
            if state.job == "Success":
                state.pending += [state.anon[i] for i in json.loads(body)["Resources"]]
            return self.say(200, {"ID": "0b-1", "Path": "../"})
        if path == ["instances"]:
            return self.is_odd("store") or self.store(body.decode())
        if path[0] == "instances":
            state.deleted.add(path[1])
            return self.say(200, {})
        if path[0] == "jobs" and len(path) == 2:
            if self.is_odd("job"):
                return None
            if state.job == "gone":
                return self.say(404, {})
            return self.say(200, {"State": state.job, "ErrorCode": 1, "Content": {"FunctionErrorCode": 29}})
        if path == ["tools", "lookup"]:
            found = [{"ID": "0c", "Type": "Study"}, {"ID": "0d", "Type": "Series"}] if body.decode() == STUDY and state.anon else []
            return self.is_odd("lookup") or self.say(200, found)
        if path[0] == "studies" and method == "DELETE":
            state.anon = {}
            return self.say(200, {})
        if path == ["studies", "0c"]:
            return self.say(200 if state.anon else 404, {"ID": "0c", "IsStable": True, "MainDicomTags": {"StudyInstanceUID": STUDY}})
        if path == ["studies", "0c", "series"]:
            return self.say(200, [{"ID": "0d", "MainDicomTags": {"SeriesInstanceUID": STUDY + ".1"}}])
        if path == ["series", "0d", "instances"]:
            return self.say(200, [{"ID": i, "MainDicomTags": {"SOPInstanceUID": uid}} for i, uid in state.anon.items()])
        return self.say(200, {})

    def store(self, uid):
        ident = uid.encode().hex()
        word = "Success" if state.word == "AlreadyStored" and ident in state.deleted else state.word
        if word == "Success":
            state.anon[ident] = uid
        return self.say(200, {"ID": ident, "Status": word, "ParentStudy": "0c"})


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print("ready", server.server_address[1], flush=True)
    for line in sys.stdin:
        number, _, command = line.rstrip("\n").partition(" ")
        try:
            with state.lock:
                answer = state.do(command)
        except Exception as e:
            print(f"anon_stand_in: {command}: {e}", file=sys.stderr, flush=True)
            answer = "failed"
        print(number, answer, flush=True)


if __name__ == "__main__":
    main()
