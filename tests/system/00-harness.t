#!/usr/bin/env python3
"""The harness and the sample backend, without holdfast: what every other system test stands on."""

import os
import signal
import socket
import sqlite3
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from lib.harness import *

FIRST_BOOT_POINTS = ["file-created", "tables", "first-globals", "second-globals"]
KILLED = 128 + signal.SIGKILL


@test
def what_was_written_is_there_after_a_stop(scene):
    data, oracle = scene.folder("data"), Oracle()
    backend = scene.backend(data)
    for _ in range(20):
        oracle.write(backend.port)
    file = oracle.upload(backend.port, os.urandom(300000))
    assert backend.stop(signal.SIGINT) == 0
    assert backend.out.find("Server successfully shut down.")
    assert not [name for name in os.listdir(data) if name.endswith(("-wal", "-journal"))]

    again = scene.backend(data)
    oracle.check(again.port)
    assert fetch(again.port, "GET", "/read?id=20").text == "value 20"
    assert fetch(again.port, "GET", "/download?file=" + file).status == 200


@test
def what_was_acknowledged_survives_sigkill(scene):
    data, oracle = scene.folder("data"), Oracle()
    for _ in range(3):
        backend = scene.backend(data)
        for _ in range(10):
            oracle.write(backend.port)
        backend.kill()
    oracle.check(scene.backend(data).port)


@test
def the_oracle_notices_what_is_lost_or_different(scene):
    backend, oracle = scene.backend(), Oracle()
    oracle.write(backend.port)
    oracle.wrote(1, "something else")
    oracle.wrote(2, "never written")
    assert oracle.faults(read_listing(backend.port)) == ["write 1 has another value", "write 2 is missing"]


@test
def the_oracle_notices_a_damaged_and_a_missing_file(scene):
    data = scene.folder("data")
    backend, oracle = scene.backend(data), Oracle()
    for content in (b"one", b"two"):
        oracle.upload(backend.port, content)
    one, two = sorted(oracle.files)
    path = os.path.join(data, "storage", "files", "%s.blob")
    with open(path % one, "wb") as file:
        file.write(b"eno")
    os.unlink(path % two)
    faults = oracle.faults(read_listing(backend.port))
    assert "file %s is different" % one in faults and "file %s is named, but not there" % two in faults, faults
    assert fetch(backend.port, "GET", "/integrity").status == 500


@test
def a_first_boot_that_was_cut_off_never_boots_again(scene):
    for point in FIRST_BOOT_POINTS:
        data = scene.folder(point)
        scene.backend(data, "--crash-at", point, ready=False).expect_exit(KILLED)
        again = scene.backend(data, ready=False)
        again.expect_exit(1)
        assert again.log.find("missing _tables.by_id global|cannot find table \"_index\""
                              "|missing _tables global"), "%s: %s" % (point, again.log.text())


@test
def a_first_boot_that_got_past_its_documents_boots_again(scene):
    data = scene.folder("data")
    scene.backend(data, "--crash-at", "documents", ready=False).expect_exit(KILLED)
    Oracle().write(scene.backend(data).port)


@test
def an_empty_database_file_is_not_a_first_boot(scene):
    data = scene.folder("data")
    open(os.path.join(data, "db.sqlite3"), "wb").close()
    backend = scene.backend(data, ready=False)
    backend.expect_exit(1)
    assert backend.log.find("missing _tables.by_id global")


@test
def a_lock_kept_from_it_for_five_seconds_ends_it_with_status_0(scene):
    data = scene.folder("data")
    backend = scene.backend(data)
    Oracle().write(backend.port)
    other = sqlite3.connect(os.path.join(data, "db.sqlite3"), isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    begun = time.monotonic()
    with Connection(backend.port) as connection:
        connection.send_request("POST", "/write", body="never")
        backend.expect_exit(0, timeout_s=20)
        took = time.monotonic() - begun
        assert connection.is_closed_by_peer()
    other.close()
    assert 4.5 < took < 11, "it ended after %g s" % took
    assert backend.log.find("Received a fatal error. Shutting down immediately")
    assert not backend.out.find("Server successfully shut down")


@test
def a_lock_kept_for_less_is_only_waited_for(scene):
    data, oracle = scene.folder("data"), Oracle()
    backend = scene.backend(data, "--no-background-writes")
    other = sqlite3.connect(os.path.join(data, "db.sqlite3"), isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with Connection(backend.port) as connection:
        connection.send_request("POST", "/write", body="late")
        time.sleep(1)
        other.execute("ROLLBACK")
        oracle.wrote(connection.read_response().json["id"], "late")
    oracle.check(backend.port)


@test
def a_lock_held_at_its_start_ends_it_with_status_1(scene):
    data = scene.folder("data")
    scene.backend(data).stop(signal.SIGINT)
    other = sqlite3.connect(os.path.join(data, "db.sqlite3"), isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    scene.backend(data, ready=False).expect_exit(1)
    other.close()


@test
def requests_in_flight_finish_before_it_stops(scene):
    backend = scene.backend()
    with Connection(backend.port) as busy, Connection(backend.port) as idle:
        assert idle.request("GET", "/version").status == 200
        busy.send_request("GET", "/stream?ms=100&n=10")
        assert busy.read_head().status == 200
        backend.send_signal(signal.SIGINT)
        assert idle.is_closed_by_peer()
        assert b"".join(iter(busy.read_chunk, b"")).endswith(b"tick 10\n")
    backend.expect_exit(0)
    assert backend.out.find("Server successfully shut down.")


@test
def a_second_sigint_does_not_wait_for_them(scene):
    backend = scene.backend()
    with Connection(backend.port) as busy:
        busy.send_request("GET", "/stream?ms=60000&n=2")
        assert busy.read_head().status == 200
        backend.send_signal(signal.SIGINT)
        backend.wait_for_out("draining existing requests")
        backend.send_signal(signal.SIGINT)
        backend.expect_exit(0, timeout_s=5)
    assert backend.out.find("Forcibly shutting down!")


@test
def sigterm_kills_and_sigusr1_does_nothing(scene):
    backend = scene.backend()
    backend.send_signal(signal.SIGUSR1)
    assert fetch(backend.port, "GET", "/version").status == 200
    assert backend.stop(signal.SIGTERM) == 128 + signal.SIGTERM


@test
def it_can_be_deaf_to_its_stop_signal(scene):
    backend = scene.backend(None, "--ignore-stop")
    for _ in range(2):
        since = len(backend.out.lines)
        backend.send_signal(signal.SIGINT)
        backend.wait_for_out("Received Ctrl-C", since=since)
    assert fetch(backend.port, "GET", "/version").status == 200


@test
def it_dies_as_told(scene):
    backend = scene.backend()
    fetch(backend.port, "POST", "/die?code=7")
    backend.expect_exit(7)
    backend = scene.backend(None, "--exit-after-commits", "3", "--exit-code", "9")
    for _ in range(2):
        Oracle().write(backend.port)
    with Connection(backend.port) as connection:
        connection.send_request("POST", "/write", body="the third")
        backend.expect_exit(9)


@test
def the_port_opens_only_after_the_load(scene):
    backend = scene.backend(None, "--start-delay-ms", "700", ready=False)
    backend.wait_for_out("Connected to SQLite")
    stays(lambda: not backend.out.find("listening"), 0.3, "silent")
    try:
        fetch(backend.port, "GET", "/version")
        raise AssertionError("it answered while it was loading")
    except ConnectionRefusedError:
        pass
    backend.wait_ready()


@test
def a_file_is_gone_before_the_commit_that_forgets_it(scene):
    data, oracle = scene.folder("data"), Oracle()
    backend = scene.backend(data, "--crash-at", "file-unlinked")
    file = oracle.upload(backend.port, b"an export")
    try:
        fetch(backend.port, "DELETE", "/file?file=" + file)
    except OSError:
        pass
    backend.expect_exit(KILLED)
    listing = read_listing(scene.backend(data).port)
    assert listing.files[file]["exists"] is False


@test
def the_second_database_is_never_ahead(scene):
    data, oracle = scene.folder("data"), Oracle()
    backend = scene.backend(data, "--second-database", "--crash-at", "between-databases")
    try:
        oracle.write(backend.port)
    except OSError:
        pass
    backend.expect_exit(KILLED)
    with sqlite3.connect(os.path.join(data, "second.sqlite3")) as second:
        assert second.execute("SELECT count(*) FROM numbers").fetchone() == (0,)
    backend = scene.backend(data, "--second-database")
    assert oracle.write(backend.port) == 2
    oracle.check(backend.port)
    with sqlite3.connect(os.path.join(data, "second.sqlite3")) as second:
        second.execute("INSERT INTO numbers VALUES (99, 1)")
    assert "99" in fetch(backend.port, "GET", "/integrity").text


@test
def the_first_commit_after_a_rest_is_followed_by_another(scene):
    data = scene.folder("data")
    backend = scene.backend(data)
    database = sqlite3.connect(os.path.join(data, "db.sqlite3"))

    def bumped():
        return database.execute("SELECT json_value FROM persistence_globals WHERE key = 'max_repeatable_ts'").fetchone()

    before = bumped()
    Oracle().write(backend.port)
    after = wait_until(lambda: bumped() != before and bumped(), 2, "the bump")
    Oracle().write(backend.port)
    stays(lambda: bumped() == after, 0.3, "one bump")


@test
def many_writers_share_commits(scene):
    backend, oracle = scene.backend(None, "--commit-delay-ms", "5"), Oracle()
    threads = [threading.Thread(target=lambda: [oracle.write(backend.port) for _ in range(20)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert fetch(backend.port, "GET", "/count").json == {"writes": 160}
    stats = fetch(backend.port, "GET", "/stats").json
    assert stats["last_id"] == 160 and stats["commits"] < 120, stats
    oracle.check(backend.port)


@test
def a_long_transaction_holds_up_the_others(scene):
    data = scene.folder("data")
    backend, oracle = scene.backend(data), Oracle()
    other = sqlite3.connect(os.path.join(data, "db.sqlite3"), isolation_level=None, timeout=0)

    def is_held():
        try:
            other.execute("BEGIN IMMEDIATE")
            other.execute("ROLLBACK")
        except sqlite3.OperationalError:
            return True
        return False

    with Connection(backend.port) as holding:
        holding.send_request("POST", "/hold?ms=600")
        wait_until(is_held)
        oracle.write(backend.port)
        assert holding.socket.recv(1, socket.MSG_PEEK), "the write overtook the transaction"
        assert holding.read_response().status == 200
    oracle.check(backend.port)


@test
def credentials_stay_the_same_and_are_written_at_each_boot(scene):
    data = scene.folder("data")
    scene.backend(data).stop(signal.SIGINT)
    path = os.path.join(data, "credentials", "instance_secret")
    with open(path) as file:
        secret = file.read()
    first = os.stat(path)
    assert len(secret) == 65 and first.st_mode & 0o777 == 0o600
    scene.backend(data).stop(signal.SIGINT)
    with open(path) as file:
        assert file.read() == secret
    assert os.stat(path).st_mtime_ns > first.st_mtime_ns
    open(path, "w").close()
    scene.backend(data, ready=False).expect_exit(1)


@test
def a_flag_given_twice_is_refused(scene):
    backend = scene.backend(None, "--port", "1", ready=False)
    backend.expect_exit(2)
    assert backend.log.find("cannot be used multiple times")


main()
