#!/usr/bin/env python3
"""An application with a database for each tenant: they are made, replaced and deleted while holdfast runs, and each
change is in the next record, in a standby, and at every point that can be restored."""

import json
import os
import random
import signal
import sqlite3
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from lib.harness import *

TENANTS, ROUNDS = 6, 8


class Tenants:
    """What each database holds, kept outside: {name: (mode, texts)}."""

    def __init__(self, data, seed):
        self.data, self.rng, self.here, self.count = data, random.Random(seed), {}, 0

    def path(self, name):
        return os.path.join(self.data, "tenants", name)

    def write(self, path, texts, journal):
        database = sqlite3.connect(path, isolation_level=None, timeout=10)
        database.execute("PRAGMA journal_mode=" + journal)
        database.execute("CREATE TABLE IF NOT EXISTS note(text)")
        for text in texts:
            database.execute("INSERT INTO note VALUES(?)", (text,))
        database.close()

    def texts(self):
        self.count += 1
        return ["%d of %d: %s" % (at, self.count, self.rng.randbytes(200).hex()) for at in range(self.rng.randint(1, 5))]

    def delete(self, name):
        for suffix in ("-shm", "-wal", ""):
            if os.path.exists(self.path(name) + suffix):
                os.unlink(self.path(name) + suffix)

    def make(self, name):
        """Under its name from the first page on, as sqlite3_open does it."""
        os.makedirs(os.path.dirname(self.path(name)), exist_ok=True)
        mode, texts = self.rng.choice((0o600, 0o640, 0o664)), self.texts()
        os.close(os.open(self.path(name), os.O_CREAT | os.O_WRONLY, mode))
        os.chmod(self.path(name), mode)
        self.write(self.path(name), texts, self.rng.choice(("wal", "delete")))
        self.here[name] = (mode, texts)

    def replace(self, name, scratch):
        """Complete when it takes the name, as VACUUM INTO and rename do it."""
        beside, texts = os.path.join(scratch, "beside"), self.texts()
        self.write(beside, texts, "delete")
        os.chmod(beside, 0o644)
        self.delete(name)
        os.rename(beside, self.path(name))
        self.here[name] = (0o644, texts)

    def change(self, scratch):
        name = "%d.db" % self.rng.randrange(TENANTS)
        if name not in self.here:
            self.make(name)
        elif self.rng.random() < 0.3:
            self.delete(name)
            del self.here[name]
        else:
            self.replace(name, scratch)

    def check(self, data):
        """A copy, which nobody else has open."""
        folder = os.path.join(data, "tenants")
        found = {name for name in os.listdir(folder) if name.endswith(".db")} if os.path.isdir(folder) else set()
        assert found == set(self.here), "%s instead of %s" % (sorted(found), sorted(self.here))
        for name, (mode, texts) in self.here.items():
            path = os.path.join(folder, name)
            assert os.stat(path).st_mode & 0o7777 == mode, "%s has mode %o" % (name, os.stat(path).st_mode)
            database = sqlite3.connect(path)
            assert database.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
            assert [row[0] for row in database.execute("SELECT text FROM note ORDER BY rowid")] == texts, name
            database.close()


def bases(deployment):
    return len(deployment.store.keys("base/"))


def begin(scene):
    """Most bytes are in the backend's own database."""
    deployment, oracle = scene.deployment(), Oracle()
    holdfast = deployment.start()
    for _ in range(30):
        oracle.write(holdfast.port, os.urandom(20000).hex())
    holdfast.wait_durable()
    return deployment, oracle, holdfast


@test
def every_change_is_in_the_next_record_and_at_every_point(scene):
    deployment, oracle, holdfast = begin(scene)
    tenants, scratch, points, before = Tenants(deployment.data, 7), scene.folder("scratch"), {}, bases(deployment)
    for _ in range(ROUNDS):
        for _ in range(tenants.rng.randint(1, 3)):
            tenants.change(scratch)
        oracle.write(holdfast.port)
        holdfast.wait_durable()
        points[holdfast.status()["durable_record"]] = dict(tenants.here)
    assert bases(deployment) == before, "a new base was cut"
    holdfast.kill_tree()
    deployment.wipe()
    holdfast = deployment.start()
    oracle.check(holdfast.port)
    assert holdfast.stop() == 0
    tenants.check(deployment.data)
    for record, here in points.items():
        target = os.path.join(scene.folder("points"), "point%d" % record)
        deployment.command("restore", "--at", str(record), "--to", target).expect_exit(0)
        tenants.here = here
        tenants.check(target)
    deployment.command("verify", "--deep").expect_exit(0)


@test
def a_standby_follows(scene):
    deployment, _, holdfast = begin(scene)
    tenants, scratch = Tenants(deployment.data, 8), scene.folder("scratch")
    copy = os.path.join(scene.folder("copies"), "copy")
    follower = deployment.command("restore", "--to", copy, "--follow", "--json")
    for _ in range(ROUNDS):
        tenants.change(scratch)
        holdfast.wait_durable()
        record = holdfast.status()["durable_record"]
        wait_until(lambda: any(json.loads(line)["record"] >= record for line in follower.out.lines), 20,
                   "the copy is not at record %d" % record)
    follower.send_signal(signal.SIGTERM)
    follower.expect_exit(0)
    tenants.check(copy)
    assert holdfast.stop() == 0


main()
