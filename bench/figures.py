#!/usr/bin/env python3
"""The figures of docs/BENCHMARKS.md. Where there is a rival, ours and the rival alternate in one run, so that what else
the machine does falls on both; medians count."""

import os
import shutil
import socket
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "tests", "system"))
sys.path.insert(0, HERE)
from lib.harness import *
from lib.s3servers import FaultS3, round_trips
from measure import Run, load, machine, median, memory_kb, spread
import deltas
import files
import hour
import proxy

BYTES = os.environ.get("BENCH_BYTES", "1GiB")
FILES = os.environ.get("BENCH_FILES", "1000")
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
LOAD_S = int(os.environ.get("BENCH_LOAD_S", "20"))
LONG_S = 600
MB = 1000 * 1000
TOUCH = "import sys; room = bytearray(int(sys.argv[1])); room[::4096] = bytes(len(room[::4096]))"


class Report:
    """Rows of the table: figure, ours, rival, ratio, limit, met."""

    def __init__(self):
        self.rows = []

    def add(self, figure, ours, rival="", ratio="", limit="", met=None):
        self.rows.append((figure, ours, rival, ratio, limit, "" if met is None else "yes" if met else "**no**"))
        print("# load %s: %s" % (load(), " | ".join(self.rows[-1])), file=sys.stderr, flush=True)

    def print(self):
        print("| figure | ours | rival | ratio | limit | met |\n|---|---|---|---|---|---|")
        for row in self.rows:
            print("| %s |" % " | ".join(row))


class Sample:
    """A Convex-like data directory, its store, and the same bytes as one file for zstd. Made once for all figures."""

    def __init__(self, scene):
        self.scene = scene
        self.deployment = scene.deployment()
        self.folder = os.path.dirname(self.deployment.data)
        scene.tool("generate", "--data", self.deployment.data, "--bytes", BYTES, "--files", FILES, timeout_s=LONG_S)
        self.bytes = sum(os.path.getsize(os.path.join(at, name))
                         for at, _, names in os.walk(self.deployment.data) for name in names)
        self.packed = os.path.join(self.folder, "sample.zst")
        tar = subprocess.Popen(["tar", "-C", self.deployment.data, "-cf", "-", "."], stdout=subprocess.PIPE)
        subprocess.run(["zstd", "-q", "-3", "-T0", "-o", self.packed], stdin=tar.stdout, check=True)
        assert tar.wait() == 0
        holdfast = self.deployment.start("--no-background-writes")
        fetch(holdfast.port, "POST", "/write", body="the first of this run")
        holdfast.wait_durable(timeout_s=LONG_S)
        assert holdfast.stop(timeout_s=LONG_S) == 0

    def settle(self):
        """What others left to be written is no part of the next figure, and neither is the time in which a virtual machine
        gets back from its host the memory that it had handed over while it was free (free page reporting)."""
        subprocess.run(["sync", "-f", self.folder], check=True)
        subprocess.run([sys.executable, "-c", TOUCH, str(3 * self.bytes // 2)], check=True)


def restore(sample, report):
    target, plain = os.path.join(sample.folder, "restored"), os.path.join(sample.folder, "plain.tar")
    ours, rival, read = [], [], {target: [], plain: []}

    def read_all(path):
        file = os.path.join(path, "db.sqlite3") if os.path.isdir(path) else path
        read[path].append(Run(["dd", "if=" + file, "of=/dev/null", "bs=64K", "status=none"], os.environ).wall_s)

    for _ in range(ROUNDS):
        sample.settle()
        ours.append(Run([holdfast_path(), "restore", "--to", target], sample.deployment.variables()))
        read_all(target)
        shutil.rmtree(target)
        sample.settle()
        rival.append(Run(["sh", "-c", 'zstd -q -d "$1" -o "$2" && sync "$2"', "sh", sample.packed, plain], os.environ))
        read_all(plain)
        os.unlink(plain)
    ratio = median([one.wall_s for one in ours]) / median([one.wall_s for one in rival])
    report.add("restore of %.2f GB, wall s" % (sample.bytes / 1e9), spread([one.wall_s for one in ours]),
               "zstd -d, sync: " + spread([one.wall_s for one in rival]), "%.2f" % ratio, "0.8", ratio <= 0.8)
    report.add("… user + system CPU s", spread([one.cpu_s for one in ours]), spread([one.cpu_s for one in rival]),
               "%.2f" % (median([one.cpu_s for one in ours]) / median([one.cpu_s for one in rival])))
    both = [[run.wall_s + more for run, more in zip(runs, read[path])] for runs, path in ((ours, target), (rival, plain))]
    report.add("… with the first reading of all of it after it, s", spread(both[0]), spread(both[1]),
               "%.2f" % (median(both[0]) / median(both[1])))
    peak = max(one.peak_kb for one in ours) * 1024 / MB
    report.add("… highest RSS, MB", "%.1f" % peak, "", "", "64", peak <= 64)


def worst_commit_ms(data, seconds, meanwhile):
    """The worst COMMIT at 50 a second for so long, and what `meanwhile` returns, which is called when it has begun."""
    process = subprocess.Popen([backend_path(), "commit-load", "--data", data, "--rate", "50", "--seconds", str(seconds),
                                "--wal"], stdout=subprocess.PIPE, text=True)
    result = meanwhile()
    line = process.communicate()[0]
    assert process.returncode == 0, line
    return int(line.split('"max_us":')[1].split("}")[0].split(",")[0]) / 1000, result


def base(sample, report):
    """Each round the bare WAL first, then holdfast, for equally long, with a base asked for as soon as the load runs."""
    bare = os.path.join(sample.folder, "bare")
    shutil.copytree(sample.deployment.data, bare, ignore=shutil.ignore_patterns(".holdfast", "*-wal", "*-shm"))
    ours, rival, took, packed = [], [], [], []
    for _ in range(ROUNDS):
        sample.settle()
        rival.append(worst_commit_ms(bare, LOAD_S, lambda: None)[0])
        holdfast = sample.deployment.start("--no-background-writes", ready=False)
        holdfast.wait_ready(LONG_S)
        sample.settle()

        def announced():
            begun = time.monotonic()
            sample.deployment.command("snapshot").expect_exit(0, LONG_S)
            return time.monotonic() - begun

        worst, seconds = worst_commit_ms(sample.deployment.data, LOAD_S, announced)
        ours.append(worst)
        took.append(seconds)
        assert holdfast.stop(timeout_s=LONG_S) == 0
        sample.settle()
        packed.append(Run(["sh", "-c", 'zstd -q -3 -T2 -f "$1/db.sqlite3" -o "$1.zst" && sync "$1.zst"', "sh", bare],
                          os.environ).wall_s)
    shutil.rmtree(bare)
    report.add("base of the same under 50 commits/s, s (to a directory, synced)", spread(took),
               "zstd -3 -T2, sync, of the database, without the load: " + spread(packed),
               "%.2f" % (median(took) / median(packed)))
    report.add("worst commit meanwhile, ms", spread(ours), "WAL without holdfast: " + spread(rival),
               "%+.1f ms" % (median(ours) - median(rival)), "+20 ms", median(ours) <= median(rival) + 20)


def settled_memory(holdfast):
    """Resident when nothing is left to do: the lowest of five seconds, in MB."""
    samples = []
    for _ in range(10):
        time.sleep(0.5)
        samples.append(memory_kb(holdfast.pid))
    lowest = min(samples, key=lambda one: one["VmRSS"])
    return {name: kb * 1024 / MB for name, kb in lowest.items()}


def add_idle(report, what, found):
    report.add("idle after %s: RSS, MB" % what, "%.1f" % found["VmRSS"], "", "", "16", found["VmRSS"] <= 16)
    report.add("… anonymous; shared libraries and program, MB", "%.1f; %.1f" % (found["RssAnon"], found["RssFile"]), "",
               "", "6; -", found["RssAnon"] <= 6)


def memory(sample, report):
    deployment = sample.deployment.elsewhere()
    holdfast = deployment.start("--no-background-writes", ready=False)
    holdfast.wait_ready(LONG_S)
    peak = memory_kb(holdfast.pid)["VmHWM"] * 1024 / MB
    report.add("`run` restoring: highest RSS, MB", "%.1f" % peak, "", "", "64", peak <= 64)
    holdfast.wait_durable(timeout_s=LONG_S)  # the backend commits when it starts
    add_idle(report, "a restore", settled_memory(holdfast))
    fetch(holdfast.port, "POST", "/write", body="one more")
    holdfast.wait_durable(timeout_s=LONG_S)
    after_base = settled_memory(holdfast)
    add_idle(report, "a base", after_base)
    assert holdfast.stop(timeout_s=LONG_S) == 0
    shutil.rmtree(deployment.data)
    more_files(sample.scene, report, sample.bytes, after_base)


def more_files(scene, report, sample_bytes, big):
    """What a gigabyte and what a file costs: nearly nothing, and that with 50,000 files."""
    found = []
    for files in (0, 50000):
        deployment = scene.deployment()
        os.mkdir(os.path.join(deployment.data, "many"))
        for number in range(files):
            with open(os.path.join(deployment.data, "many", "%032x" % number), "wb") as file:
                file.write(b"%d" % number)
        holdfast = deployment.start("--no-background-writes", ready=False)
        holdfast.wait_ready(LONG_S)
        fetch(holdfast.port, "POST", "/write", body="one")
        holdfast.wait_durable(timeout_s=LONG_S)
        found.append(settled_memory(holdfast)["VmRSS"])
        assert holdfast.stop(timeout_s=LONG_S) == 0
        shutil.rmtree(deployment.data)
    each = (found[1] - found[0]) * MB / 50000
    per_gb = (big["VmRSS"] - found[0]) / (sample_bytes / 1e9)
    report.add("idle RSS for each file, bytes (50,000 files of 4 bytes)", "%.0f" % each, "", "", "150", each <= 150)
    report.add("idle RSS for each GB, MB", "%.1f" % per_gb, "", "", "2", per_gb <= 2)


def start(_sample, report):
    scene, took = Scene(), []
    try:
        for _ in range(max(ROUNDS, 21)):
            deployment = scene.deployment()
            begun = time.monotonic()
            holdfast = deployment.start(ready=False)
            while True:
                try:
                    socket.create_connection(("127.0.0.1", deployment.port), 1).close()
                    break
                except ConnectionRefusedError:
                    pass
            took.append((time.monotonic() - begun) * 1000)
            holdfast.wait_ready()
            holdfast.stop()
    finally:
        scene.clear()
    report.add("from fork to a connection on the front port, ms", spread(took), "", "", "20", median(took) <= 20)


def time_start(server, deployment):
    server.clear_log()
    begun = time.monotonic()
    holdfast = deployment.start(ready=False)
    holdfast.wait_for_log("launched")
    took_ms, trips = (time.monotonic() - begun) * 1000, round_trips(server.log())
    server.settings(delay_ms=0)
    holdfast.wait_ready()
    assert holdfast.stop() == 0
    server.settings(delay_ms=50)
    return took_ms, trips


def trips(_sample, report):
    """Each round has a store of its own, with a base and the few records of one short life behind it."""
    scene, warm, cold = Scene(), [], []
    try:
        with FaultS3() as server:
            for number in range(ROUNDS):
                server.settings(delay_ms=0)
                deployment = scene.deployment(store=server.store("round%d" % number), environment=server.environment)
                first = deployment.start()
                Oracle().write(first.port)
                first.wait_durable()
                assert first.stop() == 0
                server.settings(delay_ms=50)
                warm.append(time_start(server, deployment))
                deployment.wipe()
                cold.append(time_start(server, deployment))
    finally:
        scene.clear()
    for name, runs, due in (("cold", cold, 4), ("warm", warm, 3)):
        most = max(count for _, count in runs)
        report.add("%s start, 50 ms for each request: round trips" % name, "%d" % most, "", "", "%d" % due, most <= due)
        report.add("… ms until the backend is launched", spread([ms for ms, _ in runs]), "%d trips alone: %d" % (due, 50 * due))


FIGURES = {"restore": restore, "base": base, "memory": memory, "start": start, "trips": trips, "proxy": proxy.measure,
           "deltas": deltas.deltas, "lost": deltas.lost, "idle": deltas.idle, "replay": deltas.replay,
           "files": files.files, "hour": hour.measure}


def run(names):
    report, scene, sample = Report(), Scene(), None
    try:
        for line in machine(os.environ.get("TMPDIR", "/tmp")):
            print(line)
        print(flush=True)
        for name in names:
            if name in ("restore", "base", "memory") and not sample:
                sample = Sample(scene)
            FIGURES[name](sample, report)
    except BaseException:
        print(scene.story()[-3000:], file=sys.stderr)
        raise
    finally:
        report.print()
        scene.clear()


if __name__ == "__main__":
    run(sys.argv[1:] or [name for name in FIGURES if name != "hour"])
