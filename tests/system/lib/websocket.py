"""A WebSocket client (RFC 6455), small enough to break the rules on purpose."""

import base64
import hashlib
import os
import struct

from .web import Closed, Connection

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
_MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Refused(Exception):
    """The handshake was answered by something other than 101; .response is that."""

    def __init__(self, response):
        super().__init__(repr(response))
        self.response = response


class WebSocket:
    """An open socket. read() answers Pings by itself; what it returns are the messages, joined."""

    def __init__(self, port, path="/api/sync", headers=(), timeout_s=30):
        self.connection = Connection(port, timeout_s=timeout_s)
        self.pings = 0
        self.close_code = None  # of the close frame that came: 1005 if it has none, 1006 if none came
        self.close_reason = ""
        key = base64.b64encode(os.urandom(16))
        self.connection.send_request("GET", path, [
            ("Host", "127.0.0.1:%d" % port), ("Upgrade", "websocket"), ("Connection", "Upgrade"),
            ("Sec-WebSocket-Key", key.decode()), ("Sec-WebSocket-Version", "13"), *headers])
        self.response = self.connection.read_head()
        if self.response.status != 101:
            response = self.connection.read_body(self.response)
            self.connection.close()
            raise Refused(response)
        wanted = base64.b64encode(hashlib.sha1(key + _MAGIC).digest()).decode()
        assert self.response.header("Sec-WebSocket-Accept") == wanted, "a wrong Sec-WebSocket-Accept"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.connection.close()

    def send_frame(self, opcode, payload=b"", final=True):
        mask = os.urandom(4)
        size = len(payload)
        head = bytes([(0x80 if final else 0) | opcode])
        if size < 126:
            head += bytes([0x80 | size])
        elif size < 65536:
            head += struct.pack(">BH", 0x80 | 126, size)
        else:
            head += struct.pack(">BQ", 0x80 | 127, size)
        repeated = (mask * (size // 4 + 1))[:size]
        masked = int.from_bytes(payload, "big") ^ int.from_bytes(repeated, "big")
        self.connection.send(head + mask + masked.to_bytes(size, "big"))

    def send(self, message):
        """Text for a str, binary for bytes."""
        if isinstance(message, str):
            self.send_frame(TEXT, message.encode())
        else:
            self.send_frame(BINARY, message)

    def read_frame(self):
        """(final, opcode, payload)"""
        first, second = self.connection.read_exactly(2)
        assert not second & 0x80, "a masked frame from a server"
        size = second & 0x7f
        if size == 126:
            size, = struct.unpack(">H", self.connection.read_exactly(2))
        elif size == 127:
            size, = struct.unpack(">Q", self.connection.read_exactly(8))
        return bool(first & 0x80), first & 0x0f, self.connection.read_exactly(size)

    def _note_close(self, payload):
        self.close_code = struct.unpack(">H", payload[:2])[0] if len(payload) >= 2 else 1005
        self.close_reason = payload[2:].decode("utf-8", "replace")

    def read(self):
        """The next message, str or bytes; None once the socket is closed, see close_code."""
        message, kind = b"", None
        while True:
            try:
                final, opcode, payload = self.read_frame()
            except (Closed, ConnectionResetError):
                if self.close_code is None:
                    self.close_code = 1006
                return None
            if opcode == CLOSE:
                self._note_close(payload)
                return None
            if opcode == PING:
                self.pings += 1
                self.send_frame(PONG, payload)
            elif opcode != PONG:
                kind = opcode or kind
                message += payload
                if final:
                    return message.decode() if kind == TEXT else message

    def ask(self, message):
        self.send(message)
        return self.read()

    def close(self, code=1000, reason=""):
        """The whole handshake; the code that came back."""
        self.send_frame(CLOSE, struct.pack(">H", code) + reason.encode())
        while self.close_code is None:
            self.read()
        return self.close_code
