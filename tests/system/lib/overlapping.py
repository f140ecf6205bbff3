#!/usr/bin/env python3
"""Readers of a database that overlap without a pause: at every moment one of them reads a state that is older than the newest
commit, so the log never gets into the database file as a whole, and never restarts.

    with OverlappingReaders(path) as readers: ...

A process of its own, so that it can be killed like any other part of the application, by its pid. The database is in WAL
mode."""

import os
import signal
import sqlite3
import subprocess
import sys
import time

LOOK_S = 0.01


class OverlappingReaders:
    def __init__(self, path):
        self._process = subprocess.Popen([sys.executable, os.path.abspath(__file__), path], stdout=subprocess.PIPE)
        begun = self._process.stdout.readline()
        assert begun == b"reading\n", begun

    def end(self):
        """As a machine ends: without a word to SQLite. True: it had gone on until now, and leapt so many times."""
        self._process.send_signal(signal.SIGKILL)
        leaps = self._process.stdout.read().count(b"\n")
        assert self._process.wait() == -signal.SIGKILL, "the readers had ended"
        return leaps

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self._process.returncode is None:
            self.end()


def connect(path):
    return sqlite3.connect(path, isolation_level=None, timeout=10)


def begin(database):
    database.execute("BEGIN")
    database.execute("SELECT count(*) FROM sqlite_master").fetchone()


def commits(database):
    return database.execute("PRAGMA data_version").fetchone()


def overlap(path):
    """The one that lets go is the older one, and the one that stays is older than a commit by then."""
    looker, old, new = connect(path), connect(path), connect(path)
    begin(old)
    print("reading", flush=True)
    while True:
        begin(new)
        seen = commits(looker)
        while commits(looker) == seen:
            time.sleep(LOOK_S)
        old.execute("COMMIT")
        old, new = new, old
        print("leapt", flush=True)


if __name__ == "__main__":
    overlap(sys.argv[1])
