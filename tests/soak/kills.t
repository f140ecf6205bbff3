#!/usr/bin/env python3
"""make soak: hundreds of kills, over a directory and over our own S3 server with faults on. KILLS_ROUNDS and KILLS_SEED choose how
many rounds each test has and which plan it draws; docs/SOAK.md keeps what was seen."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "system"))
from lib.harness import *
from lib.kills import Kills
from lib.s3servers import FaultS3

ROUNDS = int(os.environ.get("KILLS_ROUNDS", "160"))
SEED = int(os.environ.get("KILLS_SEED", "7"))


def soak(scene, deployment, seed, before_round=lambda: None, **options):
    kills = Kills(scene, deployment, seed, **options)
    for number in range(ROUNDS):
        before_round()
        kills.round()
        if number % 20 == 19:
            kills.open_every_point()
    kills.open_every_point()
    kills.verify()
    print("# seed %d: %s" % (seed, kills.summary()), flush=True)
    return kills


@test(limit_s=6 * 3600)
def kills_over_a_directory(scene):
    soak(scene, scene.deployment(), SEED)


@test(limit_s=6 * 3600)
def kills_over_a_directory_with_two_databases(scene):
    soak(scene, scene.deployment(arguments=["--second-database"]), SEED + 1)


@test(limit_s=6 * 3600)
def kills_over_s3_that_fails_now_and_then(scene):
    with FaultS3() as server:
        deployment = scene.deployment(store=server.store("soak"), environment=server.environment)

        def faults():
            server.clear_faults()
            server.fault(kind="status", status=503, code="SlowDown", skip=7, times=2)
            server.fault(kind="reset_after", operation="create", skip=3, times=1)
            server.fault(kind="reset_during", skip=25, times=1)
            server.fault(kind="truncate", operation="get", skip=4, times=1)

        soak(scene, deployment, SEED + 2, faults)


@test(limit_s=6 * 3600)
def kills_of_an_application_with_a_newer_sqlite(scene):
    soak(scene, scene.deployment(backend=backend_new_path()), SEED + 3)


@test(limit_s=6 * 3600)
def kills_on_a_disk_that_is_kept(scene):
    """It hardly ever gives way to the store: what it has more than that is acknowledged, if not shipped."""
    kills = soak(scene, scene.deployment(arguments=["--second-database"]), SEED + 4, wiped=0.1)
    assert kills.gave_way <= kills.kills // 50, "%d kept disks gave way to the store" % kills.gave_way


main()
