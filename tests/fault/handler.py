"""One connection to fault_s3.py: what is asked, which fault hits it, and how that one answers."""

import http.client
import http.server
import json
import os
import socket
import struct
import time
import urllib.parse

from checks import check_signature
from control import obey
from sigv4 import encode
from state import BUCKET, STATE, Refusal, Reset
from storage import carry_out, error_document


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *arguments):
        pass

    def setup(self):
        super().setup()
        self.dies_idle = False
        with STATE.lock:
            STATE.connections += 1
            self.number = STATE.connections

    def reset(self):
        """An RST instead of a FIN."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        # Below TLS: only the socket itself can be reset.
        os.close(self.connection.detach())

    def handle_any(self):
        if self.dies_idle:
            raise Reset
        if self.path.startswith("/_control/"):
            self.control()
        else:
            self.serve()

    do_GET = do_PUT = do_HEAD = do_DELETE = do_POST = handle_any

    def handle(self):
        try:
            super().handle()
        except Reset:
            self.reset()
        except OSError:
            self.close_connection = True

    def finish(self):
        try:
            super().finish()
        except (OSError, ValueError):
            pass

    # The S3 side.

    def read_request(self):
        length = int(self.headers.get("Content-Length") or 0)
        if self.headers.get("Transfer-Encoding"):
            raise Refusal(411, "MissingContentLength", "You must provide the Content-Length HTTP header.")
        return length

    def classify(self):
        path, _, query = self.path.partition("?")
        is_in_host = self.headers.get("Host", "").startswith(BUCKET + ".")
        root = STATE.base_path if is_in_host else f"{STATE.base_path}/{BUCKET}"
        raw = path[len(root) :] if path == root or path.startswith(root + "/") else None
        if raw is None:
            return "none", "", query
        key = urllib.parse.unquote(raw[1:])
        if raw in ("", "/"):
            prefix = dict(part.partition("=")[::2] for part in query.split("&")).get("prefix", "")
            return "list", urllib.parse.unquote(prefix), query
        if self.command == "PUT":
            return "create" if self.headers.get("If-None-Match") is not None else "put", key, query
        return {"GET": "get", "HEAD": "stat", "DELETE": "delete"}.get(self.command, "none"), key, query

    def serve(self):
        operation, key, query = self.classify()
        entry = {"operation": operation, "key": key, "begun": time.monotonic(), "ended": None, "status": None}
        entry |= {"connection": self.number, "fault": None, "sent": 0, "received": 0}
        with STATE.lock:
            fault = STATE.choose_fault(operation, key) or {}
            fault = fault | {"mark": STATE.released}
            entry["fault"] = fault.get("kind")
            STATE.log.append(entry)
            STATE.lock.notify_all()
        try:
            self.serve_with(operation, key, query, fault, entry)
        finally:
            with STATE.lock:
                entry["ended"] = time.monotonic()
                STATE.lock.notify_all()

    def wait_as_told(self, fault):
        time.sleep(STATE.settings["delay_ms"] / 1000)
        if fault.get("kind") == "delay":
            time.sleep(fault["delay_ms"] / 1000)
        if fault.get("kind") == "hold":
            with STATE.lock:
                STATE.lock.wait_for(lambda: STATE.released > fault["mark"])

    def serve_with(self, operation, key, query, fault, entry):
        kind = fault.get("kind")
        self.wait_as_told(fault)
        if kind == "reset_before":
            raise Reset
        try:
            length = self.read_request()
            if kind == "reset_during" and length:
                self.rfile.read(length // 2)
                raise Reset
            body = self.rfile.read(length)
            entry["received"] = len(body)
            if operation == "none":
                raise Refusal(404, "NoSuchBucket", "The specified bucket does not exist")
            if kind == "status" and not fault.get("after"):
                raise Refusal(fault["status"], fault.get("code", ""), fault.get("message", ""), fault.get("headers"))
            headers = {name.lower(): value for name, value in self.headers.items()}
            path = self.path.partition("?")[0]
            if encode(urllib.parse.unquote(path, errors="strict"), True) != path:
                raise Refusal(400, "InvalidURI", "the path is not in canonical form")
            check_signature(self.command, self.path, headers, body)
            status, extra, answer = carry_out(operation, key, query, headers, body)
            if kind == "status":
                raise Refusal(fault["status"], fault.get("code", ""), fault.get("message", ""), fault.get("headers"))
        except Refusal as refusal:
            status, extra, answer = refusal.status, dict(refusal.headers), error_document(refusal, key)
            if kind == "status" and "body" in fault:
                answer = fault["body"].encode()
            elif not refusal.code:
                answer = b""
        except UnicodeDecodeError:
            status, extra, answer = 400, {}, b""
        self.answer(status, extra, answer, fault, entry)

    def head_lines(self, status, headers):
        reason = http.client.responses.get(status, "Status")
        lines = [f"HTTP/1.1 {status} {reason}", "Server: fault_s3"]
        if not STATE.settings["no_date"]:
            lines.append("Date: " + self.date_time_string(STATE.now()))
        lines += [f"{name}: {value}" for name, value in headers.items()]
        return ("\r\n".join(lines) + "\r\n\r\n").encode()

    def answer(self, status, headers, body, fault, entry):
        kind = fault.get("kind")
        if kind == "reset_after":
            raise Reset
        if kind == "not_http":
            self.wfile.write(b"220 mail.example ESMTP\r\n\r\n")
            self.close_connection = True
            return
        if kind == "empty":
            status, body = 200, b""
        if kind == "replace":
            status, body = 200, fault["body"].encode()
        if kind == "partial":
            status, headers = 206, headers | {"Content-Range": f"bytes 0-{len(body) - 1}/{len(body)}"}
        if kind == "flip" and body:
            middle = len(body) // 2
            body = body[:middle] + bytes([body[middle] ^ 4]) + body[middle + 1 :]
        if kind == "truncate_lying":
            body = body[: len(body) // 2]
        if status != 204 and kind not in ("no_length", "chunked"):
            headers = headers | {"Content-Length": len(body)}
        if kind == "chunked":
            headers = headers | {"Transfer-Encoding": "chunked"}
        entry["status"] = status
        self.send(self.head_lines(status, headers), b"" if self.command == "HEAD" else body, fault, entry)

    def send(self, head, body, fault, entry):
        kind = fault.get("kind")
        half = body[: len(body) // 2]
        if kind == "drip":
            self.wfile.write(head)
            for at in range(len(body)):
                self.wfile.write(body[at : at + 1])
                time.sleep(fault.get("interval_ms", 100) / 1000)
        elif kind == "reset_during":
            self.wfile.write(head + half)
            raise Reset
        elif kind == "truncate":
            self.wfile.write(head + half)
            self.close_connection = True
        elif kind == "chunked":
            pieces = [body[at : at + 1000] for at in range(0, len(body), 1000)] + [b""]
            self.wfile.write(head + b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces))
        else:
            self.wfile.write(head + body)
            self.close_connection = self.close_connection or kind == "no_length"
            self.dies_idle = kind == "die_idle"
        entry["sent"] = len(body)

    # The control side.

    def control(self):
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        url = urllib.parse.urlsplit(self.path)
        name = f"{self.command} {url.path[len('/_control/'):]}"
        key = urllib.parse.parse_qs(url.query).get("key", [""])[0]
        with STATE.lock:
            status, answer = obey(name, key, body)
            STATE.lock.notify_all()
        if not isinstance(answer, bytes):
            answer = json.dumps(answer).encode()
        self.wfile.write(self.head_lines(status, {"Content-Length": len(answer)}) + answer)
