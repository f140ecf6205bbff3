#!/usr/bin/env python3
"""What can be wrong with the machine: folders, disks that are too small, names that nobody knows. One sentence with the
remedy, the exit code of the contract, and everything as it was."""

import os
import re
import shutil
import sqlite3
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from lib.answers import errors_of, one_sentence
from lib.harness import *
from lib.refusals import LINES_MAX, fingerprint, put_large, put_precious, refused


@test
def a_data_directory_that_can_not_be_written_to(scene):
    if os.geteuid() != 0:
        skip("another user wants root")
    deployment = scene.deployment()
    put_precious(deployment)
    path = deployment.data
    while path != "/tmp" and path != "/":
        os.chmod(path, 0o755)
        path = os.path.dirname(path)
    program = os.path.join(os.path.dirname(deployment.data), "holdfast")
    shutil.copy(holdfast_path(), program)
    before = fingerprint(deployment.data)
    process = scene.process("holdfast as nobody", ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", program,
                                                   "run", "--", "true"], deployment.variables())
    process.expect_exit(64)
    assert process.log.find("HOLDFAST_DATA_DIR|%s" % deployment.data) and len(process.log.lines) <= LINES_MAX
    assert fingerprint(deployment.data) == before


@test
def a_data_directory_that_is_none(scene):
    deployment = scene.deployment()
    file = scene.file("file", "not a directory")
    for path in (file, "/no/such/folder/at/all"):
        one_sentence(refused(deployment, 64, path, environment={"HOLDFAST_DATA_DIR": path}))


@test
def two_on_one_data_directory(scene):
    first = scene.deployment()
    first.start()
    second = scene.deployment()
    environment = {"HOLDFAST_DATA_DIR": first.data}
    holdfast = second.start(ready=False, environment=environment, command=["true"])
    holdfast.expect_exit(64)
    assert holdfast.log.find("another holdfast")


def start_on_small_disk(scene, deployment, size):
    """What holdfast says that is started on an empty disk of that size, and what it leaves there."""
    script = 'mount -t tmpfs -o size=%s none "$HOLDFAST_DATA_DIR" && "$0" run -- true; code=$?; find "$HOLDFAST_DATA_DIR" -type f; ' \
        'exit $code' % size
    process = scene.process("holdfast on a small disk", ["unshare", "--mount", "sh", "-c", script, holdfast_path()],
                            deployment.variables())
    process.expect_exit(64)
    error = one_sentence(errors_of(process))
    assert error.endswith("; use a larger disk (on Cloudflare, a larger instance_type)"), error
    return error, [os.path.relpath(path, deployment.data) for path in process.out.lines]


@test
def too_little_disk_for_what_is_in_the_store(scene):
    if os.geteuid() != 0:
        skip("mounting wants root")
    deployment = scene.deployment()
    connection = sqlite3.connect(os.path.join(deployment.data, "large.db"))
    connection.execute("create table t (content blob)")
    connection.execute("insert into t values (?)", (os.urandom(8 << 20),))
    connection.commit()
    connection.close()
    assert deployment.start().stop() == 0
    deployment.wipe()
    error, left = start_on_small_disk(scene, deployment, "2m")
    assert "not enough disk: the restore needs 25 MiB and HOLDFAST_DATA_DIR has 2 MiB free" in error, error
    assert left == [], left


@test
def too_little_disk_for_what_was_written_since_the_base(scene):
    if os.geteuid() != 0:
        skip("mounting wants root")
    deployment = scene.deployment()
    holdfast = deployment.start()
    oracle = Oracle()
    for _ in range(8):
        oracle.upload(holdfast.port, os.urandom(3 << 20))
    assert holdfast.stop() == 0
    deployment.wipe()
    error, left = start_on_small_disk(scene, deployment, "20m")
    assert "not enough disk: the restore needs more than the 20 MiB that HOLDFAST_DATA_DIR had free" in error, error
    assert [path for path in left if not path.startswith(".holdfast/")] == [], left
    oracle.check(deployment.start().port)


def copy_to_small_disk(scene, deployment, words, size):
    """What a command says whose copy goes to an empty disk of that size, and what it leaves there."""
    room = scene.folder("room")
    script = 'mount -t tmpfs -o size=%s none "$1" && TMPDIR=$1 && export TMPDIR && shift && "$@"; code=$?; ls -A "$TMPDIR"; ' \
        'exit $code' % size
    process = scene.process("holdfast with a small disk", ["unshare", "--mount", "sh", "-c", script, "sh", room, holdfast_path()]
                            + [word.replace("ROOM", room) for word in words], deployment.variables())
    process.expect_exit(64)
    return one_sentence(errors_of(process)), [line for line in process.out.lines if not line.startswith("verified up to")]


@test
def too_little_disk_for_a_copy_is_told_before_anything_is_written(scene):
    if os.geteuid() != 0:
        skip("mounting wants root")
    deployment = scene.deployment()
    put_large(deployment)
    holdfast = deployment.start()
    holdfast.wait_durable()
    assert holdfast.stop() == 0
    for words in (["restore", "--to", "ROOM/copy"], ["restore", "--to", "ROOM/copy", "--follow"], ["restore", "--to", "ROOM"]):
        error, left = copy_to_small_disk(scene, deployment, words, "2m")
        assert re.search("not enough disk: the restore needs 9 MiB and --to .* has [12] MiB free; name a directory on a larger disk",
                         error), error
        assert left == [], left
    error, left = copy_to_small_disk(scene, deployment, ["verify", "--deep"], "2m")
    assert "has 2 MiB free and a restored copy takes 9 MiB" in error and "TMPDIR" in error and left == [], (error, left)


@test
def too_little_disk_for_what_came_after_the_base_of_a_copy(scene):
    if os.geteuid() != 0:
        skip("mounting wants root")
    deployment = scene.deployment()
    holdfast = deployment.start()
    holdfast.wait_durable()
    Oracle().upload(holdfast.port, os.urandom(8 << 20))
    assert holdfast.stop() == 0
    for words, why in ((["restore", "--to", "ROOM/copy"], "needs more than the 2 MiB that --to "),
                       (["restore", "--to", "ROOM/copy", "--follow"], "became full; make room there, or name a directory")):
        error, left = copy_to_small_disk(scene, deployment, words, "2m")
        assert "not enough disk: " in error and why in error and left == [], (error, left)


@test
def a_host_that_is_not_found_is_told_after_the_last_attempt_too(scene):
    # A label of 64 letters is refused before anybody is asked, so this needs no name server.
    endpoint = "http://%s.invalid" % ("x" * 64)
    deployment = scene.deployment(environment={
        "HOLDFAST_STORE": "s3://bucket/prefix", "HOLDFAST_S3_ENDPOINT": endpoint, "HOLDFAST_S3_REGION": "auto",
        "HOLDFAST_S3_ACCESS_KEY_ID": "key", "HOLDFAST_S3_SECRET_ACCESS_KEY": "secret", "HOLDFAST_START_TIMEOUT": "1s"})
    process = deployment.command("list")
    process.expect_exit(74)
    assert process.log.find("gave up after [0-9]+ attempts.*the host of HOLDFAST_S3_ENDPOINT is not found"), process.log.lines


main()
