#!/usr/bin/env python3
"""Everything that can be wrong at start: one sentence with the remedy, the exit code of the contract, and the data directory
as it was."""

import hashlib
import os
import re
import shutil
import socket
import sqlite3
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from lib.harness import *
from lib.s3servers import FaultS3

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


def refused(deployment, code, *patterns, environment=None, command=None, begun=False):
    """Starts it, and checks all that a refusal promises. With `begun`, an empty directory may hold a half of a restore,
    which the next start takes for empty."""
    before, ours = fingerprint(deployment.data), os.path.join(deployment.data, ".holdfast")
    had_ours = os.path.exists(ours)
    holdfast = deployment.start(ready=False, environment=environment, command=command)
    holdfast.expect_exit(code)
    for pattern in patterns:
        assert holdfast.log.find(pattern), "no line like /%s/" % pattern
    errors = [line for line in holdfast.log.lines if " holdfast error " in line]
    assert errors and len(holdfast.log.lines) <= LINES_MAX, "%d errors in %d lines" % (len(errors), len(holdfast.log.lines))
    assert not holdfast.log.find("launched")
    assert "hush" not in holdfast.log.text(), "the log tells a secret"
    for name in ("HOLDFAST_S3_ACCESS_KEY_ID", "HOLDFAST_S3_SECRET_ACCESS_KEY"):
        assert deployment.environment.get(name, "hush") not in holdfast.log.text(), "the log tells %s" % name
    assert begun or fingerprint(deployment.data) == before, "the data directory has changed"
    assert begun or os.path.exists(ours) == had_ours, ".holdfast was left behind"
    return errors


def one_sentence(errors):
    assert len(errors) == 1, "%d sentences: %s" % (len(errors), errors)


def s3_deployment(scene, server, **settings):
    server.settings(**settings)
    deployment = scene.deployment(store=server.store("some/prefix"), environment=server.environment)
    put_precious(deployment)
    return deployment


# --- the environment ---------------------------------------------------------------------------------------------


@test
def a_store_that_is_not_set_or_malformed(scene):
    deployment = scene.deployment()
    put_precious(deployment)
    for url in ("", "bucket", "s3://", "s3:///prefix", "ftp://host/x", "file://relative", "file://", "r2://account",
                "s3://key:hush@bucket/x", "https://bucket.s3.amazonaws.com/x"):
        errors = refused(deployment, 64, "HOLDFAST_STORE", environment={"HOLDFAST_STORE": url})
        one_sentence(errors)


@test
def every_fault_of_the_configuration_at_once_and_in_ten_lines(scene):
    deployment = scene.deployment()
    put_precious(deployment)
    errors = refused(deployment, 64, "HOLDFAST_SYNC_INTERVAL=soon", "HOLDFAST_LISTEN=here", "HOLDFAST_DURABILITY=perhaps",
                     "HOLDFAST_RETENTIO is not known: did you mean HOLDFAST_RETENTION",
                     environment={"HOLDFAST_SYNC_INTERVAL": "soon", "HOLDFAST_LISTEN": "here",
                                  "HOLDFAST_DURABILITY": "perhaps", "HOLDFAST_RETENTIO": "1d"})
    assert len(errors) == 3
    many = {"HOLDFAST_" + name: "x" for name in ("SYNC_INTERVAL", "SYNC_TIMEOUT", "SNAPSHOT_INTERVAL", "RESTORE_BUDGET",
                                                  "RETENTION", "SPOOL_MAX", "START_TIMEOUT", "HOLD_TIMEOUT",
                                                  "SHUTDOWN_TIMEOUT", "TAKEOVER_WAIT", "DUEL_WAIT", "NOBODY_KNOWS_THIS")}
    refused(deployment, 64, "and 3 more", environment=many)


@test
def what_a_later_release_brings_is_refused(scene):
    deployment = scene.deployment()
    put_precious(deployment)
    for name in ("HOLDFAST_ENCRYPTION_KEY", "HOLDFAST_UPGRADE_ROLLBACK", "HOLDFAST_LAUNCH_TIMEOUT"):
        one_sentence(refused(deployment, 64, name + " is not supported by this release", environment={name: "1d-hush"}))


@test
def credentials_that_are_missing_or_whose_file_is(scene):
    deployment = scene.deployment()
    put_precious(deployment)
    url = {"HOLDFAST_STORE": "s3://bucket/prefix"}
    one_sentence(refused(deployment, 64, "HOLDFAST_S3_ACCESS_KEY_ID", environment=url))
    one_sentence(refused(deployment, 64, "HOLDFAST_S3_SECRET_ACCESS_KEY is not set",
                         environment={**url, "HOLDFAST_S3_ACCESS_KEY_ID": "hush"}))
    one_sentence(refused(deployment, 64, "HOLDFAST_S3_ACCESS_KEY_ID_FILE names /nowhere",
                         environment={**url, "HOLDFAST_S3_ACCESS_KEY_ID_FILE": "/nowhere",
                                      "HOLDFAST_S3_SECRET_ACCESS_KEY": "hush"}))


# --- the store ---------------------------------------------------------------------------------------------------


@test
def a_wrong_key_and_a_wrong_secret(scene):
    with FaultS3() as server:
        deployment = s3_deployment(scene, server)
        for name in ("HOLDFAST_S3_ACCESS_KEY_ID", "HOLDFAST_S3_SECRET_ACCESS_KEY"):
            one_sentence(refused(deployment, 64, environment={name: "wrong-and-hush"}))


@test
def a_bucket_that_is_missing(scene):
    with FaultS3() as server:
        one_sentence(refused(s3_deployment(scene, server, bucket_missing=True), 64, "bucket"))


@test
def no_permission_to_write(scene):
    with FaultS3() as server:
        one_sentence(refused(s3_deployment(scene, server, read_only=True), 64))


@test
def a_clock_that_is_off_by_an_hour(scene):
    with FaultS3() as server:
        for offset in (3600, -3600):
            one_sentence(refused(s3_deployment(scene, server, clock_offset_s=offset), 64, "clock"))


@test
def a_store_that_ignores_conditions(scene):
    with FaultS3() as server:
        deployment = s3_deployment(scene, server, ignore_conditions=True)
        one_sentence(refused(deployment, 64, "HOLDFAST_UNSAFE_NO_FENCING"))
        deployment.start(environment={"HOLDFAST_UNSAFE_NO_FENCING": "1"})


@test
def a_store_that_does_not_know_conditions(scene):
    with FaultS3() as server:
        one_sentence(refused(s3_deployment(scene, server, refuse_conditions=True), 64))


@test
def a_store_out_of_reach_is_tried_for_the_start_timeout(scene):
    deployment = scene.deployment(environment={
        "HOLDFAST_S3_ENDPOINT": "http://127.0.0.1:%d" % scene.port(), "HOLDFAST_S3_ACCESS_KEY_ID": "hush-id",
        "HOLDFAST_S3_SECRET_ACCESS_KEY": "hush-secret", "HOLDFAST_START_TIMEOUT": "1s"})
    put_precious(deployment)
    one_sentence(refused(deployment, 74, environment={"HOLDFAST_STORE": "s3://bucket/prefix"}))


# --- what is in the store ----------------------------------------------------------------------------------------


def shipped(scene):
    """A deployment with something in its store, stopped."""
    deployment, oracle = scene.deployment(), Oracle()
    holdfast = deployment.start()
    for _ in range(3):
        oracle.write(holdfast.port)
    oracle.upload(holdfast.port, os.urandom(200000))
    assert holdfast.stop() == 0
    return deployment


def file_of(deployment, prefix):
    """The newest object below a prefix of the directory store."""
    keys = deployment.store.keys(prefix)
    assert keys, "nothing below %s" % prefix
    return os.path.join(deployment.store.path, keys[0]), keys[0]


@test
def an_object_that_is_damaged_or_missing_is_named(scene):
    deployment = shipped(scene)
    deployment.wipe()
    for prefix in ("base/", "part/", "blob/"):
        path, key = file_of(deployment, prefix)
        with open(path, "rb") as file:
            whole = file.read()
        flipped = bytearray(whole)
        flipped[len(whole) // 2] ^= 1
        for damaged in (bytes(flipped), whole[:len(whole) // 2], None):
            if damaged is None:
                os.unlink(path)
            else:
                with open(path, "wb") as file:
                    file.write(damaged)
            one_sentence(refused(deployment, 65, key, begun=prefix != "base/"))
        with open(path, "wb") as file:
            file.write(whole)
    assert deployment.start().stop() == 0


@test
def a_store_of_another_lineage(scene):
    deployment, other = shipped(scene), shipped(scene)
    deployment.store = other.store
    one_sentence(refused(deployment, 64, "lineage|HOLDFAST_ADOPT"))


@test
def data_that_is_not_the_stores(scene):
    deployment, other = shipped(scene), scene.deployment()
    put_precious(other)
    other.store = deployment.store
    one_sentence(refused(other, 64, "HOLDFAST_ADOPT=remote"))
    assert os.listdir(other.data) == ["precious"]
    assert other.start(environment={"HOLDFAST_ADOPT": "remote"}).stop() == 0


@test
def a_directory_that_a_refused_start_made_is_gone_again(scene):
    deployment = scene.deployment(environment={
        "HOLDFAST_S3_ENDPOINT": "http://127.0.0.1:%d" % scene.port(), "HOLDFAST_S3_ACCESS_KEY_ID": "hush-id",
        "HOLDFAST_S3_SECRET_ACCESS_KEY": "hush-secret", "HOLDFAST_START_TIMEOUT": "0"})
    path = os.path.join(scene.folder("parent"), "data")
    one_sentence(refused(deployment, 74, environment={"HOLDFAST_STORE": "s3://bucket/prefix", "HOLDFAST_DATA_DIR": path}))
    assert not os.path.exists(path)


@test
def a_format_of_the_future(scene):
    deployment = shipped(scene)
    deployment.wipe()
    path = os.path.join(deployment.store.path, "holdfast.json")
    with open(path) as file:
        text = file.read()
    with open(path, "w") as file:
        file.write(text.replace('"format":1', '"format":99').replace('"format": 1', '"format": 99'))
    one_sentence(refused(deployment, 65, "newer"))


@test
def a_wiped_store_under_a_directory_that_was_shipped(scene):
    deployment = shipped(scene)
    for name in os.listdir(deployment.store.path):
        path = os.path.join(deployment.store.path, name)
        shutil.rmtree(path) if os.path.isdir(path) else os.unlink(path)
    one_sentence(refused(deployment, 64, "HOLDFAST_ADOPT"))


# --- the machine -------------------------------------------------------------------------------------------------


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
    errors = [line for line in process.log.lines if " holdfast error " in line]
    one_sentence(errors)
    assert errors[0].endswith("; use a larger disk (on Cloudflare, a larger instance_type)"), errors[0]
    return errors[0], [os.path.relpath(path, deployment.data) for path in process.out.lines]


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
    errors = [line for line in process.log.lines if " holdfast error " in line]
    one_sentence(errors)
    return errors[0], [line for line in process.out.lines if not line.startswith("verified up to")]


@test
def too_little_disk_for_a_copy_is_told_before_anything_is_written(scene):
    if os.geteuid() != 0:
        skip("mounting wants root")
    deployment = scene.deployment()
    with open(os.path.join(deployment.data, "large"), "wb") as file:
        file.write(os.urandom(8 << 20))
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


# --- other commands ----------------------------------------------------------------------------------------------


@test
def commands_that_read_refuse_in_the_same_way(scene):
    deployment = scene.deployment(environment={"HOLDFAST_STORE": "nonsense"})
    for words in (["list"], ["verify"], ["restore", "--to", scene.folder("copy")]):
        process = deployment.command(*words)
        process.expect_exit(64)
        assert process.log.find("HOLDFAST_STORE") and process.out.lines == []


@test
def restore_elsewhere_refuses_what_is_nonsense(scene):
    deployment = shipped(scene)
    full = scene.folder("full")
    with open(os.path.join(full, "precious"), "wb") as file:
        file.write(PRECIOUS)
    for words, pattern in ((["--to", full], "empty"), ([], "--to"), (["--to", full + "-new", "--at", "yesterday"], "--at"),
                           (["--to", full + "-new", "--at", "1999-01-01T00:00:00Z"], "before the first point"),
                           (["--to", full + "-new", "--at", "0"], "--at 0"),
                           (["--to", full + "-new", "--at", "999999"], "999999"),
                           (["--to", full + "-new", "--pin", "x"], "later release"), (["--to", full, "--follow"], "not empty"),
                           (["--to", full + "-new", "--follow", "--at", "1"], "--at and --follow"), (["--too", "x"], "did you mean --to")):
        process = deployment.command("restore", *words)
        process.expect_exit(64)
        assert process.log.find(pattern), "no line like %s" % pattern
    assert os.listdir(full) == ["precious"]
    assert not os.path.exists(full + "-new") or set(os.listdir(full + "-new")) <= {".holdfast"}


@test
def verify_finds_what_a_start_would_trip_over(scene):
    deployment = shipped(scene)
    process = deployment.command("verify", "--json")
    process.expect_exit(0)
    path, key = file_of(deployment, "part/")
    with open(path, "r+b") as file:
        file.seek(os.path.getsize(path) // 2)
        byte = file.read(1)
        file.seek(-1, 1)
        file.write(bytes([byte[0] ^ 1]))
    process = deployment.command("verify")
    process.expect_exit(65)
    assert process.log.find(key)


@test
def status_where_nobody_runs_gives_69(scene):
    deployment = scene.deployment()
    process = deployment.command("status")
    process.expect_exit(69)
    assert process.log.find("no holdfast answers at")
    with socket.socket() as silent:  # takes the connection and never answers HTTP
        silent.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        silent.bind(("127.0.0.1", deployment.admin))
        silent.listen()
        deployment.command("status").expect_exit(69)


main()
