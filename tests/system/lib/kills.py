"""Kills at random, judged by an oracle that is kept outside. Seeded: the same seed draws the same plan, though not the same
instants.

In every round a writer keeps the backend busy; at a random moment the machine (holdfast and the backend), holdfast
alone or the backend alone gets SIGKILL, or holdfast gets SIGTERM, or another container takes over, and the disk is
kept or thrown away. In some lives readers overlap without a pause, so that no base finds the database whole in its file. What must be back depends on that: after a clean end, or with the disk kept, everything that was
acknowledged; on a new disk, what the status called durable. Some lives cut bases all the time, beside their records,
and some of those keep little and prune. And every point that the store lists is restored and opened, not only the last: a later
repair hides a bad one."""

import json
import os
import random
import shutil
import signal
import sqlite3
import threading

from .oracle import Oracle
from .overlapping import OverlappingReaders
from .process import is_alive, send_to
from .waiting import wait_until
from .web import fetch

MACHINE, HOLDFAST, BACKEND, STOP, TAKEOVER = "machine", "holdfast", "backend", "stop", "takeover"
FENCED = 76


class Writer:
    """Writes and uploads until the other side is gone. What was sent and not answered may or may not be there."""

    def __init__(self, port, oracle, rng):
        self._port, self._oracle, self._rng = port, oracle, random.Random(rng.random())
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        while not self._stopped.wait(0.004):
            try:
                if self._rng.random() < 0.05:
                    size = self._rng.choice([10, 5000, 40000, 300000])
                    self._oracle.upload(self._port, self._rng.randbytes(size))
                else:
                    self._oracle.write(self._port)
            except Exception:  # a cut answer shows as many things; none of them is an acknowledgement
                self._stopped.wait(0.02)

    def stop(self):
        self._stopped.set()
        self._thread.join(30)
        assert not self._thread.is_alive(), "the writer hangs"


class Kills:
    def __init__(self, scene, deployment, seed, wiped=0.6):
        """wiped: the share of the rounds after which the disk is thrown away."""
        self.scene, self.deployment, self.wiped = scene, deployment, wiped
        self.rng = random.Random(seed)
        self.oracle = Oracle()   # acknowledged in the present history
        self.durable = Oracle()  # … and known to be in the store
        self.counts = {}
        self.kills = 0
        self.points = 0
        self.opened = set()
        self.kept_after_kill = False
        self.gave_way = 0
        self.overlapping = 0  # lives with overlapping readers
        self.other = deployment.elsewhere()

    def _environment(self):
        # That duels are slowed down is tested elsewhere.
        environment = {"HOLDFAST_DUEL_WAIT": "0"}
        if self.rng.random() < 0.4:
            environment["HOLDFAST_SNAPSHOT_INTERVAL"] = "1s"
            if self.rng.random() < 0.3:
                environment["HOLDFAST_RETENTION"] = "5s"
        return environment

    def round(self):
        holdfast = self.deployment.start(environment=self._environment())
        if self.kept_after_kill and holdfast.log.find("the store wins"):
            # A disk that doesn't prove what it holds gives way, as any crash may cost the last interval; nothing is thrown away.
            assert holdfast.log.find("set aside"), "what was not shipped is gone without a word"
            self.oracle = self.durable.copy()
            self.gave_way += 1
        self.oracle.check(holdfast.port)
        readers = self._read_on()
        writer = Writer(holdfast.port, self.oracle, self.rng)
        try:
            self._live(holdfast)
            what = self.rng.choice([MACHINE, MACHINE, HOLDFAST, BACKEND, STOP, TAKEOVER])
            shipped = self._end(holdfast, what)
        finally:
            writer.stop()
            if readers:
                readers.end()
        # What was fenced must not come back with what it had more.
        wipe = self.rng.random() < self.wiped or what == TAKEOVER
        self.kept_after_kill = not shipped and not wipe
        self.counts[what, wipe] = self.counts.get((what, wipe), 0) + 1
        self.kills += what not in (STOP, TAKEOVER)
        if wipe:
            self.deployment.wipe()
            # On a new disk only what was shipped is promised; the rest is a crash's loss, not an error.
            self.oracle = (self.oracle if shipped else self.durable).copy()
        self.durable = self.oracle.copy() if shipped else self.durable

    def _read_on(self):
        if self.rng.random() > 0.3:
            return None
        self.overlapping += 1
        return OverlappingReaders(os.path.join(self.deployment.data, "db.sqlite3"))

    def _live(self, holdfast):
        """Some time of work, and the last moment at which everything was known to be shipped."""
        for _ in range(self.rng.randint(1, 3)):
            known = self.oracle.copy()
            status = holdfast.status()
            if self.rng.random() < 0.7:
                wait_until(lambda: holdfast.status()["durable_position"] >= status["position"], 30, "shipped")
                self.durable = known
            threading.Event().wait(self.rng.random() * 0.3)

    def _end(self, holdfast, what):
        """Ends the round; whether everything acknowledged is in the store."""
        backend = holdfast.backend_pid
        if what == MACHINE:
            holdfast.kill_tree()
        elif what == HOLDFAST:
            # Where holdfast is PID 1 the kernel ends the backend with it; here it goes on for a moment, alone.
            holdfast.kill()
            threading.Event().wait(self.rng.random() * 0.2)
            send_to(backend, signal.SIGKILL)
            wait_until(lambda: not is_alive(backend), 10, "the backend to end")
        elif what == BACKEND:
            send_to(backend, signal.SIGKILL)
            code = holdfast.wait()
            assert code == 128 + signal.SIGKILL, "a killed backend was told as %d" % code
            return True
        elif what == TAKEOVER:
            self._take_over(holdfast)
        else:
            code = holdfast.stop()
            assert code == 0, "a clean stop ended with %d" % code
            return True
        return False

    def _take_over(self, holdfast):
        """Another container on a disk of its own, while the first one serves."""
        successor = self.other.start(environment={"HOLDFAST_DUEL_WAIT": "0"})
        code = holdfast.wait()
        assert code == FENCED, "the one that was taken over from ended with %d" % code
        self.durable.check(successor.port)
        code = successor.stop()
        assert code == 0, "the successor's stop ended with %d" % code
        self.other.wipe()

    def open_every_point(self):
        """Restores each listed point that was not opened before, and asks SQLite."""
        listing = self.deployment.command("list", "--json")
        listing.expect_exit(0)
        for point in json.loads("".join(listing.out.lines))["points"]:
            if point["record"] in self.opened:
                continue
            self.opened.add(point["record"])
            self._open(point["record"])
            self.points += 1

    def _open(self, record):
        target = os.path.join(self.scene.folder("point"), "copy")
        self.deployment.command("restore", "--to", target, "--at", str(record)).expect_exit(0, timeout_s=60)
        database = sqlite3.connect(os.path.join(target, "db.sqlite3"))
        try:
            answer = database.execute("PRAGMA integrity_check").fetchone()[0]
            assert answer == "ok", "record %d: %s" % (record, answer)
        finally:
            database.close()
        backend = self.scene.backend(target)
        listing = fetch(backend.port, "GET", "/integrity", timeout_s=60)
        assert listing.status == 200, "record %d: %s" % (record, listing.text)
        backend.kill()
        shutil.rmtree(os.path.dirname(target))

    def verify(self):
        self.deployment.command("verify").expect_exit(0, timeout_s=120)

    def summary(self):
        rows = ", ".join("%s%s %d" % (what, " + wipe" if wipe else "", count)
                         for (what, wipe), count in sorted(self.counts.items()))
        return "%d kills in %d rounds (%s; %d with overlapping readers); %d kept disks gave way to the store; %d points restored and opened; %d writes and %d files held" % (
            self.kills, sum(self.counts.values()), rows, self.overlapping, self.gave_way, self.points, len(self.oracle.writes), len(self.oracle.files))
