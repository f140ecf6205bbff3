#!/usr/bin/env python3
"""A holdfast that was killed, alone or with its backend, starts again on the same disk: what it had not shipped is shipped
as the pages that differ, not as a new base."""

import os
import random
import signal
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from lib.harness import *
from lib.process import send_to

KILLS = 4


def stored(deployment):
    """The sizes of all objects, by their keys."""
    root = deployment.store.path
    return {os.path.relpath(os.path.join(folder, name), root): os.path.getsize(os.path.join(folder, name))
            for folder, _, names in os.walk(root) for name in names}


def bases(objects):
    return sorted(key for key in objects if key.startswith("base/"))


def start_again(deployment, oracle):
    """The bytes that this start stores until nothing is left to ship, and whether the disk gave way to the store."""
    before = stored(deployment)
    holdfast = deployment.start()
    holdfast.wait_durable()
    after = stored(deployment)
    assert bases(after) == bases(before), "a new base was cut"
    gave_way = bool(holdfast.log.find("the store wins"))
    if not gave_way:
        oracle.check(holdfast.port)
    return holdfast, sum(size for key, size in after.items() if key not in before), gave_way


@test
def a_kill_costs_the_upload_of_what_differs(scene):
    # Nothing is shipped by itself after the first record of each start.
    deployment = scene.deployment(environment={"HOLDFAST_SYNC_INTERVAL": "10m"})
    rng, oracle, compared = random.Random(1), Oracle(), 0
    holdfast = deployment.start()
    for _ in range(40):
        oracle.write(holdfast.port, rng.randbytes(100000).hex())
    assert holdfast.stop() == 0
    holdfast, _, _ = start_again(deployment, oracle)
    database = os.path.getsize(os.path.join(deployment.data, "db.sqlite3"))
    assert database > 8000000
    for kill in range(KILLS):
        shipped = oracle.copy()
        for _ in range(20):
            oracle.write(holdfast.port)
        backend = holdfast.backend_pid
        if kill % 2 == 0:
            holdfast.kill_tree()
        else:
            holdfast.kill()
            send_to(backend, signal.SIGKILL)
            wait_until(lambda: not is_alive(backend), 10, "the backend to end")
        holdfast, sent, gave_way = start_again(deployment, oracle)
        if gave_way:
            oracle = shipped
        else:
            compared += 1
            assert 0 < sent < database / 20, "%d bytes were stored, of a database of %d" % (sent, database)
    assert compared > 0, "every disk gave way"
    assert holdfast.stop() == 0
    deployment.wipe()
    oracle.check(deployment.start().port)
    deployment.command("verify", "--deep").expect_exit(0, timeout_s=60)


main()
