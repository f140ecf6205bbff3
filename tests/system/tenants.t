#!/usr/bin/env python3
"""An application with a database for each tenant: they are made, replaced and deleted while holdfast runs, and each
change is in the next record, in a standby, and at every point that can be restored."""

import json
import os
import signal
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from lib.harness import *
from lib.tenants import Tenants

ROUNDS = 8


def bases(deployment):
    return len(deployment.store.keys("base/"))


def begin(scene):
    """Most bytes are in the backend's own database."""
    deployment, oracle = scene.deployment(), Oracle()
    holdfast = deployment.start()
    for _ in range(30):
        oracle.write(holdfast.port, os.urandom(20000).hex())
    holdfast.wait_durable()
    return deployment, oracle, holdfast


@test
def every_change_is_in_the_next_record_and_at_every_point(scene):
    deployment, oracle, holdfast = begin(scene)
    tenants, scratch, points, before = Tenants(deployment.data, 7), scene.folder("scratch"), {}, bases(deployment)
    for _ in range(ROUNDS):
        for _ in range(tenants.rng.randint(1, 3)):
            tenants.change(scratch)
        oracle.write(holdfast.port)
        holdfast.wait_durable()
        points[holdfast.status()["durable_record"]] = dict(tenants.here)
    assert bases(deployment) == before, "a new base was cut"
    holdfast.kill_tree()
    deployment.wipe()
    holdfast = deployment.start()
    oracle.check(holdfast.port)
    assert holdfast.stop() == 0
    tenants.check(deployment.data)
    for record, here in points.items():
        target = os.path.join(scene.folder("points"), "point%d" % record)
        deployment.command("restore", "--at", str(record), "--to", target).expect_exit(0)
        tenants.here = here
        tenants.check(target)
    deployment.command("verify", "--deep").expect_exit(0)


@test
def a_standby_follows(scene):
    deployment, _, holdfast = begin(scene)
    tenants, scratch = Tenants(deployment.data, 8), scene.folder("scratch")
    copy = os.path.join(scene.folder("copies"), "copy")
    follower = deployment.command("restore", "--to", copy, "--follow", "--json")
    for _ in range(ROUNDS):
        tenants.change(scratch)
        holdfast.wait_durable()
        record = holdfast.status()["durable_record"]
        wait_until(lambda: any(json.loads(line)["record"] >= record for line in follower.out.lines), 20,
                   "the copy is not at record %d" % record)
    follower.send_signal(signal.SIGTERM)
    follower.expect_exit(0)
    tenants.check(copy)
    assert holdfast.stop() == 0


main()
