"""What shipping every commit costs, and what it saves: the application beside its own bare WAL, what a dead machine
loses, how long a restore with many deltas takes, and what holdfast does when nothing happens."""

import os
import random
import shutil
import sqlite3
import subprocess
import sys
import threading
import time

from lib.harness import *
from lib.s3servers import FaultS3
from measure import Run, Watch, cpu_s, cpu_exact_s, median, memory_kb, percentile, spread

MB = 1000 * 1000
LONG_S = 600
RATE = 50
BYTES = os.environ.get("BENCH_DELTA_BYTES", "256MiB")
ROUNDS = int(os.environ.get("BENCH_DELTA_ROUNDS", "3"))
LOAD_S = int(os.environ.get("BENCH_DELTA_S", "15"))
FULL_S = int(os.environ.get("BENCH_FULL_S", "5"))
KILLS = int(os.environ.get("BENCH_KILLS", "45"))
LANES = int(os.environ.get("BENCH_LANES", "3"))
IDLE_S = int(os.environ.get("BENCH_IDLE_S", "60"))
REPLAY_BYTES = os.environ.get("BENCH_BYTES", "1GiB")
REPLAY_COMMITS = int(os.environ.get("BENCH_COMMITS", "50000"))
REPLAY_ROUNDS = int(os.environ.get("BENCH_REPLAY_ROUNDS", "3"))
# Ten times as fast as they would come, and ten times as many records in a second: fifty commits in each, as at 50 a second.
REPLAY_RATE, REPLAY_INTERVAL = 500, "100ms"


def commit_load(scene, data, rate, seconds, *more):
    """What the application saw."""
    return scene.tool("commit-load", "--data", data, "--rate", rate, "--seconds", seconds, *more, timeout_s=LONG_S)


def sizes(store, under=""):
    """key: bytes, of a directory store."""
    return {key: os.path.getsize(os.path.join(store.path, key)) for key in store.keys(under)}


def serve(deployment):
    """holdfast on what is there, with everything shipped."""
    holdfast = deployment.start("--no-background-writes", ready=False)
    holdfast.wait_ready(LONG_S)
    holdfast.post("/write", "the first of this run")
    holdfast.wait_durable(timeout_s=LONG_S)
    return holdfast


class Side:
    """One data directory under one load, round after round."""

    def __init__(self, scene, data, *flags):
        self.scene, self.data, self.flags = scene, data, flags
        self.seen, self.wal_bytes = [], []

    def run(self, rate, seconds):
        with Watch(os.path.join(self.data, "db.sqlite3-wal")) as watch:
            self.seen.append(commit_load(self.scene, self.data, rate, seconds, *self.flags))
        self.wal_bytes.append(watch.largest)

    def all(self, name, unit=1000):
        return [one[name] / unit for one in self.seen]


class Ours(Side):
    """… under holdfast: what it used and stored meanwhile, until the last commit was in the store."""

    def __init__(self, scene, deployment, holdfast):
        super().__init__(scene, deployment.data)
        self.deployment, self.holdfast = deployment, holdfast
        self.cpu_percent, self.log_bytes, self.other_bytes = [], 0, 0

    def run(self, rate, seconds):
        before, cpu_before, begun = sizes(self.deployment.store), cpu_s(self.holdfast.pid), time.monotonic()
        super().run(rate, seconds)
        self.cpu_percent.append((cpu_s(self.holdfast.pid) - cpu_before) / (time.monotonic() - begun) * 100)
        self.holdfast.wait_durable(timeout_s=LONG_S)
        for key, size in sizes(self.deployment.store).items():
            if key not in before and key.startswith("log/"):
                self.log_bytes += size
            elif key not in before:
                self.other_bytes += size

    @property
    def bytes_per_commit(self):
        return self.log_bytes / sum(one["commits"] for one in self.seen)


def add_steady(report, ours, bare):
    each = ours.bytes_per_commit
    report.add("%d commits/s on %s: bytes for each commit in log records" % (RATE, BYTES), "%.0f" % each, "", "", "2200",
               each <= 2200)
    report.add("… in other objects meanwhile, bytes for each commit (0: no base fell into it)",
               "%.0f" % (ours.other_bytes / sum(one["commits"] for one in ours.seen)))
    cpu = median(ours.cpu_percent)
    report.add("… CPU of holdfast, % of a core", spread(ours.cpu_percent), "", "", "6", cpu <= 6)
    for name, words in (("p50_us", "p50"), ("p99_us", "p99")):
        ratio = median(ours.all(name)) / median(bare.all(name))
        report.add("… the application's commit, %s, ms" % words, spread(ours.all(name)),
                   "WAL without holdfast: " + spread(bare.all(name)), "%.2f" % ratio, "1 (1.1 with noise)", ratio <= 1.1)
    wal = max(ours.wal_bytes) / MB
    report.add("… largest WAL, MB", "%.1f" % wal, "WAL without holdfast: %.1f" % (max(bare.wal_bytes) / MB), "", "8", wal <= 8)


def add_full(report, ours, bare, rollback):
    speed, bare_speed, old_speed = (side.all("per_second", 1) for side in (ours, bare, rollback))
    ratio, old_ratio = median(speed) / median(bare_speed), median(speed) / median(old_speed)
    report.add("unthrottled: commits/s", spread(speed), "WAL without holdfast: " + spread(bare_speed), "%.2f" % ratio,
               "0.8 (goal 0.9)", ratio >= 0.8)
    report.add("…", spread(speed), "rollback journal without holdfast: " + spread(old_speed), "%.2f" % old_ratio, "2",
               old_ratio >= 2)
    stall, bare_stall = max(ours.all("max_us")), max(bare.all("max_us"))
    report.add("… the worst commit of all rounds, ms", "%.1f" % stall, "WAL without holdfast: %.1f" % bare_stall,
               "%+.1f ms" % (stall - bare_stall), "+100 ms", stall - bare_stall <= 100)
    report.add("… p99, ms", spread(ours.all("p99_us")), "WAL without holdfast: " + spread(bare.all("p99_us")))
    wal = max(ours.wal_bytes) / MB
    report.add("… largest WAL, MB", "%.1f" % wal, "WAL without holdfast: %.1f" % (max(bare.wal_bytes) / MB), "", "32", wal <= 32)
    report.add("… CPU of holdfast, % of a core", spread(ours.cpu_percent))
    report.add("… bytes for each commit in log records", "%.0f" % ours.bytes_per_commit)


def deltas(_sample, report):
    """Three copies of one database: under holdfast, in WAL mode without, in rollback mode without. They take turns."""
    scene = Scene()
    try:
        deployment = scene.deployment(environment={"HOLDFAST_SYNC_INTERVAL": "1s"})
        scene.tool("generate", "--data", deployment.data, "--bytes", BYTES, "--files", "0", timeout_s=LONG_S)
        copies = [os.path.join(scene.folder(name), "data") for name in ("wal", "rollback")]
        for copy in copies:
            shutil.copytree(deployment.data, copy)
        holdfast = serve(deployment)
        ours, bare = Ours(scene, deployment, holdfast), Side(scene, copies[0], "--wal")
        for _ in range(ROUNDS):
            bare.run(RATE, LOAD_S)
            ours.run(RATE, LOAD_S)
        add_steady(report, ours, bare)
        ours, bare, rollback = Ours(scene, deployment, holdfast), Side(scene, copies[0], "--wal"), Side(scene, copies[1])
        for _ in range(ROUNDS):
            for side in (rollback, bare, ours):
                side.run("max", FULL_S)
        add_full(report, ours, bare, rollback)
        assert holdfast.stop(timeout_s=LONG_S) == 0
    except BaseException:
        print(scene.story()[-3000:], file=sys.stderr)
        raise
    finally:
        scene.clear()


def newest_commit_ns(data):
    """Commits are stamped with the wall clock, in ns."""
    database = sqlite3.connect(os.path.join(data, "db.sqlite3"))
    try:
        return database.execute("SELECT max(ts) FROM documents").fetchone()[0]
    finally:
        database.close()


class Lane:
    """A server, and machines that die one after the other, each with a deployment of its own."""

    def __init__(self, number):
        self.scene, self.server, self.random = Scene(), FaultS3(), random.Random(number)
        self.count, self.failure = 0, None

    def kill_one(self, interval, interval_s):
        """A machine that dies at a random moment: the age in seconds of the newest commit in a restore, and how many requests
        it had made in how many seconds of load."""
        self.count += 1
        self.server.settings(delay_ms=50)
        deployment = self.scene.deployment(store=self.server.store("kill%d" % self.count),
                                           environment={**self.server.environment, "HOLDFAST_SYNC_INTERVAL": interval})
        holdfast = serve(deployment)
        self.server.clear_log()
        begun = time.monotonic()
        load = self.scene.process("commit-load", [backend_path(), "commit-load", "--data", deployment.data, "--rate", RATE,
                                                  "--seconds", LONG_S])
        # Long enough that every phase of the interval is as likely, and that the start is over.
        time.sleep(0.5 + interval_s + self.random.random() * max(1, interval_s) * 2)
        assert load.running and holdfast.running, "it ended before it was killed"
        killed_ns, seconds = time.time_ns(), time.monotonic() - begun
        holdfast.kill_tree()
        load.kill()
        requests = len(self.server.log())
        # What had reached the store when the machine died is carried out there.
        wait_until(lambda: all(entry["ended"] for entry in self.server.log()), 10, "the store to finish")
        self.server.settings(delay_ms=0)
        target = os.path.join(self.scene.folder("restored"), "data")
        deployment.command("restore", "--to", target).expect_exit(0, LONG_S)
        age_s = (killed_ns - newest_commit_ns(target)) / 1e9
        for gone in (target, deployment.data):
            shutil.rmtree(gone)
        return age_s, requests, seconds

    def run(self, count, interval, interval_s, found):
        try:
            for _ in range(count):
                found.append(self.kill_one(interval, interval_s))
        except BaseException as failure:
            self.failure = failure


def kill_many(lanes, interval, interval_s):
    """The lanes take turns on the machine, which has little to do: at 50 ms for each request they mostly wait."""
    found = []
    each = (KILLS + len(lanes) - 1) // len(lanes)
    threads = [threading.Thread(target=lane.run, args=(each, interval, interval_s, found)) for lane in lanes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for lane in lanes:
        if lane.failure:
            print(lane.scene.story()[-3000:], file=sys.stderr)
            raise lane.failure
    return found


def lost(_sample, report):
    lanes = [Lane(number) for number in range(LANES)]
    try:
        for interval, interval_s, due_p50, due_p99 in (("1s", 1, 0.6, 1.1), ("100ms", 0.1, None, None)):
            found = kill_many(lanes, interval, interval_s)
            ages = [age_s for age_s, _, _ in found]
            for percent, due in ((50, due_p50), (99, due_p99)):
                age_s = percentile(ages, percent)
                report.add("kill -9 of everything, 50 ms for each request, interval %s: lost, p%d of %d, s" % (interval, percent, len(ages)),
                           "%.2f (%.2f to %.2f)" % (age_s, min(ages), max(ages)), "", "", str(due or ""),
                           None if due is None else age_s <= due)
            rate = sum(requests for _, requests, _ in found) / sum(seconds for _, _, seconds in found) * 60
            report.add("… requests in a minute under %d commits/s" % RATE, "%.0f" % rate)
    finally:
        for lane in lanes:
            lane.server.stop()
        for lane in lanes:
            lane.scene.clear()


def idle(_sample, report):
    """A minute in which nobody writes, after everything was shipped and 10 s have passed."""
    scene = Scene()
    try:
        with FaultS3() as server:
            deployment = scene.deployment(store=server.store("idle"),
                                          environment={**server.environment, "HOLDFAST_SYNC_INTERVAL": "1s"})
            holdfast = serve(deployment)
            time.sleep(10)
            server.clear_log()
            before, begun = cpu_exact_s(holdfast.pid), time.monotonic()
            time.sleep(IDLE_S)
            cpu = (cpu_exact_s(holdfast.pid) - before) / (time.monotonic() - begun) * 100
            requests = ["%s %s" % (entry["operation"], entry["key"]) for entry in server.log()]
            rss = memory_kb(holdfast.pid)["VmRSS"] * 1024 / MB
            assert holdfast.stop() == 0
    finally:
        scene.clear()
    report.add("idle for %d s: requests" % IDLE_S, "%d %s" % (len(requests), ", ".join(requests[:3])), "", "", "0", not requests)
    report.add("… CPU, % of a core", "%.4f" % cpu, "", "", "0.05", cpu <= 0.05)
    report.add("… RSS, MB", "%.1f" % rss, "", "", "16", rss <= 16)


def grow(scene, deployment):
    """The deltas, faster than they would come, and without a base that would make them unnecessary."""
    scene.tool("generate", "--data", deployment.data, "--bytes", REPLAY_BYTES, "--files", "0", timeout_s=LONG_S)
    holdfast = serve(deployment)
    base = sizes(deployment.store)
    made = commit_load(scene, deployment.data, REPLAY_RATE, LONG_S, "--commits", REPLAY_COMMITS)
    assert made["commits"] == REPLAY_COMMITS, made
    holdfast.wait_durable(timeout_s=LONG_S)
    assert holdfast.stop(timeout_s=LONG_S) == 0
    grown = {key: size for key, size in sizes(deployment.store).items() if key not in base}
    records = [size for key, size in grown.items() if key.startswith("log/")]
    return len(records), sum(grown.values())


def replay(_sample, report):
    """Beside it, in turn, zstd -d of the same database: how fast the machine is just now."""
    scene, runs, rival = Scene(), [], []
    try:
        deployment = scene.deployment(environment={"HOLDFAST_SYNC_INTERVAL": REPLAY_INTERVAL, "HOLDFAST_RESTORE_BUDGET": "1h"})
        records, grown_bytes = grow(scene, deployment)
        due_ns = newest_commit_ns(deployment.data)
        folder = scene.folder("restored")
        target, packed, plain = (os.path.join(folder, name) for name in ("data", "db.zst", "db"))
        subprocess.run(["zstd", "-q", "-3", "-T0", "-o", packed, os.path.join(deployment.data, "db.sqlite3")], check=True)
        for _ in range(REPLAY_ROUNDS):
            os.sync()
            runs.append(Run([holdfast_path(), "restore", "--to", target], deployment.variables()))
            assert newest_commit_ns(target) == due_ns, "the restore lacks commits"
            shutil.rmtree(target)
            os.sync()
            rival.append(Run(["zstd", "-q", "-d", "-o", plain, packed], os.environ))
            os.unlink(plain)
    except BaseException:
        print(scene.story()[-3000:], file=sys.stderr)
        raise
    finally:
        scene.clear()
    took = [run.wall_s for run in runs]
    report.add("restore of %s and %d commits (%d a second, interval %s: %d records, %.0f MB), wall s" % (
        REPLAY_BYTES, REPLAY_COMMITS, REPLAY_RATE, REPLAY_INTERVAL, records, grown_bytes / MB), spread(took),
        "zstd -d of the database alone, no sync: " + spread([run.wall_s for run in rival]),
        "%.2f" % median([one / other.wall_s for one, other in zip(took, rival)]), "3.5", median(took) <= 3.5)
    report.add("… user + system CPU s", spread([run.cpu_s for run in runs]))
    peak = max(run.peak_kb for run in runs) * 1024 / MB
    report.add("… highest RSS, MB", "%.1f" % peak, "", "", "64", peak <= 64)
