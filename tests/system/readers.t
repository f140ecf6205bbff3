#!/usr/bin/env python3
"""An application whose readers overlap without a pause: at every moment some transaction reads a state that is older
than the newest commit, so its log never gets into its file as a whole. Bases are cut nevertheless, and hold all of it."""

import os
import sqlite3
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from lib.answers import printed
from lib.harness import *

LEAP_S, WRITE_S = 0.05, 0.01


class Board:
    """One database: a writer, and two readers of which one begins before the other ends."""

    def __init__(self, path):
        self.path, self.rows, self.worst_s, self.error = path, 0, 0, None
        self.writes, self.ended = threading.Event(), threading.Event()
        database = self.connect()
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("CREATE TABLE note(id INTEGER PRIMARY KEY, text)")
        database.executemany("INSERT INTO note(text) VALUES(?)", [(os.urandom(1000).hex(),)] * 300)
        self.rows = 300
        self.threads = [threading.Thread(target=self.guarded, args=(job,)) for job in (self.leap, self.write)]
        self.old = self.begin_read(self.connect())
        database.execute("INSERT INTO note(text) VALUES('newer')")
        self.rows += 1
        database.close()
        self.writes.set()
        for thread in self.threads:
            thread.start()

    def connect(self):
        return sqlite3.connect(self.path, isolation_level=None, timeout=5, check_same_thread=False)

    def begin_read(self, database):
        database.execute("BEGIN")
        database.execute("SELECT count(*) FROM note").fetchone()
        return database

    def guarded(self, job):
        try:
            job()
        except sqlite3.Error as error:
            self.error = error

    def leap(self):
        """The one that lets go is older, and the one that stays is older than a commit by then."""
        spare, since = self.connect(), None
        while not self.ended.wait(LEAP_S):
            if since is None:
                since = self.rows
                self.begin_read(spare)
            elif self.rows > since + 1:
                self.old.execute("COMMIT")
                self.old, spare, since = spare, self.old, None
        self.old.close()
        spare.close()

    def write(self):
        database = self.connect()
        while not self.ended.wait(WRITE_S):
            if not self.writes.is_set():
                continue
            begun = time.monotonic()
            database.execute("INSERT INTO note(text) VALUES(?)", (os.urandom(300).hex(),))
            self.worst_s = max(self.worst_s, time.monotonic() - begun)
            self.rows += 1
        database.close()

    def end(self):
        self.ended.set()
        for thread in self.threads:
            thread.join()
        assert self.error is None, self.error


def count(path):
    database = sqlite3.connect(path)
    assert database.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    rows = database.execute("SELECT count(*) FROM note").fetchone()[0]
    database.close()
    return rows


@test
def bases_are_cut_while_readers_overlap_and_hold_what_was_written(scene):
    deployment = scene.deployment()
    os.makedirs(deployment.data, exist_ok=True)
    board = Board(os.path.join(deployment.data, "board.db"))
    try:
        holdfast = deployment.start()
        points = {}
        for _ in range(3):
            before = board.rows
            cut = printed(deployment.command("snapshot", "--json"))
            points[cut["record"]] = before
        assert holdfast.status()["degraded"] is False and holdfast.status()["warnings"] == []
        board.writes.clear()
        wait_until(lambda: holdfast.status()["lag_seconds"] == 0, 20, "the last rows")
        holdfast.wait_durable()
        log_bytes = os.path.getsize(board.path + "-wal")
        holdfast.kill_tree()
    finally:
        board.end()
    print("# the log has %d KB, the longest commit took %.0f ms" % (log_bytes >> 10, 1000 * board.worst_s), flush=True)
    deployment.wipe()
    deployment.start().stop()
    assert count(os.path.join(deployment.data, "board.db")) == board.rows
    for record, rows in points.items():
        target = os.path.join(scene.folder("points"), "point%d" % record)
        deployment.command("restore", "--at", str(record), "--to", target).expect_exit(0)
        assert rows <= count(os.path.join(target, "board.db")) <= board.rows
    deployment.command("verify", "--deep").expect_exit(0)


main()
