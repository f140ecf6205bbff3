#!/usr/bin/env python3
"""The tools around the sample backend: what loads it, judges it and fills it must itself be right."""

import os
import signal
import sqlite3
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from lib.harness import *


def url_of(backend):
    return "http://127.0.0.1:%d" % backend.port


def documents(data):
    """Everything that was generated, in order."""
    with sqlite3.connect(os.path.join(data, "db.sqlite3")) as database:
        return database.execute("SELECT hex(id), ts, json_value FROM documents WHERE ts < 1760000000000000000 "
                                "ORDER BY ts, table_id, id").fetchall()


@test
def a_load_notes_exactly_what_was_acknowledged(scene):
    backend, oracle = scene.backend(), os.path.join(scene.folder("oracle"), "oracle")
    told = scene.tool("load", "--url", url_of(backend), "--oracle", oracle, "--rate", "max", "--seconds", "1", "--lanes", "4")
    with open(oracle) as file:
        lines = file.read().splitlines()
    assert told["acknowledged"] == len(lines) > 10 and told["broken"] == told["refused"] == 0, told
    assert fetch(backend.port, "GET", "/count").json["writes"] == len(lines)
    judged = scene.tool("check", "--url", url_of(backend), "--oracle", oracle)
    assert judged["acknowledged"] == judged["listed"] == len(lines) and judged["lost"] == 0, judged


@test
def a_load_keeps_its_rate(scene):
    backend, oracle = scene.backend(), os.path.join(scene.folder("oracle"), "oracle")
    told = scene.tool("load", "--url", url_of(backend), "--oracle", oracle, "--rate", "20", "--seconds", "2")
    assert 20 <= told["acknowledged"] <= 42, told


@test
def a_load_goes_on_after_the_backend_was_killed(scene):
    data, oracle = scene.folder("data"), os.path.join(scene.folder("oracle"), "oracle")
    backend = scene.backend(data)
    load = scene.process("load", [backend_path(), "load", "--url", url_of(backend), "--oracle", oracle, "--seconds", "0",
                                  "--rate", "max"])

    def noted():
        return os.path.exists(oracle) and os.path.getsize(oracle)

    wait_until(noted)
    backend.kill()
    before = noted()
    again = scene.process("backend", [*backend.command])
    wait_until(lambda: noted() > before, what="the load to go on")
    assert load.stop(signal.SIGTERM) == 0
    assert again.running
    assert scene.tool("check", "--url", url_of(backend), "--oracle", oracle)["lost"] == 0


@test
def a_check_fails_for_what_is_missing_or_different(scene):
    backend, oracle = scene.backend(), os.path.join(scene.folder("oracle"), "oracle")
    scene.tool("load", "--url", url_of(backend), "--oracle", oracle, "--rate", "max", "--seconds", "1")
    now_ms = int(time.time() * 1000)
    with open(oracle, "a") as file:
        file.write("999999999 %s %d\n" % ("0" * 64, now_ms + 5000))
        file.write("1 %s %d\n" % ("f" * 64, now_ms + 6000))
    assert scene.tool("check", "--url", url_of(backend), "--oracle", oracle, code=1)["lost"] == 2
    allowed = scene.tool("check", "--url", url_of(backend), "--oracle", oracle, "--allow-lost-after", now_ms + 5000)
    assert (allowed["lost"], allowed["allowed"], allowed["first_lost_ms"]) == (0, 2, now_ms + 5000), allowed
    stricter = scene.tool("check", "--url", url_of(backend), "--oracle", oracle, "--allow-lost-after", now_ms + 5001, code=1)
    assert (stricter["lost"], stricter["allowed"]) == (1, 1), stricter


@test
def a_check_fails_for_a_file_that_is_damaged(scene):
    data = scene.folder("data")
    backend = scene.backend(data)
    file = Oracle().upload(backend.port, b"whole")
    oracle = scene.file("oracle", "")
    scene.tool("check", "--url", url_of(backend), "--oracle", oracle)
    os.truncate(os.path.join(data, "storage", "files", file + ".blob"), 2)
    scene.tool("check", "--url", url_of(backend), "--oracle", oracle, code=1)


@test
def an_oracle_that_is_malformed_is_refused(scene):
    backend = scene.backend()
    scene.tool("check", "--url", url_of(backend), "--oracle", scene.file("oracle", "1 2 3\n"), code=2)


@test
def an_unfinished_last_line_of_an_oracle_is_left_out(scene):
    backend = scene.backend()
    judged = scene.tool("check", "--url", url_of(backend), "--oracle", scene.file("oracle", "1 abc"))
    assert judged["acknowledged"] == 0


@test
def the_same_seed_generates_the_same_documents(scene):
    folders = [scene.folder("data") for _ in range(3)]
    for folder, seed in zip(folders, (5, 5, 6)):
        scene.tool("generate", "--data", folder, "--bytes", "4MiB", "--seed", seed)
    one, two, other = (documents(folder) for folder in folders)
    assert len(one) >= 2000 and one == two and one != other


@test
def what_was_generated_is_like_convex_and_boots(scene):
    data = scene.folder("data")
    told = scene.tool("generate", "--data", data, "--bytes", "8MiB", "--files", "3", "--file-bytes", "100000")
    with sqlite3.connect(os.path.join(data, "db.sqlite3")) as database:
        average, = database.execute("SELECT avg(length(json_value)) FROM documents").fetchone()
        inserts, revisions = database.execute("SELECT sum(prev_ts IS NULL), count(*) FROM documents").fetchone()
        journal, = database.execute("PRAGMA journal_mode").fetchone()
    assert 600 < average < 690 and 0.5 < inserts / revisions < 0.6 and journal == "delete"
    assert os.path.getsize(os.path.join(data, "db.sqlite3")) >= 8 << 20
    backend, oracle = scene.backend(data), Oracle()
    assert oracle.write(backend.port) == told["mutations"] + 1
    assert len(read_listing(backend.port).files) == 3
    oracle.check(backend.port)


@test
def commits_are_timed_in_both_journal_modes(scene):
    data, trace = scene.folder("data"), os.path.join(scene.folder("trace"), "trace")
    scene.tool("generate", "--data", data, "--bytes", "1MiB")
    for extra in ([], ["--wal", "--trace", trace]):
        told = scene.tool("commit-load", "--data", data, "--rate", "50", "--seconds", "1", *extra)
        assert 25 <= told["commits"] <= 51 and 0 < told["p50_us"] <= told["p99_us"] <= told["max_us"], told
    with open(trace) as file:
        assert len(file.readlines()) == told["commits"]
    with sqlite3.connect(os.path.join(data, "db.sqlite3")) as database:
        assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)


@test
def a_commit_load_ends_after_so_many_commits_or_so_long(scene):
    data = scene.folder("data")
    scene.tool("generate", "--data", data, "--bytes", "1MiB")
    told = scene.tool("commit-load", "--data", data, "--rate", "max", "--seconds", "60", "--commits", "7", "--wal")
    assert told["commits"] == 7, told
    told = scene.tool("commit-load", "--data", data, "--rate", "50", "--seconds", "1", "--commits", "1000")
    assert 25 <= told["commits"] <= 51, told


@test
def a_commit_load_dies_of_a_lock_as_the_backend_does(scene):
    data = scene.folder("data")
    scene.tool("generate", "--data", data, "--bytes", "1MiB")
    load = scene.process("commit-load", [backend_path(), "commit-load", "--data", data, "--seconds", "30"])
    other = sqlite3.connect(os.path.join(data, "db.sqlite3"), isolation_level=None)
    path = os.path.join(data, "db.sqlite3")
    size = os.path.getsize(path)
    wait_until(lambda: os.path.getsize(path) > size, what="the first commits")
    other.execute("PRAGMA busy_timeout = 2000")
    other.execute("BEGIN EXCLUSIVE")
    load.expect_exit(1, timeout_s=20)
    assert load.log.find("SQLite says 5")
    other.close()


@test
def the_other_backend_has_a_newer_sqlite_inside(scene):
    backend = scene.backend()
    newer = scene.process("backend", [backend_new_path(), "--data", scene.folder("data"), "--port", scene.port()])
    newer.wait_for_out("listening on")
    version = newer.out.find(r"SQLite (\d+)\.(\d+)\.(\d+)").groups()
    own = backend.out.find(r"SQLite (\d+)\.(\d+)\.(\d+)").groups()
    assert tuple(map(int, version)) == (3, 46, 0) > tuple(map(int, own)), (version, own)


main()
