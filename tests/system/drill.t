#!/usr/bin/env python3
"""HOLDFAST_DRILL_INTERVAL: a restore is rehearsed while the backend serves, and what comes of it can be seen."""

import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from lib.harness import *


def drill_of(holdfast, what):
    """Waits until /status says so of the drill; the whole status."""
    def look():
        status = holdfast.status()
        return status if what(status["drill"]) else None

    return wait_until(look, 30, "a drill")


@test
def a_drill_passes_and_a_damaged_object_fails_the_next_one(scene):
    deployment, oracle = scene.deployment(environment={"HOLDFAST_DRILL_INTERVAL": "1s"}), Oracle()
    holdfast = deployment.start()
    status = holdfast.status()
    assert status["drill"]["last_success"] is None and holdfast.metrics()["holdfast_drill_success_time_seconds"] == 0
    oracle.write(holdfast.port)
    oracle.upload(holdfast.port, os.urandom(300000))
    holdfast.wait_durable()
    status = drill_of(holdfast, lambda drill: drill["last_success"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", status["drill"]["last_success"])
    assert status["warnings"] == []
    holdfast.wait_for_log("drill: everything in the store is whole")
    metrics = holdfast.metrics()
    assert metrics["holdfast_drill_success_time_seconds"] > 1.6e9 and metrics["holdfast_drill_failures_total"] == 0
    key = deployment.store.keys("blob/")[0]
    path = os.path.join(deployment.store.path, key)
    with open(path, "rb") as file:
        content = file.read()
    with open(path, "wb") as file:
        file.write(content[:-1] + bytes([content[-1] ^ 1]))
    status = drill_of(holdfast, lambda drill: drill["last_failure"])
    assert status["drill"]["problem"].startswith(key) and status["state"] == "serve" and status["degraded"] is False
    assert [warning for warning in status["warnings"] if key in warning]
    holdfast.wait_for_log("warning drill: " + key)
    holdfast.wait_for_log("warning the drill failed: ")
    assert holdfast.metrics()["holdfast_drill_failures_total"] >= 1
    with open(path, "wb") as file:
        file.write(content)
    status = drill_of(holdfast, lambda drill: drill["problem"] is None)
    assert status["warnings"] == []
    oracle.write(holdfast.port)
    assert holdfast.stop() == 0
    assert not os.path.exists(os.path.join(deployment.data, ".holdfast", "drill"))
    deployment.wipe()
    oracle.check(deployment.start(environment={"HOLDFAST_DRILL_INTERVAL": "0"}).port)


@test
def without_it_nothing_is_said_of_drills_and_nonsense_is_refused(scene):
    deployment = scene.deployment()
    holdfast = deployment.start()
    assert "drill" not in holdfast.status()
    assert not [name for name in holdfast.metrics() if "drill" in name]
    assert holdfast.stop() == 0
    for value in ("1ms", "often", "-1s"):
        refused = deployment.start(ready=False, environment={"HOLDFAST_DRILL_INTERVAL": value})
        refused.expect_exit(64)
        assert refused.log.find("HOLDFAST_DRILL_INTERVAL")


main()
