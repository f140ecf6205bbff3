#!/usr/bin/env python3
"""`holdfast snapshot`: the running holdfast cuts a base, and whoever asked waits until it is announced."""

import os
import pty
import signal
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from lib.answers import output, printed
from lib.harness import *
from lib.s3servers import FaultS3


def bases(deployment):
    """When each was announced, by its record."""
    points = printed(deployment.command("list", "--json"))["points"]
    return {point["record"]: point["time"] for point in points if point["kind"] == "base"}


@test
def a_snapshot_is_a_point_that_holds_what_was_written_before(scene):
    deployment, oracle = scene.deployment(), Oracle()
    holdfast = deployment.start()
    for _ in range(3):
        oracle.write(holdfast.port)
    cut = printed(deployment.command("snapshot", "--json"))
    assert set(cut) == {"record", "position", "time", "unprotected"} and cut["position"] < cut["record"]
    assert cut["unprotected"] == 0
    assert bases(deployment)[cut["record"]] == cut["time"]
    sentence = output(deployment.command("snapshot"))
    newest, time = max(bases(deployment).items())
    assert newest > cut["record"] and "announced as record %d of %s" % (newest, time) in sentence
    assert holdfast.stop() == 0
    copy = os.path.join(scene.folder("copies"), "copy")
    restored = output(deployment.command("restore", "--to", copy, "--at", str(cut["record"])))
    assert restored.startswith("restored up to record %d of %s" % (cut["record"], cut["time"]))
    oracle.check(scene.backend(copy).port)


@test
def without_a_holdfast_it_is_69(scene):
    deployment = scene.deployment()
    process = deployment.command("snapshot")
    assert output(process, 69) == "" and process.log.find("no holdfast answers at")


@test
def before_the_backend_answers_it_is_refused_with_the_reason(scene):
    deployment = scene.deployment()
    holdfast = deployment.start(command=["/bin/sleep", "60"], ready=False)
    wait_until(lambda: holdfast.state() == "launch", 20, "launch")
    process = deployment.command("snapshot")
    assert output(process, 74) == "" and process.log.find("the backend has not answered yet")


@test
def the_order_is_taken_from_no_web_page_and_by_no_reading(scene):
    deployment = scene.deployment()
    holdfast = deployment.start()
    record = holdfast.status()["record"]

    def post(headers):
        return fetch(holdfast.admin, "POST", "/snapshot", headers=headers, body=b"")

    own = ("X-Holdfast", "1")
    assert fetch(holdfast.admin, "GET", "/snapshot").status == 405
    assert post([]).status == 403 and post([own, ("Origin", "http://127.0.0.1:%d" % holdfast.admin)]).status == 403
    assert fetch(holdfast.admin, "OPTIONS", "/snapshot", headers=[("Origin", "http://x")]).status == 405
    assert fetch(holdfast.port, "POST", "/snapshot", headers=[own], body=b"").header("X-Holdfast") is None
    for target in ("/snapshot/1", "/snapshot/", "/snapshot/x", "/snapshot/1.json", "/snapshots"):
        assert fetch(holdfast.admin, "GET", target).status == 404, target
    accepted = post([own])
    assert accepted.status == 202 and accepted.json == {"request": 1}, "none of those above was taken"
    wait_until(lambda: fetch(holdfast.admin, "GET", "/snapshot/1").status == 200, 20, "the base")
    assert fetch(holdfast.admin, "GET", "/snapshot/1").json["record"] > record
    assert fetch(holdfast.admin, "POST", "/snapshot/1", headers=[own], body=b"").status == 405
    assert holdfast.stop() == 0


@test
def it_waits_for_the_store_and_going_away_cancels_nothing(scene):
    with FaultS3() as server:
        deployment = scene.deployment(store=server.store("p"), environment=server.environment)
        holdfast = deployment.start()
        oracle = Oracle()
        oracle.write(holdfast.port)
        holdfast.wait_durable()
        server.clear_log()
        server.fault(operation="put", kind="hold")
        patient, impatient = deployment.command("snapshot", "--json"), deployment.command("snapshot")
        server.wait(operation="put", state="begun", count=1, timeout_s=20)
        wait_until(lambda: fetch(holdfast.admin, "GET", "/snapshot/2").status == 202, 20, "both requests")
        impatient.send_signal(signal.SIGINT)
        impatient.expect_exit(128 + signal.SIGINT, 10)
        assert impatient.log.find("cut all the same") and impatient.out.text() == "" and patient.running
        server.clear_faults()
        assert printed(patient)["record"] in bases(deployment)
        assert holdfast.stop() == 0


@test
def a_terminal_sees_what_it_waits_for(scene):
    with FaultS3() as server:
        deployment = scene.deployment(store=server.store("p"), environment=server.environment)
        holdfast = deployment.start()
        server.settings(delay_ms=150)
        pid, terminal = pty.fork()
        if pid == 0:
            os.execve(holdfast_path(), [holdfast_path(), "snapshot"], deployment.variables())
        seen = b""
        try:
            while True:
                seen += os.read(terminal, 65536)
        except OSError:
            pass
        _, status = os.waitpid(pid, 0)
        assert os.waitstatus_to_exitcode(status) == 0
        assert b"\rsnapshot: the base is being cut, 0 s" in seen and b"announced as record" in seen
        assert holdfast.stop() == 0


main()
