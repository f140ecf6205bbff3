"""Whether a request is signed as it has to be. Written from the specification, not from our signer."""

import datetime
import hashlib
import hmac
import re

from sigv4 import canonical_request, signature
from state import STATE, Refusal


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
