#!/usr/bin/env python3
"""Everything that can be wrong at start: one sentence with the remedy, the exit code of the contract, and the data directory
as it was."""

import os
import shutil
import socket
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from lib.answers import one_sentence
from lib.harness import *
from lib.refusals import PRECIOUS, put_precious, refused
from lib.s3servers import FaultS3


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
