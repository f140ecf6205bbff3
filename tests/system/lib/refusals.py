"""Starts that must be refused, and leave everything as it was."""

import hashlib
import os

from .answers import errors_of

PRECIOUS = b"was here before"
LINES_MAX = 10


def fingerprint(folder):
    """Names, kinds, modes, times and contents of all below, without what is ours."""
    found = hashlib.sha256()
    for path, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if name != ".holdfast")
        for name in sorted(files + folders):
            status = os.lstat(os.path.join(path, name))
            found.update(repr((os.path.relpath(os.path.join(path, name), folder), status.st_mode, status.st_size)).encode())
            if name in files:
                found.update(str(status.st_mtime_ns).encode())
                with open(os.path.join(path, name), "rb") as file:
                    found.update(file.read())
    return found.hexdigest()


def put_precious(deployment):
    with open(os.path.join(deployment.data, "precious"), "wb") as file:
        file.write(PRECIOUS)


def put_large(deployment):
    """8 MiB that don't compress."""
    with open(os.path.join(deployment.data, "large"), "wb") as file:
        file.write(os.urandom(8 << 20))


def refused(deployment, code, *patterns, environment=None, command=None, begun=False):
    """Starts it, and checks all that a refusal promises. With `begun`, an empty directory may hold a half of a restore,
    which the next start takes for empty."""
    before, ours = fingerprint(deployment.data), os.path.join(deployment.data, ".holdfast")
    had_ours = os.path.exists(ours)
    holdfast = deployment.start(ready=False, environment=environment, command=command)
    holdfast.expect_exit(code)
    for pattern in patterns:
        assert holdfast.log.find(pattern), "no line like /%s/" % pattern
    errors = errors_of(holdfast)
    assert errors and len(holdfast.log.lines) <= LINES_MAX, "%d errors in %d lines" % (len(errors), len(holdfast.log.lines))
    assert not holdfast.log.find("launched")
    assert "hush" not in holdfast.log.text(), "the log tells a secret"
    for name in ("HOLDFAST_S3_ACCESS_KEY_ID", "HOLDFAST_S3_SECRET_ACCESS_KEY"):
        assert deployment.environment.get(name, "hush") not in holdfast.log.text(), "the log tells %s" % name
    assert begun or fingerprint(deployment.data) == before, "the data directory has changed"
    assert begun or os.path.exists(ours) == had_ours, ".holdfast was left behind"
    return errors
