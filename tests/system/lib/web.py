"""HTTP/1.1 over plain sockets: nothing is added to a request that the test didn't write, and nothing that comes
back is tidied up."""

import json
import socket


class Closed(OSError):
    """The peer closed before it had said everything."""


class Response:
    def __init__(self, status, reason, headers):
        self.status, self.reason = status, reason
        self.headers = headers  # (name, value) in their order
        self.body = b""

    def header(self, name):
        """The first of that name, or None."""
        for known, value in self.headers:
            if known.lower() == name.lower():
                return value
        return None

    def all(self, name):
        return [value for known, value in self.headers if known.lower() == name.lower()]

    @property
    def text(self):
        return self.body.decode("utf-8", "replace")

    @property
    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return "<%d %s, %d bytes: %r>" % (self.status, self.reason, len(self.body), self.body[:80])


class Connection:
    """One connection; keep it for several requests, or close it where the test wants it closed."""

    def __init__(self, port, host="127.0.0.1", timeout_s=30):
        self.port = port
        self.socket = socket.create_connection((host, port), timeout=timeout_s)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._ready = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data.encode() if isinstance(data, str) else data)

    def send_request(self, method, target, headers=(), body=None):
        """The head, with Host and Content-Length unless given, and the body. body may be an iterable of pieces: sent in
        chunks."""
        headers = list(headers.items() if isinstance(headers, dict) else headers)
        names = {name.lower() for name, _ in headers}
        if isinstance(body, str):
            body = body.encode()
        if "host" not in names:
            headers.insert(0, ("Host", "127.0.0.1:%d" % self.port))
        if body is not None and not names & {"content-length", "transfer-encoding"}:
            whole = isinstance(body, bytes)
            headers.append(("Content-Length", len(body)) if whole else ("Transfer-Encoding", "chunked"))
        self.send("%s %s HTTP/1.1\r\n%s\r\n" % (method, target, "".join("%s: %s\r\n" % pair for pair in headers)))
        if isinstance(body, bytes):
            self.send(body)
        elif body is not None:
            for piece in body:
                self.send_chunk(piece)
            self.send(b"0\r\n\r\n")

    def send_chunk(self, piece):
        if piece:
            self.send(b"%x\r\n%s\r\n" % (len(piece), piece))

    def read_some(self):
        """What is there, at least a byte; b"" at the end."""
        if self._ready:
            ready, self._ready = self._ready, b""
            return ready
        return self.socket.recv(65536)

    def read_exactly(self, size):
        pieces = []
        while size > 0:
            piece = self.read_some()
            if not piece:
                raise Closed("%d bytes are missing" % size)
            pieces.append(piece[:size])
            self._ready = piece[size:]
            size -= len(pieces[-1])
        return b"".join(pieces)

    def read_until(self, end, at_most=1 << 20):
        """Up to and with `end`."""
        found = b""
        while end not in found:
            piece = self.read_some()
            if not piece or len(found) > at_most:
                raise Closed("ended after %r" % found[:200])
            found += piece
        at = found.index(end) + len(end)
        self._ready = found[at:] + self._ready
        return found[:at]

    def read_rest(self):
        """Everything until the peer closes."""
        return b"".join(iter(self.read_some, b""))

    def is_closed_by_peer(self):
        """Waits for the end; False if there is anything else."""
        try:
            return self.read_some() == b""
        except ConnectionResetError:
            return True

    def read_head(self):
        lines = self.read_until(b"\r\n\r\n").decode("latin-1").split("\r\n")[:-2]
        _version, status, reason = (lines[0] + " ").split(" ", 2)
        return Response(int(status), reason.strip(), [tuple(line.split(": ", 1)) if ": " in line else (line.rstrip(":"), "")
                                                      for line in lines[1:]])

    def read_chunk(self):
        """One chunk of a chunked body; b"" is the last."""
        size = int(self.read_until(b"\r\n").split(b";")[0], 16)
        piece = self.read_exactly(size)
        if size == 0:
            while self.read_until(b"\r\n") != b"\r\n":
                pass
        else:
            assert self.read_exactly(2) == b"\r\n", "a chunk longer than its size"
        return piece

    def read_body(self, response, to_head=False):
        length = response.header("Content-Length")
        if to_head or response.status in (204, 304) or response.status < 200:
            response.body = b""
        elif (response.header("Transfer-Encoding") or "").lower() == "chunked":
            response.body = b"".join(iter(self.read_chunk, b""))
        elif length is not None:
            response.body = self.read_exactly(int(length))
        else:
            response.body = self.read_rest()
        return response

    def read_response(self, to_head=False):
        return self.read_body(self.read_head(), to_head)

    def request(self, method, target, headers=(), body=None):
        self.send_request(method, target, headers, body)
        return self.read_response(to_head=method == "HEAD")


def fetch(port, method, target, headers=(), body=None, timeout_s=30):
    """One request on a connection of its own."""
    with Connection(port, timeout_s=timeout_s) as connection:
        return connection.request(method, target, headers, body)
