#!/usr/bin/env python3
"""Databases that can't be followed: nothing that holdfast says may pass them for safe, and all else goes on."""

import os
import sqlite3
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from lib.answers import output, printed
from lib.harness import *


def open_own(deployment, name="own.db"):
    """A database that this process shares with nobody, with a row in it."""
    database = sqlite3.connect(os.path.join(deployment.data, name), isolation_level=None)
    database.execute("PRAGMA locking_mode=EXCLUSIVE")
    database.execute("PRAGMA journal_mode=DELETE")
    database.execute("CREATE TABLE note(text)")
    database.execute("INSERT INTO note VALUES('first')")
    return database


def unprotected(holdfast):
    return [warning for warning in holdfast.status()["warnings"] if "has not been protected since" in warning]


def wait_unprotected(holdfast, *names):
    return wait_until(lambda: len(unprotected(holdfast)) == len(names) and
                      all(name in warning for name, warning in zip(names, unprotected(holdfast))) and holdfast.status(),
                      20, "the warnings of %s" % (names,))


def restored(scene, deployment, *arguments):
    copy = os.path.join(scene.folder("copies"), "copy")
    output(deployment.command("restore", "--to", copy, *arguments))
    return copy


@test
def nothing_says_that_a_database_is_safe_which_is_kept_locked(scene):
    deployment, oracle = scene.deployment(), Oracle()
    holdfast = deployment.start()
    holdfast.wait_durable()
    own = open_own(deployment)
    first = wait_unprotected(holdfast, "own.db")
    for _ in range(3):
        oracle.write(holdfast.port)
        own.execute("INSERT INTO note VALUES('more')")
    record = wait_until(lambda: holdfast.status()["durable_record"] > first["record"] and holdfast.status(), 20, "a record")
    assert record["position"] > record["durable_position"], "other records go on, and this is in none"
    assert record["lag_seconds"] > 0 and record["degraded"] is True
    metrics = holdfast.metrics()
    assert metrics["holdfast_position"] > metrics["holdfast_durable_position"]
    assert metrics["holdfast_lag_seconds"] >= record["lag_seconds"]
    assert metrics["holdfast_degraded"] == 1 and metrics["holdfast_unprotected_databases"] == 1
    page = fetch(holdfast.admin, "GET", "/").text
    assert "own.db has not been protected" in page and "Everything that was committed" not in page
    text = output(deployment.command("status"))
    assert "not every database is protected" in text and "own.db has not been protected" in text
    assert "a base of everything but the databases that" in output(deployment.command("snapshot"))
    assert not os.path.exists(os.path.join(restored(scene, deployment), "own.db"))
    assert holdfast.stop() == 74
    own.close()


@test
def it_is_all_safe_again_when_the_database_is_let_go_of(scene):
    deployment = scene.deployment()
    holdfast = deployment.start()
    own = open_own(deployment)
    wait_unprotected(holdfast, "own.db")
    own.close()
    status = wait_until(lambda: not unprotected(holdfast) and holdfast.status(), 20, "no such warning")
    holdfast.wait_durable()
    assert holdfast.status()["lag_seconds"] == 0 and holdfast.status()["degraded"] is False, status
    copy = sqlite3.connect(os.path.join(restored(scene, deployment), "own.db"))
    assert copy.execute("SELECT text FROM note").fetchall() == [("first",)]
    copy.close()
    assert holdfast.stop() == 0


@test
def a_damaged_database_travels_as_a_plain_file(scene):
    deployment = scene.deployment()
    holdfast = deployment.start()
    beside = os.path.join(scene.folder("beside"), "odd.db")
    database = sqlite3.connect(beside, isolation_level=None)
    database.execute("CREATE TABLE note(text)")
    database.executemany("INSERT INTO note VALUES(?)", [("x" * 1000,) for _ in range(100)])
    database.close()
    os.truncate(beside, 8192)
    content = open(beside, "rb").read()
    os.rename(beside, os.path.join(deployment.data, "odd.db"))
    wait_until(lambda: any("odd.db" in warning and "plain file" in warning for warning in holdfast.status()["warnings"]),
               20, "the warning")
    holdfast.wait_durable()
    assert holdfast.status()["degraded"] is False
    assert open(os.path.join(restored(scene, deployment), "odd.db"), "rb").read() == content
    assert holdfast.stop() == 0


@test
def what_is_in_the_log_of_a_plain_database_is_not_called_safe(scene):
    deployment = scene.deployment(environment={"HOLDFAST_DATABASES": "db.sqlite3"})
    holdfast = deployment.start()
    other = sqlite3.connect(os.path.join(deployment.data, "other.db"), isolation_level=None)
    other.execute("PRAGMA journal_mode=WAL")
    other.execute("CREATE TABLE note(text)")
    assert wait_unprotected(holdfast, "other.db")["degraded"] is True
    assert holdfast.stop() == 74 and holdfast.log.find("not everything was shipped")
    other.close()
    holdfast = deployment.start()
    assert holdfast.status()["warnings"] == [] and holdfast.stop() == 0
    copy = sqlite3.connect(os.path.join(restored(scene, deployment), "other.db"))
    assert copy.execute("SELECT count(*) FROM note").fetchone() == (0,)
    copy.close()


main()
