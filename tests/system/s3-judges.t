#!/usr/bin/env python3
"""The S3 driver before two judges that are not ours: Cloudflare's R2 emulator and Ceph's gateway.

Both check signatures and keep If-None-Match; the first has a base path in its endpoint, the second gives session
tokens. What they have to pass is tests/s3/store_tool.c.
"""

import os
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from lib.harness import *
from lib.s3servers import ROOT, Miniflare, Radosgw

TOOL = os.environ.get("TEST_STORE_TOOL") or os.path.join(ROOT, "build", "gcc", "tests", "s3", "store_tool")
ODD_PREFIX = "odd \u00e9/+(1)*'~!&=@:,;$<>\" p"


def start(judge):
    reason = judge.why_not()
    if reason:
        skip(reason)
    return judge()


def run(server, word, url=None, **changes):
    """The tool's exit code and output."""
    environment = clean_environment({"HOLDFAST_STORE": url or server.url("some/prefix"), **server.environment, **changes})
    done = subprocess.run([TOOL, word], env=environment, stdout=subprocess.PIPE, text=True, timeout=100)
    return done.returncode, done.stdout


def conforms(server, **changes):
    code, output = run(server, "conformance", **changes)
    assert code == 0 and "not ok" not in output, output


def refuses(server, *words, url=None, **changes):
    code, output = run(server, "probe", url, **changes)
    assert code == 1 and all(word in output for word in words), output
    assert not any(value in output for value in changes.values()), "a secret is in " + output


def is_told_what_is_wrong(server):
    refuses(server, "config:", "no-such-bucket", "HOLDFAST_STORE", url=server.url("p", bucket="no-such-bucket"))
    # radosgw with session tokens says AccessDenied for every one of these.
    refuses(server, "denied:", "HOLDFAST_S3_ACCESS_KEY_ID", HOLDFAST_S3_SECRET_ACCESS_KEY="another-secret")
    refuses(server, "denied:", "HOLDFAST_S3_ACCESS_KEY_ID", HOLDFAST_S3_ACCESS_KEY_ID="ANOTHERKEYID")


@test
def miniflare_finds_nothing_wrong(scene):
    conforms(start(Miniflare))


@test
def miniflare_takes_odd_prefixes_and_none(scene):
    server = start(Miniflare)
    for prefix in ("", ODD_PREFIX):
        assert run(server, "probe", server.url(prefix)) == (0, "ok\n")


@test
def what_miniflare_refuses_is_said_in_words(scene):
    is_told_what_is_wrong(start(Miniflare))


@test
def radosgw_finds_nothing_wrong(scene):
    server = start(Radosgw)
    conforms(server)
    for prefix in ("", ODD_PREFIX):
        assert run(server, "probe", server.url(prefix)) == (0, "ok\n")
    is_told_what_is_wrong(server)


@test
def radosgw_takes_session_tokens(scene):
    server = start(Radosgw)
    session = {"HOLDFAST_S3_" + name.upper(): value for name, value in server.ready["session"].items()}
    conforms(server, **session)
    files = {name + "_FILE": scene.file(name, value + "\n") for name, value in session.items()}
    server.ready.update(access_key_id=None, secret_access_key=None)
    assert run(server, "probe", **files) == (0, "ok\n")
    damaged = "A" * 20 + session["HOLDFAST_S3_SESSION_TOKEN"][20:]
    refuses(server, "HTTP 400", **{**session, "HOLDFAST_S3_SESSION_TOKEN": damaged})


main()
