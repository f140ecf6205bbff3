#!/usr/bin/env python3
"""Databases that the application deleted or replaced just before all was killed, on a disk that is kept: they stay as the
application left them, and no other database loses what was not shipped. One that vanished while nobody watched is another
matter: then the store wins."""

import os
import signal
import sqlite3
import struct
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from lib.harness import *
from lib.process import send_to
from lib.tenants import Tenants

NOTE = struct.Struct("<QQqQq")  # incarnation, inode and birth of what was there and of what is (snapshot/state_form.c)


def is_noted(deployment, tenants, name):
    """Whether the state file says that this database is gone, and what stands there instead is what does."""
    path = os.path.join("tenants", name).encode()
    with open(os.path.join(deployment.data, ".holdfast", "state"), "rb") as file:
        state = file.read()
    at = state.rfind(path) + len(path)
    if at + NOTE.size > len(state):
        return False
    incarnation, _, _, inode, _ = NOTE.unpack_from(state, at)
    there = os.stat(tenants.path(name)).st_ino if name in tenants.here else 0
    return incarnation < 1000 and inode == there  # else it is the mark of a record, which comes before the notes


def kill(holdfast, together):
    backend = holdfast.backend_pid
    if together:
        holdfast.kill_tree()
        return
    holdfast.kill()
    send_to(backend, signal.SIGKILL)
    wait_until(lambda: not is_alive(backend), 10, "the backend to end")


def begin(scene):
    """Four tenants, all of them shipped, and nothing is shipped from here on: the next record comes long after the one
    that holds what a kill has left."""
    deployment, oracle = scene.deployment(environment={"HOLDFAST_SYNC_INTERVAL": "10m"}), Oracle()
    holdfast, tenants = deployment.start(), Tenants(deployment.data, 9)
    for _ in range(30):
        oracle.write(holdfast.port, os.urandom(20000).hex())
    for number in range(4):
        tenants.make("%d.db" % number)
    assert holdfast.stop() == 0
    holdfast = deployment.start()
    for _ in range(2):  # the first one may be shipped at once
        oracle.write(holdfast.port)
        kill(holdfast, True)
        holdfast = deployment.start()
        holdfast.wait_durable()
    return deployment, oracle, tenants, holdfast


def bring_together(path):
    """The log into the file; nobody else has it open."""
    database = sqlite3.connect(path)
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    database.close()


def expect_same_bytes(tenants, one, other):
    for path in ["db.sqlite3"] + [os.path.join("tenants", name) for name in tenants.here]:
        bring_together(os.path.join(one, path))
        bring_together(os.path.join(other, path))
        with open(os.path.join(one, path), "rb") as first, open(os.path.join(other, path), "rb") as second:
            assert first.read() == second.read(), path + " is another in the store"


@test
def what_became_of_a_database_before_a_kill_stays_and_costs_nothing(scene):
    deployment, oracle, tenants, holdfast = begin(scene)
    for kills in range(4):
        for _ in range(5):
            oracle.write(holdfast.port)
        name = "%d.db" % kills
        if kills % 2 == 0:
            tenants.delete(name)
            del tenants.here[name]
        else:
            tenants.replace(name, scene.folder("scratch"))
        wait_until(lambda: is_noted(deployment, tenants, name), 10, "the deletion to be noted")
        kill(holdfast, kills < 2)
        holdfast = deployment.start()
        assert not holdfast.log.find("the store wins") and not os.path.exists(
            os.path.join(deployment.data, ".holdfast", "aside")), "the disk gave way"
        oracle.check(holdfast.port)
        holdfast.wait_durable()
    assert holdfast.stop() == 0
    tenants.check(deployment.data)
    copy = os.path.join(scene.folder("copies"), "copy")
    deployment.command("restore", "--to", copy).expect_exit(0)
    tenants.check(copy)
    expect_same_bytes(tenants, deployment.data, copy)
    deployment.command("verify", "--deep").expect_exit(0, timeout_s=60)
    deployment.wipe()
    oracle.check(deployment.start().port)


@test
def one_that_vanished_while_nobody_watched_lets_the_store_win(scene):
    deployment, oracle, tenants, holdfast = begin(scene)
    shipped = oracle.copy()
    for _ in range(5):
        oracle.write(holdfast.port)
    kill(holdfast, True)
    tenants.delete("1.db")
    holdfast = deployment.start()
    assert holdfast.log.find("the store wins"), "a database is missing, and nobody minds"
    shipped.check(holdfast.port)
    assert holdfast.stop() == 0
    tenants.check(deployment.data)


main()
