"""AWS Signature Version 4, written from the specification and from nothing of ours: what the tests check requests by.

https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
"""

import datetime
import hashlib
import hmac
import re
import urllib.parse

UNRESERVED = "-._~"


def encode(text, slash=False):
    return urllib.parse.quote(text, safe=UNRESERVED + ("/" if slash else ""))


def parse_query(raw):
    """Sorted pairs, as they were encoded; ValueError for any spelling but the canonical one."""
    pairs = []
    for part in raw.split("&") if raw else []:
        name, equals, value = part.partition("=")
        if not equals or any(encode(urllib.parse.unquote(text, errors="strict")) != text for text in (name, value)):
            raise ValueError("the query is not in canonical form: " + raw)
        pairs.append((name, value))
    return sorted(pairs)


def canonical_request(method, target, headers, signed, payload):
    """headers: lower-case names; signed: sorted names; payload: what x-amz-content-sha256 says."""
    path, _, query = target.partition("?")
    lines = [method, path, "&".join("%s=%s" % pair for pair in parse_query(query))]
    lines += ["%s:%s" % (name, re.sub(" +", " ", headers[name].strip())) for name in signed]
    return "\n".join(lines + ["", ";".join(signed), payload])


def signature(secret, stamp, region, service, canonical):
    scope = "%s/%s/%s/aws4_request" % (stamp[:8], region, service)
    text = "\n".join(["AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = ("AWS4" + secret).encode()
    for part in (stamp[:8], region, service, "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def signed_headers(method, host, target, body, credentials, region, service="s3"):
    """The headers of a request that a test itself makes; credentials: (key id, secret)."""
    stamp = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    payload = hashlib.sha256(body).hexdigest()
    headers = {"host": host, "x-amz-content-sha256": payload, "x-amz-date": stamp}
    if service != "s3":
        headers["content-type"] = "application/x-www-form-urlencoded; charset=utf-8"
    names = sorted(headers)
    canonical = canonical_request(method, target, headers, names, payload)
    headers["authorization"] = "AWS4-HMAC-SHA256 Credential=%s/%s/%s/%s/aws4_request, SignedHeaders=%s, Signature=%s" % (
        credentials[0], stamp[:8], region, service, ";".join(names),
        signature(credentials[1], stamp, region, service, canonical))
    return headers
