"""What many files cost: one of them is written now and then, and all the others lie there. BENCH_RIVAL names another
holdfast to compare with."""

import os
import shutil
import time

from lib.harness import *
from measure import cpu_exact_s, median, memory_kb, spread

MB = 1000 * 1000
LONG_S = 600
COUNT = int(os.environ.get("BENCH_MANY", "100000"))
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
LOAD_S = int(os.environ.get("BENCH_FILES_S", "10"))
RIVAL = os.environ.get("BENCH_RIVAL")
FOLDERS = 1000
# Records wait for nothing, so that what is left of the time is work.
SYNC_INTERVAL = "20ms"


def make(data):
    for folder in range(FOLDERS):
        os.makedirs(os.path.join(data, "many", "%03d" % folder))
    for number in range(COUNT):
        with open(path_of(data, number), "wb") as file:
            file.write(b"%d" % number)


def path_of(data, number):
    return os.path.join(data, "many", "%03d" % (number % FOLDERS), "%032x" % number)


class Side:
    """One holdfast with a directory of its own."""

    def __init__(self, scene, binary):
        self.binary, self.next = binary, 0
        self.deployment = scene.deployment(environment={"HOLDFAST_SYNC_INTERVAL": SYNC_INTERVAL})
        make(self.deployment.data)
        self.cpu_ms, self.idle, self.record_ms = [], 0, []
        self.holdfast = None

    def begin(self):
        before = os.environ.get("HOLDFAST_BIN")
        if self.binary:
            os.environ["HOLDFAST_BIN"] = self.binary
        self.holdfast = self.deployment.start("--no-background-writes", ready=False)
        os.environ.pop("HOLDFAST_BIN", None)
        if before:
            os.environ["HOLDFAST_BIN"] = before
        self.holdfast.wait_ready(LONG_S)
        self.holdfast.post("/write", "the first of this run")
        self.holdfast.wait_durable(timeout_s=LONG_S)

    def records(self):
        return len(os.listdir(os.path.join(self.deployment.store.path, "log")))

    def write(self):
        """Writes one file; the time until there is a record of it."""
        before, begun = self.records(), time.monotonic()
        self.next += 1
        with open(path_of(self.deployment.data, self.next * 37 % COUNT), "wb") as file:
            file.write(b"written %d" % self.next)
        while self.records() == before:
            assert time.monotonic() - begun < 60
            time.sleep(0.002)
        return (time.monotonic() - begun) * 1000

    def run(self):
        """One file a second, and what that takes of a core."""
        begun, cpu = time.monotonic(), cpu_exact_s(self.holdfast.pid)
        for second in range(LOAD_S):
            time.sleep(max(0, begun + second - time.monotonic()))
            self.record_ms.append(self.write())
        time.sleep(max(0, begun + LOAD_S - time.monotonic()))
        self.cpu_ms.append((cpu_exact_s(self.holdfast.pid) - cpu) * 1000 / LOAD_S)

    def rest(self):
        """Resident, when nothing is left to do."""
        looks = []
        for _ in range(10):
            time.sleep(0.5)
            looks.append(memory_kb(self.holdfast.pid)["VmRSS"] * 1024)
        self.idle = min(looks)

    def end(self):
        assert self.holdfast.stop(timeout_s=LONG_S) == 0
        shutil.rmtree(self.deployment.data)


def idle_without(scene):
    """The same without files."""
    deployment = scene.deployment()
    holdfast = deployment.start("--no-background-writes", ready=False)
    holdfast.wait_ready(LONG_S)
    holdfast.post("/write", "one")
    holdfast.wait_durable(timeout_s=LONG_S)
    time.sleep(3)
    looks = []
    for _ in range(5):
        time.sleep(0.5)
        looks.append(memory_kb(holdfast.pid)["VmRSS"] * 1024)
    assert holdfast.stop() == 0
    return min(looks)


def files(_sample, report):
    scene = Scene()
    try:
        empty = idle_without(scene)
        sides = [Side(scene, None)] + ([Side(scene, RIVAL)] if RIVAL else [])
        for side in sides:
            side.begin()
            side.write()
        for _ in range(ROUNDS):
            for side in sides:
                side.run()
        for side in sides:
            side.rest()
            side.end()
    finally:
        scene.clear()
    ours, rival = sides[0], sides[1] if RIVAL else None
    report.add("one of %d files written each second: CPU, ms for each" % COUNT, spread(ours.cpu_ms),
               "before: " + spread(rival.cpu_ms) if rival else "",
               "%.2f" % (median(ours.cpu_ms) / median(rival.cpu_ms)) if rival else "")
    report.add("… from the write to the record, every %s at most, ms" % SYNC_INTERVAL, spread(ours.record_ms),
               "before: " + spread(rival.record_ms) if rival else "",
               "%.2f" % (median(ours.record_ms) / median(rival.record_ms)) if rival else "")
    each = (ours.idle - empty) / COUNT
    report.add("… idle RSS for each file, bytes", "%.0f" % each,
               "before: %.0f" % ((rival.idle - empty) / COUNT) if rival else "", "", "150", each <= 150)
