#!/usr/bin/env python3
"""HOLDFAST_RESTORE_AT: an earlier state becomes the newest one, once, however often a container starts with it."""

import json
import os
import signal
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from lib.harness import *


def points(deployment):
    listing = deployment.command("list", "--json")
    listing.expect_exit(0)
    return json.loads(listing.out.text())["points"]


def writes(port):
    return sorted(read_listing(port).writes)


@test
def a_roll_back_is_carried_out_once_and_nothing_is_lost(scene):
    deployment, kept, undone = scene.deployment(), Oracle(), Oracle()
    first = deployment.start()
    kept.write(first.port)
    kept.upload(first.port, os.urandom(100000))
    first.wait_durable()
    target = points(deployment)[0]["record"]
    before = writes(first.port)
    undone.write(first.port, "undone")
    undone.upload(first.port, b"undone")
    assert first.stop() == 0

    again = {"HOLDFAST_RESTORE_AT": str(target)}
    second = deployment.start(environment=again)
    assert second.log.find("rolled back to record %d, as HOLDFAST_RESTORE_AT says" % target)
    assert second.log.find("set aside")
    kept.check(second.port)
    assert writes(second.port) == before, "what came after the point is still there"
    kept.write(second.port, "after the roll-back")
    second.wait_durable()
    second.kill_tree()
    deployment.wipe()

    third = deployment.start(environment=again)
    assert third.log.find("HOLDFAST_RESTORE_AT was carried out by an earlier start")
    kept.check(third.port)
    assert len(writes(third.port)) == len(before) + 1
    doctor = deployment.command("doctor", "--json", environment=again)
    doctor.expect_exit(0)
    assert "HOLDFAST_RESTORE_AT" in doctor.out.text()

    superseded = [point for point in points(deployment) if point.get("superseded")]
    assert superseded and [point["rolled_back_to"] for point in points(deployment) if "rolled_back_to" in point] == [target]
    copy = os.path.join(scene.folder("copies"), "copy")
    deployment.command("restore", "--to", copy, "--at", str(superseded[0]["record"])).expect_exit(0)
    undone.check(scene.backend(copy).port)
    assert third.stop() == 0


@test
def a_copy_that_follows_goes_back_too(scene):
    deployment, kept = scene.deployment(), Oracle()
    first = deployment.start()
    kept.write(first.port)
    first.wait_durable()
    target, before = points(deployment)[0]["record"], writes(first.port)
    copy = os.path.join(scene.folder("copies"), "copy")
    follower = deployment.command("restore", "--to", copy, "--follow", "--json")
    fetch(first.port, "POST", "/write", body="undone")
    assert first.stop() == 0

    second = deployment.start(environment={"HOLDFAST_RESTORE_AT": str(target)})
    rolled_back = points(deployment)[0]["record"]
    wait_until(lambda: any(json.loads(line)["record"] >= rolled_back for line in list(follower.out.lines)), 20, "the follower")
    assert second.stop() == 0
    follower.send_signal(signal.SIGTERM)
    follower.expect_exit(0)
    backend = scene.backend(copy)
    kept.check(backend.port)
    assert writes(backend.port) == before


@test
def a_point_that_is_not_there_stops_the_start_and_fences_nobody(scene):
    deployment, oracle = scene.deployment(), Oracle()
    owner = deployment.start()
    oracle.write(owner.port)
    owner.wait_durable()
    other = deployment.elsewhere()
    for value, pattern in (("1999-01-01T00:00:00Z", "before the first point"), ("999999", "record 999999 does not exist"),
                           ("1", "record 1 can't be restored"), ("yesterday", "HOLDFAST_RESTORE_AT=yesterday is not a point")):
        refused = other.start(environment={"HOLDFAST_RESTORE_AT": value}, ready=False)
        refused.expect_exit(64)
        errors = [line for line in refused.log.lines if " holdfast error " in line]
        assert len(errors) == 1 and "HOLDFAST_RESTORE_AT" in errors[0] and pattern in errors[0], errors
        assert os.listdir(other.data) in ([], [".holdfast"])
    oracle.write(owner.port)
    owner.wait_durable()
    assert owner.stop() == 0


main()
