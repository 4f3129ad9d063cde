#!/usr/bin/python3
"""An HTTP server that misbehaves as it is told to, for tests of what speaks to one.

As a program: prints "ready HTTP HTTPS ELSEWHERE EXPIRED FOLDER" (ports on 127.0.0.1; the last three speak TLS with the certificates
server, elsewhere and expired of certificates.py, which lie in FOLDER), and serves until its standard input ends.

What a path does (a query is ignored but where it is named):
    /echo               the request as it came, as text
    /count              how many connections there were so far, this one included
    /seen/NAME          how many requests for /drop/NAME, /close/NAME and /idle/NAME there were
    /status/N?H=V&...   status N with headers H: V (percent-encoded) and a body that names a patient
    /dated/N/           404 with a header Date of N seconds from now
    /bytes/N            N bytes, with a length;  /chunked/N in chunks;  /to-the-end/N until the connection closes
    /cut/N              as /bytes/N, but the connection closes after half of it;  /cut-chunk/N in chunks
    /never              no answer;  /drip a byte now and then, for ever
    /drop/NAME          closes the connection without an answer
    /idle/NAME          an answer, and then closes the connection when the next request was read
    /say/NAME/...       what stands in FOLDER/../say/NAME/FILE: a line with the status, then the body; FILE is METHOD and path with
                        '_' for '/', of a JSON body with "Level" and '_' and that; 404 where there is none
    /garbage            no HTTP;  /headers/N a header of N bytes, again and again;  /interim 103 before the answer
"""
import email.utils
import json
import pathlib
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time
import urllib.parse

import certificates

lock = threading.Lock()
connections = 0
seen = {}
say = pathlib.Path("/")


def pattern(n):
    return bytes(i % 251 for i in range(251)) * (n // 251) + bytes(range(n % 251))


def answer(body, status=200, headers=()):
    lines = [f"HTTP/1.1 {status} Said by the server", f"Content-Length: {len(body)}", *(f"{k}: {v}" for k, v in headers)]
    return "\r\n".join([*lines, "", ""]).encode() + body


def chunks(data):
    return b"".join(b"%x\r\n%s\r\n" % (len(data[i:i + 1000]), data[i:i + 1000]) for i in range(0, len(data), 1000))


def read_request(f):
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        line = f.readline()
        if not line:
            return None
        head += line
    length = next((int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0)
    return head, f.read(length)


def note(what):
    with lock:
        seen[what] = seen.get(what, 0) + 1


def said(method, arg, body):
    name, _, rest = arg.partition("/")
    file = f"{method}_{rest.replace('/', '_')}"
    try:
        file += "_" + json.loads(body)["Level"]
    except (ValueError, KeyError, TypeError):
        pass
    try:
        status, _, text = (say / name / file).read_bytes().partition(b"\n")
    except OSError:
        return answer(b"Patient Doe^Jane", 404)
    return answer(text, int(status))


def serve(sock, send):
    """Requests of one connection, until one of them ends it."""
    with sock.makefile("rb") as f:
        idle = None
        while (request := read_request(f)) is not None:
            head, body = request
            path, _, query = head.split(b" ")[1].decode().partition("?")
            what, _, arg = path[1:].partition("/")
            if idle is not None:
                note(idle)
                return
            if what == "echo":
                send(answer(head + body, headers=[("Content-Type", "text/x-echo; charset=utf-8")]))
            elif what == "count":
                send(answer(str(connections).encode()))
            elif what == "seen":
                send(answer(str(seen.get(arg, 0)).encode()))
            elif what == "status":
                send(answer(b"Patient Doe^Jane", int(arg), urllib.parse.parse_qsl(query)))
            elif what == "dated":
                then = email.utils.formatdate(time.time() + int(arg.strip("/")), usegmt=True)
                send(answer(b"Patient Doe^Jane", 404, [("Date", then)]))
            elif what == "bytes":
                send(answer(pattern(int(arg))))
            elif what == "chunked":
                send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks(pattern(int(arg))) + b"0\r\n\r\n")
            elif what == "to-the-end":
                send(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + pattern(int(arg)))
                return
            elif what == "cut":
                whole = answer(pattern(int(arg)))
                send(whole[:len(whole) - int(arg) // 2])
                return
            elif what == "cut-chunk":
                send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks(pattern(int(arg))))
                return
            elif what == "never":
                f.read(1)
                return
            elif what == "drip":
                send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
                while True:
                    send(b"x")
                    time.sleep(0.02)
            elif what == "drop":
                note(arg)
                return
            elif what == "idle":
                send(answer(b"now"))
                idle = arg
            elif what == "say":
                send(said(head.split(b" ")[0].decode(), arg, body))
            elif what == "garbage":
                send(b"SSH-2.0-OpenSSH_9.2 Doe^Jane\r\n")
                return
            elif what == "headers":
                send(b"HTTP/1.1 200 OK\r\n")
                while True:
                    send(b"X: " + b"y" * int(arg) + b"\r\n")
            elif what == "interim":
                send(b"HTTP/1.1 103 Early\r\nRetry-After: 5\r\nContent-Type: early\r\n\r\n" + answer(b"late"))


def connection(sock, context):
    try:
        if context is not None:
            sock = context.wrap_socket(sock, server_side=True)
        with sock:
            serve(sock, sock.sendall)
            if context is not None:
                sock.unwrap()
    except OSError:
        pass
    finally:
        sock.close()


def listen(context):
    s = socket.create_server(("127.0.0.1", 0), backlog=64)

    def accept():
        global connections
        while True:
            sock, _ = s.accept()
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with lock:
                connections += 1
            threading.Thread(target=connection, args=(sock, context), daemon=True).start()
    threading.Thread(target=accept, daemon=True).start()
    return s.getsockname()[1]


def main():
    global say

    def end(*_):
        sys.exit(1)
    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, signal.SIG_IGN)        # who started this one ends it, by closing its standard input
    folder = pathlib.Path(tempfile.mkdtemp(prefix="pixl-http-"))
    try:
        certificates.make(folder / "certs")
        say = folder / "say"
        say.mkdir()
        ports = [listen(None)]
        for name in ("server", "elsewhere", "expired"):
            ports.append(listen(certificates.server_context(folder / "certs", name)))
        print("ready", *ports, folder / "certs", flush=True)
        sys.stdin.read()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
