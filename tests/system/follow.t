#!/usr/bin/env python3
"""A warm standby: `restore --follow` beside a holdfast that runs."""

import json
import os
import signal
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from lib.harness import *


def stands_at(process, record):
    """Whether the follower has said that it is that far."""
    return any(json.loads(line)["record"] >= record for line in process.out.lines)


def catch_up(holdfast, process):
    holdfast.wait_durable()
    record = holdfast.status()["durable_record"]
    wait_until(lambda: stands_at(process, record), 20, "the copy is not at record %d" % record)


def change(holdfast, oracle):
    for _ in range(5):
        oracle.write(holdfast.port)
    oracle.upload(holdfast.port, os.urandom(100))
    oracle.delete(holdfast.port, oracle.upload(holdfast.port, os.urandom(50000)))
    oracle.upload(holdfast.port, os.urandom(50000))


@test
def a_copy_follows_what_is_written_whatever_happens_to_the_follower(scene):
    deployment, oracle = scene.deployment(), Oracle()
    copy = os.path.join(scene.folder("copies"), "copy")
    words = ["restore", "--to", copy, "--follow", "--json"]
    holdfast = deployment.start()
    change(holdfast, oracle)
    follower = deployment.command(*words)
    catch_up(holdfast, follower)
    assert set(json.loads(follower.out.lines[0])) == {"record", "time"}
    change(holdfast, oracle)
    catch_up(holdfast, follower)
    follower.send_signal(signal.SIGKILL)
    follower.wait()
    change(holdfast, oracle)
    follower = deployment.command(*words)
    catch_up(holdfast, follower)
    deployment.command("snapshot").expect_exit(0)
    change(holdfast, oracle)
    catch_up(holdfast, follower)
    assert follower.log.find("up to date at record")
    assert deployment.command(*words).wait() == 64
    follower.send_signal(signal.SIGTERM)
    follower.expect_exit(0)
    assert holdfast.stop() == 0
    oracle.check(scene.backend(copy).port)


@test
def a_follower_and_a_run_keep_out_of_each_others_directory(scene):
    deployment = scene.deployment()
    holdfast = deployment.start()
    Oracle().write(holdfast.port)
    holdfast.wait_durable()
    process = deployment.command("restore", "--to", deployment.data, "--follow")
    process.expect_exit(64)
    assert process.log.find("data directory of a `holdfast run`")
    copy = scene.folder("copy")
    follower = deployment.command("restore", "--to", copy, "--follow")
    follower.wait_for_log("up to date at record [0-9]+, time 2")
    follower.send_signal(signal.SIGINT)
    follower.expect_exit(0)
    process = deployment.elsewhere().command("run", "--", "true", environment={"HOLDFAST_DATA_DIR": copy})
    process.expect_exit(64)
    assert process.log.find("restore --follow")
    assert holdfast.stop() == 0


main()
