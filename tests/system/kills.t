#!/usr/bin/env python3
"""A seeded fraction of `make soak`: kills at random points, every durable state opened."""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from lib.harness import *
from lib.kills import Kills

ROUNDS = int(os.environ.get("KILLS_ROUNDS", "20"))
SEED = int(os.environ.get("KILLS_SEED", "1"))


@test(limit_s=3600)
def nothing_that_was_shipped_is_lost_by_kills(scene):
    kills = Kills(scene, scene.deployment(), SEED)
    for _ in range(ROUNDS):
        kills.round()
    kills.open_every_point()
    kills.verify()
    print("# seed %d: %s" % (SEED, kills.summary()))


main()
