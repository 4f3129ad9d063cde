"""Cables to servers of this machine, which a test can cut and stall: tcp_proxy.h for Python.

    with Cable(5672) as cable:               # to a port, or to "/tmp/pg/sock/.s.PGSQL.5432"
        cable.port                           # where to connect to
        cable.cut()                          # closes every connection; new ones are let through
        cable.stall(); cable.go_on()         # nothing goes through meanwhile, and nothing is closed
    Cable(2121, 2122, host="127.0.0.2")      # to several, from the same ports of another address
    Cable(8042, tls=CONTEXT)                 # a TLS server before it: certificates.server_context()
    Cable(4242, bytes_per_s=1_000_000)       # each connection at no more than this rate, either way
    Cable(8042, stall_at=rb"GET /x ", n=3)   # the third request that begins so stalls it; cable.stalled is set then
"""
import contextlib
import itertools
import math
import re
import socket
import threading
import time


def start(function, *args):
    thread = threading.Thread(target=function, args=args, daemon=True)
    thread.start()
    return thread


def shut(*sockets):
    for s in sockets:
        with contextlib.suppress(OSError):
            s.shutdown(socket.SHUT_RDWR)


class Cable:
    def __init__(self, *targets, host=None, tls=None, bytes_per_s=math.inf, stall_at=None, n=1):
        self.tls, self.bytes_per_s, self.stall_at, self.n = tls, bytes_per_s, stall_at, n
        self.requests, self.ends, self.lock = itertools.count(1), set(), threading.Lock()
        self.flows, self.stalled = threading.Event(), threading.Event()
        self.flows.set()
        self.listeners = [socket.create_server((host, t) if host else ("127.0.0.1", 0), backlog=64) for t in targets]
        self.port = self.listeners[0].getsockname()[1]
        for listener, target in zip(self.listeners, targets):
            start(self.accept, listener, target)

    def accept(self, listener, target):
        with contextlib.suppress(OSError):                        # closed: it is over
            while True:
                start(self.connect, listener.accept()[0], target)

    def connect(self, client, target):
        self.flows.wait()
        is_port = isinstance(target, int)
        with (contextlib.suppress(OSError), self.tls.wrap_socket(client, server_side=True) if self.tls else client as near,
              socket.socket(socket.AF_INET if is_port else socket.AF_UNIX) as far):
            far.connect(("127.0.0.1", target) if is_port else target)
            with self.lock:
                self.ends |= {near, far}
            back = start(self.pump, far, near)
            self.pump(near, far)
            back.join()
            with self.lock:
                self.ends -= {near, far}

    def pump(self, a, b):
        try:
            while data := a.recv(65536):
                if self.stall_at and re.match(self.stall_at, data) and next(self.requests) == self.n:
                    self.stall()
                self.flows.wait()
                b.sendall(data)
                time.sleep(len(data) / self.bytes_per_s)
            b.shutdown(socket.SHUT_RDWR if self.tls else socket.SHUT_WR)     # TLS has no half-closed connections
        except OSError:                                           # one end is gone: so is the other
            shut(a, b)

    def cut(self):
        with self.lock:
            shut(*self.ends)
            return len(self.ends) // 2

    def stall(self):
        self.flows.clear()
        self.stalled.set()

    def go_on(self):
        self.stalled.clear()
        self.flows.set()

    def end(self):
        shut(*self.listeners)
        for listener in self.listeners:
            listener.close()
        self.go_on()
        self.cut()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()
