"""Cables to servers, which a test can cut and stall: tcp_proxy.h for Python.

    with Cables([(("127.0.0.1", 0), ("127.0.0.1", 5672)), (("127.0.0.1", 0), "/tmp/pg/sock/.s.PGSQL.5432")]) as cables:
        cables.ports                         # where to connect to, in the same order
        cables.cut()                         # closes every connection; new ones are let through
        cables.stall(); cables.go_on()       # nothing goes through meanwhile, and nothing is closed
"""
import socket
import threading


class Cables:
    def __init__(self, pairs):
        self.pairs, self.listeners, self.ends, self.lock = pairs, [], set(), threading.Lock()
        self.flows = threading.Event()
        self.flows.set()

    def __enter__(self):
        for at, target in self.pairs:
            listener = socket.create_server(at, backlog=64)
            self.listeners.append(listener)
            threading.Thread(target=self.accept, args=(listener, target), daemon=True).start()
        self.ports = [listener.getsockname()[1] for listener in self.listeners]
        return self

    def accept(self, listener, target):
        while True:
            try:
                client = listener.accept()[0]
            except OSError:                                       # closed: it is over
                return
            threading.Thread(target=self.connect, args=(client, target), daemon=True).start()

    def connect(self, client, target):
        self.flows.wait()
        server = socket.socket(socket.AF_UNIX if isinstance(target, str) else socket.AF_INET)
        try:
            server.connect(target)
        except OSError:
            client.close()
            server.close()
            return
        with self.lock:
            self.ends |= {client, server}
        back = threading.Thread(target=self.pump, args=(server, client), daemon=True)
        back.start()
        self.pump(client, server)
        back.join()
        with self.lock:
            self.ends -= {client, server}
        client.close()
        server.close()

    def pump(self, a, b):
        try:
            while data := a.recv(65536):
                self.flows.wait()
                b.sendall(data)
            b.shutdown(socket.SHUT_WR)
        except OSError:                                           # one end is gone: so is the other
            for s in (a, b):
                try:
                    s.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def cut(self):
        with self.lock:
            for s in self.ends:
                try:
                    s.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
            return len(self.ends) // 2

    def stall(self):
        self.flows.clear()

    def go_on(self):
        self.flows.set()

    def __exit__(self, *_):
        for listener in self.listeners:
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        self.go_on()
        self.cut()
