#!/usr/bin/env python3
"""The commands beside `run`: what they print, for a person and as JSON, and what they leave alone."""

import os
import pty
import re
import signal
import sqlite3
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from lib.answers import output, printed
from lib.harness import *
from lib.s3servers import FaultS3


def shipped(scene, **options):
    """A deployment that wrote and stopped, and what it wrote."""
    deployment, oracle = scene.deployment(**options), Oracle()
    holdfast = deployment.start()
    for _ in range(5):
        oracle.write(holdfast.port)
    oracle.upload(holdfast.port, os.urandom(300000))
    holdfast.wait_durable()  # a base that a stop cuts off leaves parts that nobody names
    assert holdfast.stop() == 0
    return deployment, oracle


# --- list, restore, verify ---------------------------------------------------------------------------------------


@test
def list_shows_each_point_with_the_names_of_the_contract(scene):
    deployment, _ = shipped(scene)
    points = printed(deployment.command("list", "--json"))["points"]
    assert points and all(set(point) == {"record", "time", "kind", "bytes"} for point in points)
    numbers = [point["record"] for point in points]
    assert numbers == sorted(numbers, reverse=True)
    lines = output(deployment.command("list")).splitlines()
    assert lines[0].split() == ["RECORD", "TIME", "KIND", "SIZE"] and len(lines) == len(points) + 1
    assert [int(line.split()[0]) for line in lines[1:]] == numbers


@test
def a_copy_elsewhere_holds_what_was_shipped_and_disturbs_nobody(scene):
    deployment, oracle = scene.deployment(), Oracle()
    holdfast = deployment.start()
    for _ in range(5):
        oracle.write(holdfast.port)
    oracle.upload(holdfast.port, os.urandom(300000))
    holdfast.wait_durable()
    before, copy = deployment.store.keys(), os.path.join(scene.folder("copies"), "copy")
    result = printed(deployment.command("restore", "--to", copy, "--json"))
    assert result["directory"] == copy and result["databases"] == 1 and result["bytes"] > 300000
    assert deployment.store.keys() == before
    oracle.check(scene.backend(copy).port)
    oracle.check(holdfast.port)
    assert holdfast.stop() == 0


@test
def a_copy_of_an_earlier_point_by_time_and_by_record(scene):
    deployment, oracle = shipped(scene)
    newest = printed(deployment.command("list", "--json"))["points"][0]
    again = deployment.start()
    assert fetch(again.port, "POST", "/write", body="later").status == 200
    assert again.stop() == 0
    points = printed(deployment.command("list", "--json"))["points"]
    assert points[0]["record"] > newest["record"]
    if newest not in points:
        skip("the point before was pruned")
    for number, at in enumerate((str(newest["record"]), newest["time"])):
        copy = os.path.join(scene.folder("copies"), "copy-%d" % number)
        assert printed(deployment.command("restore", "--to", copy, "--at", at, "--json"))["record"] == newest["record"]
        oracle.check(scene.backend(copy).port)


@test
def a_time_after_the_head_gives_the_head(scene):
    deployment, oracle = shipped(scene)
    copy = os.path.join(scene.folder("copies"), "copy")
    head = printed(deployment.command("list", "--json"))["points"][0]["record"]
    assert printed(deployment.command("restore", "--to", copy, "--at", "2999-01-01T00:00:00.5Z", "--json"))["record"] == head
    oracle.check(scene.backend(copy).port)


@test
def verify_reads_everything_back(scene):
    deployment, _ = shipped(scene)
    verdict = printed(deployment.command("verify", "--json"))
    assert verdict["sound"] is True and verdict["damaged"] == [] and verdict["result"]["databases"] == 1
    process = deployment.command("verify")
    assert output(process).startswith("verified up to record ") and process.log.lines == [], "the log is for faults"


@test
def verify_tells_the_state_at_the_newest_record_with_what_came_after_the_newest_base(scene):
    deployment, oracle = scene.deployment(), Oracle()
    holdfast = deployment.start()
    base = wait_until(lambda: printed(deployment.command("list", "--json"))["points"], 20, "the first base")[-1]
    oracle.upload(holdfast.port, os.urandom(300000))
    assert holdfast.stop() == 0
    assert [point["record"] for point in printed(deployment.command("list", "--json"))["points"] if point["kind"] == "base"] \
        == [base["record"]]
    head = 2**64 - 1 - min(int(key.split("/")[1], 16) for key in deployment.store.keys("log/"))
    copy = os.path.join(scene.folder("copies"), "copy")
    restored = printed(deployment.command("restore", "--to", copy, "--json"))
    result = printed(deployment.command("verify", "--json"))["result"]
    assert result["record"] == head >= restored["record"] > base["record"] and result["time"] > base["time"]
    assert result["bytes"] == restored["bytes"] >= base["bytes"] + 300000
    files = [os.path.join(folder, name) for folder, _, names in os.walk(copy) for name in names]
    assert result["databases"] == 1 and result["files"] == restored["files"] == len(files) - 1, (result, files)
    assert result["bytes"] == sum(os.path.getsize(path) for path in files)
    line = output(deployment.command("verify"))
    assert re.fullmatch(r"verified up to record %d of %s: 1 database, %d files, \d+ kB" % (head, result["time"], result["files"]),
                        line.strip()), line


@test
def verify_names_each_damaged_object(scene):
    deployment, _ = shipped(scene)
    keys = deployment.store.keys("blob/") + deployment.store.keys("part/")[:1]
    for key in keys:
        with open(os.path.join(deployment.store.path, key), "r+b") as file:
            file.write(b"damage")
    verdict = printed(deployment.command("verify", "--json"), 65)
    assert verdict["sound"] is False and {damage["key"] for damage in verdict["damaged"]} == set(keys)
    assert verdict["result"] is None, "nothing was proved"
    process = deployment.command("verify")
    process.expect_exit(65)
    told = [line.split(" error ", 1)[1] for line in process.log.lines]
    assert told[-1] == "%d objects of HOLDFAST_STORE are damaged or missing" % len(keys)
    assert sorted(line.split(": ", 1)[0] for line in told[:-1]) == sorted(keys)
    assert all(damage["reason"] for damage in verdict["damaged"])


@test
def a_damaged_base_record_takes_away_its_own_points_alone(scene):
    deployment, oracle = scene.deployment(), Oracle()
    holdfast = deployment.start()
    bases = []
    for _ in range(3):
        oracle.write(holdfast.port)
        bases.append(printed(deployment.command("snapshot", "--json"))["record"])
    assert holdfast.stop() == 0
    key = "log/%016x" % (2**64 - 1 - bases[1])
    with open(os.path.join(deployment.store.path, key), "r+b") as file:
        file.seek(200)
        file.write(b"damage")
    process = deployment.command("list", "--json")
    points = {point["record"] for point in printed(process, 65)["points"]}
    assert bases[0] in points and bases[2] in points and bases[1] not in points and process.log.find(key)
    lines = output(deployment.command("list"), 65).splitlines()
    assert {int(line.split()[0]) for line in lines[1:]} == points
    for record in sorted(points):
        copy = os.path.join(scene.folder("copies"), "copy-%d" % record)
        assert printed(deployment.command("restore", "--to", copy, "--at", str(record), "--json"))["record"] <= record
    process = deployment.command("restore", "--to", os.path.join(scene.folder("copies"), "copy"), "--at", str(bases[1]))
    process.expect_exit(65)
    assert process.log.find(key)


@test
def a_deep_verification_restores_two_points_and_leaves_nothing(scene):
    deployment, oracle = shipped(scene)
    holdfast = deployment.start()
    oracle.write(holdfast.port)
    assert holdfast.stop() == 0
    room = {"TMPDIR": scene.folder("room")}
    verdict = printed(deployment.command("verify", "--deep", "--json", environment=room))
    assert verdict["deep"] is True and verdict["sound"] is True and verdict["damaged"] == []
    newest, oldest = verdict["points"]
    assert newest["record"] > oldest["record"] and newest["databases"] == 1 and newest["bytes"] > 300000
    process = deployment.command("verify", "--deep", environment=room)
    lines = output(process).splitlines()
    assert [line.split(" of ")[0] for line in lines[1:]] == ["restored and checked up to record %d" % point["record"]
                                                             for point in (newest, oldest)]
    assert lines[0].startswith("verified up to record ") and process.log.lines == []
    assert os.listdir(room["TMPDIR"]) == []
    assert "deep" not in printed(deployment.command("verify", "--json"))
    process = deployment.command("verify", "--deep", "--json", environment={"TMPDIR": "/nowhere"})
    assert output(process, 64) == "" and process.log.find("set TMPDIR")


@test
def a_deep_verification_finds_a_database_that_was_malformed_when_it_was_shipped(scene):
    deployment = scene.deployment()
    path = os.path.join(deployment.data, "other.sqlite3")
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE t (a)")
        database.executemany("INSERT INTO t VALUES (?)", [(os.urandom(1000),) for _ in range(20)])
    database.close()
    with open(path, "r+b") as file:
        file.seek(2 * 4096)
        file.write(b"\xa5" * 4096)
    holdfast = deployment.start()
    Oracle().write(holdfast.port)
    assert holdfast.stop() == 0
    assert printed(deployment.command("verify", "--json"))["sound"] is True
    verdict = printed(deployment.command("verify", "--deep", "--json"), 65)
    assert verdict["sound"] is False and {damage["key"] for damage in verdict["damaged"]} == {"other.sqlite3"}
    assert all("integrity_check" in damage["reason"] for damage in verdict["damaged"])


@test
def an_empty_store_is_told_as_such(scene):
    deployment = scene.deployment()
    for words in (["list"], ["verify"], ["restore", "--to", scene.folder("copy")]):
        process = deployment.command(*words)
        process.expect_exit(64)
        assert process.log.find("HOLDFAST_STORE") and process.out.lines == []


@test
def a_store_that_nothing_was_shipped_to_is_looked_at_and_left_alone(scene):
    deployment = scene.deployment()
    missing = {"HOLDFAST_STORE": "file://" + os.path.join(scene.folder("parent"), "missing")}
    for words in (["list"], ["verify"], ["prune"], ["restore", "--to", "copy"], ["restore", "--to", "copy", "--follow"]):
        process = deployment.command(*words, environment=missing)
        process.expect_exit(64)
        assert process.log.find("is not there") and process.out.lines == []
        assert os.listdir(os.path.dirname(missing["HOLDFAST_STORE"][len("file://"):])) == [] and not os.path.exists("copy")
    holdfast = deployment.start(ready=False, command=["true"])  # ends before it has answered
    holdfast.expect_exit(0)
    process = deployment.command("list")
    assert output(process) == "" and process.log.find("nothing can be restored yet")
    assert printed(deployment.command("list", "--json")) == {"points": []}
    assert "there is nothing to restore" in output(deployment.command("verify"))
    copy = os.path.join(scene.folder("copies"), "copy")
    for words in (["restore", "--to", copy], ["restore", "--to", copy, "--follow"]):
        process = deployment.command(*words)
        process.expect_exit(64)
        assert process.log.find("nothing can be restored yet") and not os.path.exists(copy)


@test
def long_work_can_be_interrupted(scene):
    with FaultS3() as server:
        deployment, _ = shipped(scene, store=server.store("p"), environment=server.environment)
        copy = os.path.join(scene.folder("copies"), "copy")
        server.fault(operation="list", kind="hold")
        for words in (["list"], ["verify", "--json"], ["prune"], ["restore", "--to", copy], ["doctor"]):
            server.clear_log()
            process = deployment.command(*words)
            server.wait(operation="list", count=1, state="begun", timeout_s=20)
            process.send_signal(signal.SIGINT)
            process.expect_exit(128 + signal.SIGINT, 10)
            told = [line.split(" holdfast ", 1)[1] for line in process.log.lines]
            assert told == ["info SIGINT: stopping", "info interrupted before it was done"], told
            assert process.out.lines == [] and not os.path.exists(copy)


# --- prune -------------------------------------------------------------------------------------------------------


def plant(deployment, position, folder="part"):
    """An object that an earlier owner may have left behind; its key."""
    key = "%s/%016x-%s-9" % (folder, 2**64 - 1 - position, "5a" * 16)
    path = os.path.join(deployment.store.path, key)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as file:
        file.write("left behind")
    return key


def horizon_after_a_base(deployment, oracle):
    """Writes until another base was cut, which makes everything before it prunable; its record."""
    def oldest():
        return printed(deployment.command("list", "--json"))["points"][-1]["record"]

    first, holdfast = oldest(), deployment.start()
    while oldest() == first:
        oracle.write(holdfast.port)
        holdfast.wait_durable()
    assert holdfast.stop() == 0
    return oldest()


@test
def prune_deletes_below_the_horizon_once_and_says_first_what(scene):
    deployment, oracle = shipped(scene, environment={"HOLDFAST_RETENTION": "0", "HOLDFAST_SNAPSHOT_INTERVAL": "1s"})
    horizon = horizon_after_a_base(deployment, oracle)
    output(deployment.command("prune"))  # what the owner has not come to
    planted = sorted((plant(deployment, 1), plant(deployment, 1, "base")))
    kept = plant(deployment, horizon + 5)
    before = deployment.store.keys()
    dry = printed(deployment.command("prune", "--dry-run", "--json"))
    assert sorted(dry["keys"]) == planted and dry["objects"] == 2 and dry["dry_run"] and dry["horizon"] == horizon
    assert deployment.store.keys() == before
    assert sorted(output(deployment.command("prune", "--dry-run")).split()) == planted
    assert sorted(printed(deployment.command("prune", "--json"))["keys"]) == planted
    assert sorted(set(before) - set(deployment.store.keys())) == planted and kept in deployment.store.keys()
    again = deployment.command("prune")
    assert output(again) == "" and again.log.find("deleted 0 objects below record %d" % horizon)
    assert printed(deployment.command("verify", "--json"))["sound"] is True
    deployment.wipe()
    oracle.check(deployment.start().port)


@test
def prune_works_beside_a_running_owner_and_leaves_its_uploads_alone(scene):
    deployment, oracle = shipped(scene, environment={"HOLDFAST_RETENTION": "0"})
    holdfast = deployment.start()
    plant(deployment, 1)
    upload = plant(deployment, 100000)
    for _ in range(5):
        oracle.write(holdfast.port)
        assert printed(deployment.command("prune", "--json"))["horizon"] > 0
    assert upload in deployment.store.keys()
    holdfast.wait_durable()
    assert printed(deployment.command("verify", "--json"))["sound"] is True
    assert holdfast.stop() == 0
    deployment.wipe()
    oracle.check(deployment.start().port)


@test
def prune_without_a_store_of_holdfast_is_64(scene):
    process = scene.deployment().command("prune")
    process.expect_exit(64)
    assert process.log.find("holds nothing of holdfast")


# --- version and help --------------------------------------------------------------------------------------------


@test
def version_and_help_need_no_configuration(scene):
    bare = {"HOLDFAST_STORE": "nonsense", "HOLDFAST_SYNC_INTERVAL": "x"}
    deployment = scene.deployment(environment=bare)
    versions = printed(deployment.command("version", "--json"))
    assert {"holdfast", "libmicrohttpd", "sqlite", "zstd", "libcurl", "strict_http"} <= set(versions)
    text = output(deployment.command("version"))
    assert text.startswith("holdfast " + versions["holdfast"]) and "sqlite %s\n" % versions["sqlite"] in text + "\n"
    assert re.fullmatch(r"20\d\d-\d\d-\d\d", versions["sqlite_source"]) and versions["sqlite_source"] in text
    text = output(deployment.command("help"))
    assert "usage:" in text and all("\n%5d  " % code in text for code in (0, 64, 65, 69, 74))
    output(deployment.command("help", "run", "list"), 64)
    assert "HOLDFAST_STORE" in output(deployment.command("help", "environment"))
    for name in ("run", "restore", "list", "verify", "prune", "status", "snapshot", "doctor", "version", "help"):
        assert "holdfast " + name in output(deployment.command(name, "--help"))
        assert output(deployment.command("help", name)) == output(deployment.command(name, "--help"))


@test
def what_is_not_there_yet_says_so(scene):
    deployment = scene.deployment()
    for words in (["pin", "x"], ["pin"], ["fork"], ["fork", "--to", "file:///elsewhere"], ["fork", "--to=x", "--json"]):
        process = deployment.command(*words)
        process.expect_exit(64)
        assert process.log.find("later release")
    process = deployment.command("lst")
    process.expect_exit(64)
    assert process.log.find("did you mean list")


# --- progress ----------------------------------------------------------------------------------------------------


@test
def a_terminal_sees_a_bar(scene):
    with FaultS3() as server:
        deployment, _ = shipped(scene, store=server.store("p"), environment=server.environment)
        server.settings(delay_ms=300)
        pid, terminal = pty.fork()
        if pid == 0:
            os.execve(holdfast_path(), [holdfast_path(), "verify"], deployment.variables())
        seen = b""
        try:
            while True:
                seen += os.read(terminal, 65536)
        except OSError:
            pass
        _, status = os.waitpid(pid, 0)
        assert os.waitstatus_to_exitcode(status) == 0
        assert b"\rverifying [" in seen and b"verified up to record" in seen


main()
