#!/usr/bin/env python3
"""An S3 server that is strict about what it is asked and fails as it is told. Python's standard library only.

    fault_s3.py [--port N] [--base-path /some/base] [--tls]

prints one line of JSON when it listens (endpoint, control, bucket, region, access_key_id, secret_access_key, ca_file)
and stops when its standard input ends.

What it serves, with the bucket in the path or in the host: PUT (with If-None-Match: *), GET, HEAD, DELETE of objects, and listings of version 1 with prefix, marker
and max-keys. Every request must carry AWS4-HMAC-SHA256 in headers, over a canonical path and query, with every x-amz-
header and If-None-Match signed, the real hash of the body, and a time within 15 minutes of the server's. The check is
written from the specification, not from our signer.

Control, on the same port, unsigned, JSON in and out; operations are create, put, get, stat, list, delete:

    POST   /_control/faults    add one fault, an object with
                                 operation, key   what it hits ("" or absent: any; key: beginning of the whole key or prefix)
                                 skip, times      so many matching requests pass first; so many are hit then (0: all)
                                 kind             one of those below, with its own fields
    DELETE /_control/faults    forget all, release what is held
    POST   /_control/release   let requests held by a fault go on
    GET    /_control/log       a list: operation, key, begun, ended (monotonic seconds), status (null: none was sent),
                               connection (a number), fault (kind or null), sent, received
    DELETE /_control/log       forget it
    POST   /_control/wait      {"operation","key","count","timeout_s","state": "begun"|"ended"}: answers when so many
                               matching requests are in the log (or 504)
    GET    /_control/objects   {"key": size}
    GET, PUT, DELETE /_control/object?key=K    the bytes of one object, past every rule
    POST   /_control/damage    {"key", "kind": "flip" | "truncate"}
    GET, POST /_control/settings    any of
        delay_ms              before each request is looked at (0)
        clock_offset_s        the server's clock minus the real one (0)
        access_key_id, secret_access_key, session_token (null), region
        ignore_conditions     If-None-Match is ignored (false)
        refuse_conditions     it is answered 501 (false)
        bucket_missing, read_only, no_list_permission (false)
        page_size             keys in a page (1000)
        list_reverse          keys descend (false)
        no_date               answers have no Date (false)
        one_write_per_second  a second write to a key within a second is answered 429, as by R2 (false)
    GET    /_control/failures  why signatures were refused, as text, newest last

Kinds of faults:
    status         status, code, message, headers{}, body; carried out first if "after" is true
    reset_before   the connection is reset before the body is read
    reset_during   … after half of the request's body (a put) or of the answer's
    reset_after    … after the request was carried out, instead of an answer
    truncate       right Content-Length, half of the body
    truncate_lying half of the body, and a Content-Length that says so
    flip           one bit of the answer's body is changed
    drip           one byte of the answer each interval_ms
    delay          delay_ms first
    hold           waits for release
    empty          200 without a body
    replace        the answer's body is "body" (status 200)
    no_length      neither Content-Length nor chunks; the end of the connection ends the body
    chunked        the body in chunks
    partial        206
    not_http       bytes that are no HTTP
    die_idle       answers, then closes the connection without a word when the next request has been sent on it
"""

import argparse
import datetime
import hashlib
import hmac
import http.client
import http.server
import json
import os
import re
import socket
import ssl
import struct
import sys
import threading
import time
import urllib.parse
import xml.sax.saxutils

from sigv4 import canonical_request, encode, parse_query, signature

HERE = os.path.dirname(os.path.abspath(__file__))
BUCKET = "fault-bucket"


class Refusal(Exception):
    """An answer that is an error document."""

    def __init__(self, status, code, message="", headers=None):
        super().__init__(code)
        self.status, self.code, self.message, self.headers = status, code, message, headers or {}


class State:
    def __init__(self):
        self.lock = threading.Condition()
        self.objects, self.written = {}, {}
        self.faults, self.log, self.failures = [], [], []
        self.released, self.connections = 0, 0
        self.settings = {
            "delay_ms": 0,
            "clock_offset_s": 0,
            "access_key_id": "FAULTKEYID",
            "secret_access_key": "fault/secret+with=signs",
            "session_token": None,
            "region": "fault-region-1",
            "ignore_conditions": False,
            "refuse_conditions": False,
            "bucket_missing": False,
            "read_only": False,
            "no_list_permission": False,
            "page_size": 1000,
            "list_reverse": False,
            "no_date": False,
            "one_write_per_second": False,
        }

    def now(self):
        return time.time() + self.settings["clock_offset_s"]

    def choose_fault(self, operation, key):
        """The first fault that hits; called with the lock held."""
        for fault in self.faults:
            if fault.get("operation") not in (None, "", operation) or not key.startswith(fault.get("key") or ""):
                continue
            fault["seen"] = fault.get("seen", 0) + 1
            number = fault["seen"] - 1 - fault.get("skip", 0)
            if number >= 0 and (fault.get("times", 1) == 0 or number < fault.get("times", 1)):
                return fault
        return None

    def count(self, operation, key, state):
        return sum(
            1
            for entry in self.log
            if operation in (None, "", entry["operation"])
            and entry["key"].startswith(key or "")
            and (state != "ended" or entry["ended"] is not None)
        )


STATE = State()
BASE_PATH = ""


def refuse_signature(why, code="SignatureDoesNotMatch"):
    with STATE.lock:
        STATE.failures.append(why)
    raise Refusal(403, code, "The signature is not right: " + why)


def check_time(headers):
    try:
        stamp = datetime.datetime.strptime(headers["x-amz-date"], "%Y%m%dT%H%M%SZ")
    except (KeyError, ValueError):
        refuse_signature("x-amz-date is missing or malformed", "AccessDenied")
    stamp = stamp.replace(tzinfo=datetime.timezone.utc).timestamp()
    if abs(stamp - STATE.now()) > 15 * 60:
        raise Refusal(403, "RequestTimeTooSkewed", "The difference between the request time and the server's is too large.")


def check_credentials(key_id, headers):
    if key_id != STATE.settings["access_key_id"]:
        raise Refusal(403, "InvalidAccessKeyId", f"The key id {key_id} does not exist.")
    if headers.get("x-amz-security-token") != STATE.settings["session_token"]:
        raise Refusal(400, "ExpiredToken", "The provided token has expired.")


def check_signature(method, target, headers, body):
    """headers: lower-case names."""
    match = re.fullmatch(
        r"AWS4-HMAC-SHA256 Credential=([^/,]+)/(\d{8})/([^/,]+)/s3/aws4_request, ?SignedHeaders=([a-z0-9;-]+), ?"
        r"Signature=([0-9a-f]{64})",
        headers.get("authorization", ""),
    )
    if not match:
        refuse_signature("Authorization is not AWS4-HMAC-SHA256", "AccessDenied")
    key_id, day, region, names, given = match.groups()
    check_credentials(key_id, headers)
    if region != STATE.settings["region"]:
        raise Refusal(400, "AuthorizationHeaderMalformed", "wrong region", {"x-amz-bucket-region": STATE.settings["region"]})
    check_time(headers)
    if headers["x-amz-date"][:8] != day:
        refuse_signature("the scope is of another day")
    signed = names.split(";")
    if signed != sorted(signed):
        refuse_signature("the names of the signed headers are not sorted")
    for name in ["host"] + [n for n in headers if n.startswith("x-amz-") or n in ("if-none-match", "range")]:
        if name not in signed:
            refuse_signature(f"{name} is not signed")
    payload = headers.get("x-amz-content-sha256", "")
    if payload != hashlib.sha256(body).hexdigest():
        raise Refusal(400, "XAmzContentSHA256Mismatch", "The body is not the one that was signed.")
    try:
        canonical = canonical_request(method, target, headers, signed, payload)
    except ValueError as error:
        raise Refusal(400, "InvalidURI", str(error)) from None
    ours = signature(STATE.settings["secret_access_key"], headers["x-amz-date"], region, "s3", canonical)
    if not hmac.compare_digest(ours, given):
        refuse_signature("the signatures differ; ours is of\n" + canonical)


def put_object(key, headers, body):
    settings = STATE.settings
    condition = headers.get("if-none-match")
    with STATE.lock:
        if settings["read_only"]:
            raise Refusal(403, "AccessDenied", "Access Denied")
        if condition is not None and settings["refuse_conditions"]:
            raise Refusal(501, "NotImplemented", "A header you provided implies functionality that is not implemented")
        if condition is not None and condition != "*":
            raise Refusal(400, "InvalidRequest", "If-None-Match can only be *")
        if condition is not None and not settings["ignore_conditions"] and key in STATE.objects:
            raise Refusal(412, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold")
        if settings["one_write_per_second"] and time.monotonic() - STATE.written.get(key, -10) < 1:
            raise Refusal(429, "TooManyRequests", "Reduce your concurrent request rate for the same object.")
        STATE.objects[key] = body
        STATE.written[key] = time.monotonic()
    return 200, {"ETag": f'"{hashlib.md5(body).hexdigest()}"'}, b""


def list_page(query):
    settings = STATE.settings
    parameters = {urllib.parse.unquote(n): urllib.parse.unquote(v) for n, v in parse_query(query)}
    for name in parameters:
        if name not in ("prefix", "marker", "max-keys"):
            raise Refusal(501, "NotImplemented", name)
    if settings["no_list_permission"]:
        raise Refusal(403, "AccessDenied", "Access Denied")
    prefix, marker = parameters.get("prefix", ""), parameters.get("marker", "")
    size = min(int(parameters.get("max-keys", 1000)), settings["page_size"])
    with STATE.lock:
        keys = sorted((k.encode() for k in STATE.objects), reverse=settings["list_reverse"])
        found = [k.decode() for k in keys if k.startswith(prefix.encode()) and (k > marker.encode())]
        page = [(key, len(STATE.objects[key])) for key in found[:size]]
    contents = "".join(
        f"<Contents><Key>{xml.sax.saxutils.escape(key)}</Key><LastModified>2026-11-21T00:00:00.000Z</LastModified>"
        f"<ETag>&quot;0&quot;</ETag><Size>{length}</Size><StorageClass>STANDARD</StorageClass></Contents>"
        for key, length in page
    )
    text = (
        '<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        f"<Name>{BUCKET}</Name><Prefix>{xml.sax.saxutils.escape(prefix)}</Prefix><MaxKeys>{size}</MaxKeys>"
        f"<IsTruncated>{'true' if len(found) > len(page) else 'false'}</IsTruncated>{contents}</ListBucketResult>"
    )
    return 200, {"Content-Type": "application/xml"}, text.encode()


def carry_out(operation, key, query, headers, body):
    if STATE.settings["bucket_missing"]:
        raise Refusal(404, "NoSuchBucket", "The specified bucket does not exist")
    if operation in ("create", "put"):
        return put_object(key, headers, body)
    if operation == "list":
        return list_page(query)
    with STATE.lock:
        if operation == "delete":
            if STATE.settings["read_only"]:
                raise Refusal(403, "AccessDenied", "Access Denied")
            STATE.objects.pop(key, None)
            return 204, {}, b""
        if key not in STATE.objects:
            raise Refusal(404, "NoSuchKey", "The specified key does not exist.")
        return 200, {"Content-Type": "binary/octet-stream"}, STATE.objects[key]


def error_document(refusal, key):
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{refusal.code}</Code>'
        f"<Message>{xml.sax.saxutils.escape(refusal.message)}</Message><Key>{xml.sax.saxutils.escape(key)}</Key>"
        "<RequestId>0</RequestId></Error>"
    ).encode()


class Reset(Exception):
    pass


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
        root = BASE_PATH if is_in_host else f"{BASE_PATH}/{BUCKET}"
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
            status, answer = self.obey(name, key, body)
            STATE.lock.notify_all()
        if not isinstance(answer, bytes):
            answer = json.dumps(answer).encode()
        self.wfile.write(self.head_lines(status, {"Content-Length": len(answer)}) + answer)

    def obey(self, name, key, body):
        """One command, with the lock held."""
        if name == "POST faults":
            STATE.faults.append(json.loads(body))
        elif name == "DELETE faults":
            STATE.faults.clear()
            STATE.released += 1
        elif name == "POST release":
            STATE.released += 1
        elif name == "GET log":
            return 200, STATE.log
        elif name == "DELETE log":
            STATE.log.clear()
        elif name == "GET failures":
            return 200, STATE.failures
        elif name == "POST wait":
            return self.wait_for_requests(json.loads(body))
        elif name == "GET objects":
            return 200, {key: len(value) for key, value in sorted(STATE.objects.items())}
        elif name in ("GET object", "PUT object", "DELETE object"):
            return self.touch_object(name, key, body)
        elif name == "POST damage":
            return self.damage(json.loads(body))
        elif name == "GET settings":
            return 200, STATE.settings
        elif name == "POST settings":
            changes = json.loads(body)
            if not set(changes) <= set(STATE.settings):
                return 400, {"error": f"no such setting among {sorted(STATE.settings)}"}
            STATE.settings.update(changes)
        else:
            return 404, {"error": f"no such command: {name}"}
        return 200, {}

    def wait_for_requests(self, wanted):
        arrived = STATE.lock.wait_for(
            lambda: STATE.count(wanted.get("operation"), wanted.get("key"), wanted.get("state", "ended"))
            >= wanted.get("count", 1),
            wanted.get("timeout_s", 30),
        )
        return (200, {}) if arrived else (504, {"error": "they did not come"})

    def touch_object(self, name, key, body):
        if name == "PUT object":
            STATE.objects[key] = body
        elif key not in STATE.objects:
            return 404, {"error": "no such object"}
        elif name == "GET object":
            return 200, STATE.objects[key]
        else:
            del STATE.objects[key]
        return 200, {}

    def damage(self, wanted):
        old = STATE.objects.get(wanted["key"])
        if old is None:
            return 404, {"error": "no such object"}
        middle = len(old) // 2
        if wanted["kind"] == "flip":
            STATE.objects[wanted["key"]] = old[:middle] + bytes([old[middle] ^ 4]) + old[middle + 1 :]
        elif wanted["kind"] == "truncate":
            STATE.objects[wanted["key"]] = old[:middle]
        else:
            return 400, {"error": "flip or truncate"}
        return 200, {}


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], (OSError, ssl.SSLError)):
            super().handle_error(request, client_address)


def main():
    global BASE_PATH
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--base-path", default="")
    parser.add_argument("--tls", action="store_true")
    arguments = parser.parse_args()
    BASE_PATH = arguments.base_path.rstrip("/")
    server = Server(("127.0.0.1", arguments.port), Handler)
    if arguments.tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(os.path.join(HERE, "tls", "server.pem"), os.path.join(HERE, "tls", "server.key"))
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    origin = f"{'https' if arguments.tls else 'http'}://127.0.0.1:{server.server_port}"
    ready = {
        "endpoint": origin + BASE_PATH,
        "control": origin + "/_control",
        "bucket": BUCKET,
        "region": STATE.settings["region"],
        "access_key_id": STATE.settings["access_key_id"],
        "secret_access_key": STATE.settings["secret_access_key"],
        "ca_file": os.path.join(HERE, "tls", "ca.pem") if arguments.tls else None,
    }
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(json.dumps(ready), flush=True)
    sys.stdin.buffer.read()


if __name__ == "__main__":
    main()
