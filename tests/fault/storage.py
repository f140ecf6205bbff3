"""What an S3 server does with a request that is in order: objects and listings, with conditions and permissions."""

import hashlib
import time
import urllib.parse
import xml.sax.saxutils

from sigv4 import parse_query
from state import BUCKET, STATE, Refusal


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
