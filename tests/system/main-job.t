#!/usr/bin/env python3
"""The main job, end to end: restore, gate, run, snapshot, shut down, restore again; on a directory, on miniflare's R2
and on our own strict server, whose log tells how many sequential round trips a start takes."""

import os
import shutil
import sqlite3
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from lib.harness import *
from lib.s3servers import FaultS3, Miniflare, round_trips

FENCED = 76
# Long beside what a busy machine may take between two requests of one round.
DELAY_MS = 250


def stays_at(number, for_s):
    """The number, if it didn't change for so long; else None."""
    first = number()
    try:
        stays(lambda: number() == first, for_s)
    except AssertionError:
        return None
    return first


def on_a(server, scene):
    """A deployment whose store is a prefix of an S3 server."""
    store = server.store("a/prefix")
    return scene.deployment(store=store, environment=server.environment)


def live_twice(deployment):
    """Two containers that lose their disks: the first dies, the second is stopped. Then a third looks."""
    oracle = Oracle()
    first = deployment.start()
    for _ in range(10):
        oracle.write(first.port)
    oracle.upload(first.port, os.urandom(200000))
    oracle.upload(first.port, b"small")
    first.wait_durable()
    first.kill_tree()
    deployment.wipe()

    second = deployment.start()
    oracle.check(second.port)
    oracle.write(second.port)
    assert second.stop() == 0
    deployment.wipe()

    third = deployment.start()
    oracle.check(third.port)
    assert third.stop() == 0
    return oracle


@test
def a_directory_as_the_store(scene):
    live_twice(scene.deployment())


@test
def miniflare_as_the_store(scene):
    reason = Miniflare.why_not()
    if reason:
        skip(reason)
    with Miniflare() as server:
        live_twice(on_a(server, scene))


@test
def a_strict_server_behind_a_base_path(scene):
    with FaultS3(base_path="/some/base") as server:
        live_twice(on_a(server, scene))


@test
def an_application_with_a_newer_sqlite(scene):
    if not os.path.exists(backend_new_path()):
        skip("build/gcc/backend-new was not built")
    live_twice(scene.deployment(backend=backend_new_path()))


def trips_of_a_start(server, deployment, wiped):
    """Sequential round trips from the first request to the launch, of a container that follows another."""
    first = deployment.start()
    Oracle().write(first.port)
    first.wait_durable()
    assert first.stop() == 0
    if wiped:
        deployment.wipe()
    server.settings(delay_ms=DELAY_MS)
    server.clear_log()
    second = deployment.start(ready=False)
    second.wait_for_log("launched")
    trips = round_trips(server.log())
    second.wait_ready()
    assert second.stop() == 0
    return trips


@test
def a_cold_start_takes_the_four_round_trips_of_the_design(scene):
    with FaultS3() as server:
        trips = trips_of_a_start(server, on_a(server, scene), wiped=True)
        assert trips == 4, "a cold start took %d sequential round trips" % trips


@test
def a_warm_start_takes_three(scene):
    with FaultS3() as server:
        trips = trips_of_a_start(server, on_a(server, scene), wiped=False)
        assert trips == 3, "a warm start took %d sequential round trips" % trips


@test
def a_second_container_fences_the_first(scene):
    deployment, oracle = scene.deployment(), Oracle()
    first = deployment.start()
    oracle.write(first.port)
    first.wait_durable()
    other = deployment.elsewhere()
    second = other.start()
    oracle.check(second.port)
    backend = first.backend_pid
    fetch(first.port, "POST", "/write", body="written by the one that was fenced")
    assert first.wait() == FENCED
    wait_until(lambda: not is_alive(backend), 5, "the fenced backend to be gone")
    oracle.check(second.port)
    assert second.stop() == 0


@test
def a_warm_restart_uploads_nothing_that_is_there(scene):
    deployment, oracle = scene.deployment(), Oracle()
    first = deployment.start("--no-background-writes")
    oracle.write(first.port)
    oracle.upload(first.port, os.urandom(3 << 20))
    first.wait_durable()
    assert first.stop() == 0
    blobs = deployment.store.keys("blob/")
    second = deployment.start("--no-background-writes")
    oracle.check(second.port)
    assert second.stop() == 0
    assert deployment.store.keys("blob/") == blobs


@test
def an_idle_holdfast_makes_no_request(scene):
    deployment = scene.deployment()
    holdfast = deployment.start("--no-background-writes")
    Oracle().write(holdfast.port)
    holdfast.wait_durable()

    def requests():
        return sum(value for name, value in holdfast.metrics().items() if name.startswith("holdfast_store_requests_total"))

    # Pruning and the like follow a record; then nothing does.
    calm = wait_until(lambda: stays_at(requests, 1), 20, "an end of the requests")
    stays(lambda: requests() == calm, 3, "no request")
    assert holdfast.stop() == 0


@test
def a_disk_that_was_set_back_does_not_win(scene):
    deployment, oracle = scene.deployment(), Oracle()
    first = deployment.start()
    oracle.write(first.port)
    first.wait_durable()
    assert first.stop() == 0
    yesterday = scene.folder("yesterday")
    shutil.copytree(deployment.data, yesterday, dirs_exist_ok=True, symlinks=True)
    second = deployment.start()
    for _ in range(5):
        oracle.write(second.port)
    second.wait_durable()
    assert second.stop() == 0
    deployment.wipe()
    shutil.copytree(yesterday, deployment.data, dirs_exist_ok=True, symlinks=True)
    third = deployment.start()
    oracle.check(third.port)
    third.wait_for_log("set aside")
    assert third.stop() == 0


@test
def every_point_that_is_listed_can_be_restored_and_opened(scene):
    import json
    deployment, oracle = scene.deployment(), Oracle()
    holdfast = deployment.start()
    for _ in range(4):
        oracle.write(holdfast.port)
        holdfast.wait_durable()
    assert holdfast.stop() == 0
    listing = deployment.command("list", "--json")
    listing.expect_exit(0)
    points = json.loads("".join(listing.out.lines))["points"]
    assert len(points) >= 4
    for point in points:
        target = os.path.join(scene.folder("copy"), "there")
        deployment.command("restore", "--to", target, "--at", str(point["record"])).expect_exit(0)
        database = sqlite3.connect(os.path.join(target, "db.sqlite3"))
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        database.close()
    deployment.command("verify").expect_exit(0)


main()
