"""An hour of commits at a steady pace, with packs and bases as they fall: everything that was ever stored, and what the
process used, so that a cheap record with an expensive pack or base behind it can't hide."""

import os
import shutil
import sys
import time

from lib.harness import *
from deltas import BYTES, LONG_S, MB, RATE, commit_load, newest_commit_ns, serve, sizes
from measure import Sampler, Watch, cpu_s, memory_kb

HOUR_S = int(os.environ.get("BENCH_HOUR_S", "3600"))


class Stored(Sampler):
    """Every object that a store has had since this was made, also those that were deleted again."""

    def __init__(self, store):
        super().__init__(1)
        self.store, self.before, self.seen = store, sizes(store), {}

    def look(self):
        try:
            self.seen.update(sizes(self.store))
        except FileNotFoundError:
            pass  # deleted between the list and the look; it was seen a second ago

    def new(self, under):
        return [size for key, size in self.seen.items() if key not in self.before and key.startswith(under)]


def measure(_sample, report):
    scene = Scene()
    try:
        deployment = scene.deployment(environment={"HOLDFAST_SYNC_INTERVAL": "1s"})
        scene.tool("generate", "--data", deployment.data, "--bytes", BYTES, "--files", "0", timeout_s=LONG_S)
        holdfast = serve(deployment)
        before, begun = cpu_s(holdfast.pid), time.monotonic()
        with Stored(deployment.store) as stored, Watch(os.path.join(deployment.data, "db.sqlite3-wal")) as watch:
            made = scene.tool("commit-load", "--data", deployment.data, "--rate", RATE, "--seconds", HOUR_S,
                              timeout_s=HOUR_S + LONG_S)
            cpu = (cpu_s(holdfast.pid) - before) / (time.monotonic() - begun) * 100
            holdfast.wait_durable(timeout_s=LONG_S)
        add(report, made, stored, cpu, watch.largest, memory_kb(holdfast.pid)["VmHWM"] * 1024 / MB)
        due_ns = newest_commit_ns(deployment.data)
        assert holdfast.stop(timeout_s=LONG_S) == 0
        prove(report, scene, deployment, due_ns)
    except BaseException:
        print(scene.story()[-3000:], file=sys.stderr)
        raise
    finally:
        scene.clear()


def add(report, made, stored, cpu, wal_bytes, peak):
    commits, groups = made["commits"], {name: stored.new(name) for name in ("log/", "pack/", "base/", "part/", "blob/")}
    each = sum(map(sum, groups.values())) / commits
    report.add("%d s at %d commits/s on %s (%d commits): bytes for each commit, all that was stored" % (HOUR_S, RATE, BYTES, commits),
               "%.0f" % each, "", "", "5000", each <= 5000)
    first = [size for key, size in stored.before.items() if key.startswith("part/")]
    report.add("… the base before it, MB", "%.1f" % (sum(first) / MB))
    for name, found in groups.items():
        report.add("… in `%s`" % name, "%.0f (%d objects, %.1f MB)" % (sum(found) / commits, len(found), sum(found) / MB))
    report.add("… CPU of holdfast, % of a core", "%.2f" % cpu, "", "", "6", cpu <= 6)
    report.add("… largest WAL, MB", "%.1f" % (wal_bytes / MB), "", "", "8", wal_bytes <= 8 * MB)
    report.add("… highest RSS, MB", "%.1f" % peak, "", "", "64", peak <= 64)


def prove(report, scene, deployment, due_ns):
    """What was counted is worth nothing if it doesn't give the newest commit back."""
    target = os.path.join(scene.folder("restored"), "data")
    begun = time.monotonic()
    deployment.command("restore", "--to", target).expect_exit(0, LONG_S)
    report.add("… and a restore of it, wall s", "%.2f" % (time.monotonic() - begun))
    assert newest_commit_ns(target) == due_ns, "the restore lacks commits"
    shutil.rmtree(target)
