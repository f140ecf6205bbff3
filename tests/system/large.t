#!/usr/bin/env python3
"""A database that reaches beyond its first GiB, where SQLite leaves one page out for its locks."""

import filecmp
import os
import sqlite3
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from lib.harness import *

GIB = 1 << 30
MIB = 1 << 20


class Application:
    """A second application beside the backend, with its own database."""

    def __init__(self, folder):
        self.path = os.path.join(folder, "large.sqlite3")
        self.database = None

    def open(self):
        self.database = sqlite3.connect(self.path, isolation_level=None, timeout=60)
        return self

    def close(self):
        self.database.close()

    def run(self, *statements):
        self.database.execute("BEGIN IMMEDIATE")
        for statement, *values in statements:
            self.database.execute(statement, values)
        self.database.execute("COMMIT")

    def create(self):
        """Rows below the first GiB, then zeros, then rows above it."""
        self.open()
        for pragma in ("page_size=4096", "auto_vacuum=FULL", "journal_mode=OFF", "synchronous=OFF"):
            self.database.execute("PRAGMA " + pragma)
        self.run(("CREATE TABLE low (k INTEGER PRIMARY KEY, v BLOB)",), ("CREATE TABLE bulk (k INTEGER PRIMARY KEY, v BLOB)",),
                 ("CREATE TABLE high (k INTEGER PRIMARY KEY, v BLOB)",))
        self.run(*(("INSERT INTO low VALUES (?, randomblob(3000))", key) for key in range(500)))
        self.run(*(("INSERT INTO bulk VALUES (?, zeroblob(?))", key, MIB) for key in range(1040)))
        self.run(*(("INSERT INTO high VALUES (?, randomblob(3000))", key) for key in range(500)))
        self.database.execute("PRAGMA journal_mode=DELETE")
        self.close()

    @property
    def bytes(self):
        (pages,) = self.database.execute("PRAGMA page_count").fetchone()
        return pages * 4096

    def change(self, round_number):
        """On both sides of the page of the locks, in one commit."""
        for key in range(5):
            self.run(("UPDATE low SET v = randomblob(3000) WHERE k = ?", 7 * key + round_number),
                     ("UPDATE high SET v = randomblob(3000) WHERE k = ?", 11 * key + round_number),
                     ("INSERT INTO high VALUES (?, randomblob(20000))", 1000 + 100 * round_number + key))

    def take_away(self, path):
        """The file as the application left it, all of its log in it, moved to path."""
        self.open().database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self.close()
        os.rename(self.path, path)


def expect_the_same(deployment, application, kept):
    """What a new disk gets is, byte for byte, what the application had."""
    deployment.wipe()
    holdfast = deployment.start()
    assert filecmp.cmp(application.path, kept, shallow=False), "the restored database differs"
    os.unlink(kept)
    assert application.open().database.execute("PRAGMA quick_check(1)").fetchone() == ("ok",)
    return holdfast


@test(limit_s=240)
def a_database_beyond_the_page_of_the_locks_comes_back_byte_for_byte(scene):
    deployment = scene.deployment()
    application, kept = Application(deployment.data), os.path.join(scene.folder("kept"), "large.sqlite3")
    application.create()
    holdfast = deployment.start()
    holdfast.wait_durable(timeout_s=120)
    application.open()
    assert application.bytes > GIB + 8 * MIB
    for number in range(3):
        application.change(number)
    holdfast.wait_durable(timeout_s=60)
    application.close()
    holdfast.kill_tree()
    application.take_away(kept)
    holdfast = expect_the_same(deployment, application, kept)
    # Below the first GiB, and above it again.
    application.run(("DELETE FROM bulk WHERE k < 100",))
    assert application.bytes < GIB
    application.change(3)
    holdfast.wait_durable(timeout_s=60)
    application.run(*(("INSERT INTO bulk VALUES (?, zeroblob(?))", 2000 + key, MIB) for key in range(40)))
    application.run(*(("INSERT INTO bulk VALUES (?, zeroblob(?))", 3000 + key, MIB) for key in range(40)))
    assert application.bytes > GIB
    application.change(4)
    holdfast.wait_durable(timeout_s=120)
    application.close()
    holdfast.kill_tree()
    application.take_away(kept)
    assert expect_the_same(deployment, application, kept).stop() == 0
    deployment.command("verify").expect_exit(0, timeout_s=120)


main()
