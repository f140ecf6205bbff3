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
import http.server
import json
import os
import ssl
import sys
import threading

from handler import Handler
from state import BUCKET, STATE

HERE = os.path.dirname(os.path.abspath(__file__))


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], (OSError, ssl.SSLError)):
            super().handle_error(request, client_address)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--base-path", default="")
    parser.add_argument("--tls", action="store_true")
    arguments = parser.parse_args()
    STATE.base_path = arguments.base_path.rstrip("/")
    server = Server(("127.0.0.1", arguments.port), Handler)
    if arguments.tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(os.path.join(HERE, "tls", "server.pem"), os.path.join(HERE, "tls", "server.key"))
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    origin = f"{'https' if arguments.tls else 'http'}://127.0.0.1:{server.server_port}"
    ready = {
        "endpoint": origin + STATE.base_path,
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
