#!/usr/bin/env python3
"""An application whose readers overlap without a pause. Its bases are cut nevertheless, and hold all of it."""

import os
import sqlite3
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from lib.answers import printed
from lib.harness import *
from lib.overlapping import OverlappingReaders

WRITE_S = 0.01


class Board:
    """One database, beside the backend's own, and who writes into it."""

    def __init__(self, path):
        self.path, self.rows, self.worst_s, self.error = path, 300, 0, None
        self.writes, self.ended = threading.Event(), threading.Event()
        database = self.connect()
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("CREATE TABLE note(id INTEGER PRIMARY KEY, text)")
        database.executemany("INSERT INTO note(text) VALUES(?)", [(os.urandom(1000).hex(),)] * self.rows)
        self.writes.set()
        self.thread = threading.Thread(target=self.write, args=(database,))

    def connect(self):
        return sqlite3.connect(self.path, isolation_level=None, timeout=5, check_same_thread=False)

    def write(self, database):
        try:
            while not self.ended.wait(WRITE_S):
                if self.writes.is_set():
                    self.add(database)
        except sqlite3.Error as error:
            self.error = error
        database.close()

    def add(self, database):
        begun = time.monotonic()
        database.execute("INSERT INTO note(text) VALUES(?)", (os.urandom(300).hex(),))
        self.worst_s = max(self.worst_s, time.monotonic() - begun)
        self.rows += 1

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.thread.join()
        assert self.error is None, self.error


def count(path):
    database = sqlite3.connect(path)
    assert database.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    rows = database.execute("SELECT count(*) FROM note").fetchone()[0]
    database.close()
    return rows


def snapshots(deployment, board, rounds):
    """{record: rows that were there before it was asked for}"""
    points = {}
    for _ in range(rounds):
        before = board.rows
        points[printed(deployment.command("snapshot", "--json"))["record"]] = before
    return points


@test
def bases_are_cut_while_readers_overlap_and_hold_what_was_written(scene):
    deployment = scene.deployment()
    os.makedirs(deployment.data, exist_ok=True)
    path = os.path.join(deployment.data, "board.db")
    with Board(path) as board, OverlappingReaders(path) as readers:
        holdfast = deployment.start()
        points = snapshots(deployment, board, 3)
        status = holdfast.status()
        assert status["degraded"] is False and status["warnings"] == [], status
        board.writes.clear()
        holdfast.wait_durable()
        holdfast.kill_tree()
        leaps, log_bytes = readers.end(), os.path.getsize(path + "-wal")
    print("# %d readers, a log of %d KB, the longest commit took %.0f ms" % (leaps, log_bytes >> 10, 1000 * board.worst_s), flush=True)
    deployment.wipe()
    deployment.start().stop()
    assert count(path) == board.rows
    for record, rows in points.items():
        target = os.path.join(scene.folder("points"), "point%d" % record)
        deployment.command("restore", "--at", str(record), "--to", target).expect_exit(0)
        assert rows <= count(os.path.join(target, "board.db")) <= board.rows
    deployment.command("verify", "--deep").expect_exit(0)


main()
