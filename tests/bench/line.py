"""Lines between a client and the server: one that delays and counts octets, one that counts commands.

`Delayed` moves octets as they are (TLS included) and lets each arrive half a round trip late; the first of a connection
come one round trip later still, which is what opening a TCP connection costs. There is no limit of bandwidth.
`Counted` ends TLS and counts commands; it is used in a run of its own, so that its work is in no time.
"""

import queue
import re
import socket
import ssl
import threading
import time


class Line:
    """Accepts connections on a port of its own and carries each to the server."""

    def __init__(self, server_port):
        self.server_port = server_port
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.listener.getsockname()[1]
        self.lock = threading.Lock()
        self.reset()
        threading.Thread(target=self._accept, daemon=True).start()

    def reset(self):
        with self.lock:
            self.sent = self.received = self.connections = self.commands = 0

    def close(self):
        self.listener.close()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._carry, args=(client,), daemon=True).start()

    def _carry(self, client):
        with self.lock:
            self.connections += 1
        try:
            client = self.wrap(client)
            server = socket.create_connection(("127.0.0.1", self.server_port))
        except OSError:
            client.close()
            return
        for s in (client, server):
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        opened = time.monotonic()
        ways = [threading.Thread(target=self.pump, args=way, daemon=True)
                for way in ((client, server, True, opened), (server, client, False, opened))]
        for way in ways:
            way.start()
        for way in ways:
            way.join()
        client.close()
        server.close()

    def wrap(self, client):
        return client

    def count(self, outwards, data):
        with self.lock:
            if outwards:
                self.sent += len(data)
            else:
                self.received += len(data)


class Delayed(Line):
    """Octets, late by half a round trip each way."""

    def __init__(self, server_port, rtt):
        self.rtt = rtt
        super().__init__(server_port)

    def pump(self, source, target, outwards, opened):
        late = queue.Queue(maxsize=4096)
        writer = threading.Thread(target=self._deliver, args=(late, target), daemon=True)
        writer.start()
        while True:
            try:
                data = source.recv(1 << 17)
            except OSError:
                data = b""
            due = time.monotonic() + self.rtt / 2
            late.put((max(due, opened + self.rtt * 1.5) if outwards else due, data))
            if not data:
                break
            self.count(outwards, data)
        writer.join()

    def _deliver(self, late, target):
        while True:
            due, data = late.get()
            wait = due - time.monotonic() if self.rtt else 0
            if wait > 0:
                time.sleep(wait)
            try:
                if not data:
                    target.shutdown(socket.SHUT_WR)
                    return
                target.sendall(data)
            except OSError:
                # The other end is gone: take what still comes, until its end.
                while data:
                    data = late.get()[1]
                return


class Counted(Line):
    """Commands: lines of the client that are neither a literal's octets nor the rest of a line that had one."""

    LITERAL = re.compile(rb"\{(\d+)\+?\}\r\n$")

    def __init__(self, server_port, work):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(work / "ca.pem", work / "key.pem")
        super().__init__(server_port)

    def wrap(self, client):
        return self.context.wrap_socket(client, server_side=True)

    def pump(self, source, target, outwards, opened):
        rest, skip, goes_on = b"", 0, False
        while True:
            try:
                data = source.recv(1 << 16)
                if not data:
                    target.shutdown(socket.SHUT_WR)
                    return
                target.sendall(data)
            except OSError:
                return
            self.count(outwards, data)
            if not outwards:
                continue
            rest += data
            while rest:
                if skip:
                    taken = min(skip, len(rest))
                    rest, skip = rest[taken:], skip - taken
                    continue
                line, end, after = rest.partition(b"\n")
                if not end:
                    break
                rest = after
                with self.lock:
                    self.commands += not goes_on
                literal = self.LITERAL.search(line + end)
                goes_on, skip = bool(literal), int(literal[1]) if literal else 0
