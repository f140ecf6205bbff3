#!/usr/bin/env python3
"""A start that is refused: whoever waits for it, and whoever asks just then, is told why, in the sentence of the log."""

import os
import signal
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from lib.harness import *
from lib.s3servers import FaultS3


class Waiting:
    """Clients of every kind, held by a start that doesn't come to its end."""

    def __init__(self, holdfast):
        self.holdfast = holdfast
        holdfast.wait_listening()
        self.plain = [Connection(holdfast.port) for _ in range(3)]
        self.plain[0].send_request("GET", "/version")
        self.plain[1].send_request("POST", "/write", body=b"x" * 300000)
        self.plain[2].send_request("POST", "/write", [("Content-Length", "1000")])
        self.plain[2].send("only a part of it")
        self.refused_upgrade = None
        self.looks = []
        self.upgrading = threading.Thread(target=self.upgrade)
        self.looking = threading.Thread(target=self.look)
        self.upgrading.start()
        self.looking.start()
        wait_until(lambda: holdfast.metrics()["holdfast_held_requests"] == 4, 20, "four held requests")

    def upgrade(self):
        try:
            WebSocket(self.holdfast.port)
        except Refused as refused:
            self.refused_upgrade = refused.response

    def look(self):
        """As a platform does: asks again and again, without knowing when."""
        while True:
            try:
                self.looks.append(fetch(self.holdfast.port, "GET", "/_holdfast/ready"))
            except OSError:
                return
            stays(lambda: True, 0.05)

    def answers(self):
        """Of those that are held."""
        held = [connection.read_response() for connection in self.plain]
        self.upgrading.join(30)
        assert self.refused_upgrade, "the upgrade got no answer"
        return held + [self.refused_upgrade]

    def last_look(self):
        """Once the process has ended."""
        self.looking.join(30)
        return self.looks[-1]


def begin_held(server, deployment, key, operation="get", skip=0, times=0, **how):
    """A start that asks for what lies under the key and doesn't get it, and those who wait for it."""
    server.clear_log()
    server.fault(operation=operation, key="p/" + key, kind="hold", skip=skip, times=times)
    holdfast = deployment.start(ready=False, **how)
    waiting = Waiting(holdfast)
    server.wait(operation=operation, key="p/" + key, count=skip + 1, state="begun", timeout_s=20)
    return holdfast, waiting


def check_told(holdfast, waiting, code, pattern, state="restore"):
    """Everybody was told the sentence of the log, and the exit code."""
    answers = waiting.answers()
    holdfast.expect_exit(code)
    answers.append(waiting.last_look())
    errors = [line for line in holdfast.log.lines if " holdfast error " in line]
    assert len(errors) == 1, "%d sentences: %s" % (len(errors), errors)
    for answer in answers:
        assert answer.status == 503 and answer.header("X-Holdfast") == "1", "%r" % answer
        assert answer.header("Content-Type") == "application/json" and int(answer.header("Retry-After")) >= 1
        assert answer.json["exit_code"] == code and answer.json["state"] == state, answer.text
        assert errors[0].endswith(answer.json["reason"]), "told %s, logged %s" % (answer.json["reason"], errors[0])
        assert pattern in answer.json["reason"], answer.json["reason"]
    return answers


@test
def a_restore_that_meets_a_damaged_object_names_it_to_who_waits(scene):
    with FaultS3() as server:
        deployment, oracle = scene.deployment(store=server.store("p"), environment=server.environment), Oracle()
        holdfast = deployment.start()
        oracle.write(holdfast.port)
        assert holdfast.stop() == 0
        deployment.wipe()
        key = deployment.store.keys("part/")[0]
        deployment.store.damage(key, "flip")
        holdfast, waiting = begin_held(server, deployment, "part/")
        server.clear_faults()
        check_told(holdfast, waiting, 65, key)
        assert not holdfast.log.find("launched")


@test
def a_wrong_key_is_told_without_telling_it(scene):
    with FaultS3() as server:
        for name in ("HOLDFAST_S3_ACCESS_KEY_ID", "HOLDFAST_S3_SECRET_ACCESS_KEY"):
            deployment = scene.deployment(store=server.store("p"), environment=server.environment)
            holdfast, waiting = begin_held(server, deployment, "", environment={name: "wrong-and-hush"})
            server.clear_faults()
            secrets = ["hush"] + [server.environment[known] for known in
                                  ("HOLDFAST_S3_ACCESS_KEY_ID", "HOLDFAST_S3_SECRET_ACCESS_KEY")]
            for answer in check_told(holdfast, waiting, 64, "HOLDFAST_S3_"):
                for secret in secrets:
                    assert secret not in answer.text, "the answer tells %s" % secret
                    assert all(secret not in value for _, value in answer.headers)


@test
def a_store_of_a_newer_release_is_told(scene):
    with FaultS3() as server:
        deployment = scene.deployment(store=server.store("p"), environment=server.environment)
        assert deployment.start().stop() == 0
        deployment.wipe()
        deployment.store.write("holdfast.json", deployment.store.read("holdfast.json").replace(b'"format":1', b'"format":99'))
        holdfast, waiting = begin_held(server, deployment, "holdfast.json")
        server.clear_faults()
        check_told(holdfast, waiting, 65, "newer")


@test
def a_disk_that_is_too_small_is_told(scene):
    if os.geteuid() != 0:
        skip("mounting wants root")
    with FaultS3() as server:
        deployment = scene.deployment(store=server.store("p"), environment=server.environment)
        with open(os.path.join(deployment.data, "large"), "wb") as file:
            file.write(os.urandom(8 << 20))
        assert deployment.start().stop() == 0
        deployment.wipe()
        script = 'mount -t tmpfs -o size=2m none "$HOLDFAST_DATA_DIR" && exec "$@"'
        path = scene.file("small-disk", "#!/bin/sh\n" + script + "\n")
        holdfast, waiting = begin_held(server, deployment, "base/", wrapper=["unshare", "--mount", "sh", path])
        server.clear_faults()
        check_told(holdfast, waiting, 64, "disk")


@test
def a_takeover_during_the_restore_is_told(scene):
    with FaultS3() as server:
        deployment, oracle = scene.deployment(store=server.store("p"), environment=server.environment), Oracle()
        holdfast = deployment.start()
        oracle.write(holdfast.port)
        assert holdfast.stop() == 0
        deployment.wipe()
        holdfast, waiting = begin_held(server, deployment, "log/", operation="list", skip=1, times=1)
        newer = deployment.elsewhere().start()
        oracle.check(newer.port)
        server.clear_faults()
        check_told(holdfast, waiting, 76, "", state="fenced")


@test
def a_command_that_is_not_there_is_told_to_who_comes_in_that_moment(scene):
    deployment = scene.deployment()
    holdfast = deployment.start(ready=False, command=["no-such-command-here"])

    def answer():
        seen = fetch(deployment.port, "GET", "/_holdfast/ready")
        return seen if "exit_code" in seen.json else None

    told = wait_until(answer, 20, "the refusal")
    assert told.status == 503 and told.json["exit_code"] == 127 and "no-such-command-here" in told.json["reason"], told.text
    holdfast.expect_exit(127)


@test
def a_stop_during_the_restore_is_told(scene):
    with FaultS3() as server:
        deployment = scene.deployment(store=server.store("p"), environment=server.environment)
        holdfast, waiting = begin_held(server, deployment, "")
        holdfast.send_signal(signal.SIGTERM)
        for answer in waiting.answers():
            assert answer.status == 503 and "shutting down" in answer.json["reason"], answer.text
        server.clear_faults()
        holdfast.expect_exit(0)


@test
def clients_that_never_come_to_their_end_do_not_delay_the_exit(scene):
    with FaultS3() as server:
        deployment = scene.deployment(store=server.store("p"), environment=server.environment)
        server.fault(kind="hold")
        holdfast = deployment.start(ready=False, environment={"HOLDFAST_S3_ACCESS_KEY_ID": "wrong"})
        holdfast.wait_listening()
        silent, half, uploading, deaf = (Connection(deployment.port) for _ in range(4))
        half.send("GET /version HTTP/1.1\r\nHo")
        uploading.send_request("POST", "/write", [("Content-Length", "1000000")])
        deaf.send_request("GET", "/version")
        wait_until(lambda: holdfast.metrics()["holdfast_held_requests"] == 2, 20, "the held requests")
        server.clear_faults()
        holdfast.wait_for_log(" holdfast error ")
        begin = time.monotonic()
        holdfast.expect_exit(64)
        assert time.monotonic() - begin < 1.5, "%.2f s" % (time.monotonic() - begin)
        assert uploading.read_head().status == 503
        for connection in (silent, half, uploading, deaf):
            connection.close()


main()
