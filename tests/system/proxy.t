#!/usr/bin/env python3
"""The front ports as a client sees them, with the sample backend behind: what is passed, what is held, what is ours."""

import hashlib
import os
import signal
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from lib.harness import *

MEGABYTE = 1 << 20


def is_ours(response):
    return response.header("X-Holdfast") == "1" and response.header("Content-Type") == "application/json"


def letters(size):
    """What /large answers."""
    return (b"abcdefghijklmnopqrstuvwxyz" * (size // 26 + 1))[:size]


# --- before the backend answers ----------------------------------------------------------------------------------


@test
def a_cold_start_is_not_noticed(scene):
    deployment = scene.deployment()
    holdfast = deployment.start("--start-delay-ms", "1500", ready=False)
    holdfast.wait_listening()
    held = [Connection(deployment.port) for _ in range(4)]
    held[0].send_request("GET", "/version")
    held[1].send_request("POST", "/echo", body=b"x" * 100000)
    held[2].send_request("POST", "/echo", body=[b"in", b"pieces"])
    held[3].send_request("POST", "/echo", [("Expect", "100-continue"), ("Content-Length", "4")])
    answers = []
    upgrade = threading.Thread(target=lambda: answers.append(WebSocket(deployment.port).ask("ping")))
    upgrade.start()
    probe = fetch(deployment.port, "GET", "/", [("Host", "ping")])
    assert probe.status == 200
    ready = fetch(deployment.port, "GET", "/_holdfast/ready")
    assert ready.status == 503 and int(ready.header("Retry-After")) >= 1
    assert ready.json["state"] in ("listen", "restore", "launch") and 0 <= ready.json["progress"] <= 1
    assert holdfast.metrics()["holdfast_held_requests"] >= 1
    assert held[0].read_response().status == 200
    assert held[1].read_response().body == b"x" * 100000
    assert held[2].read_response().body == b"inpieces"
    assert held[3].read_head().status == 100
    held[3].send(b"last")
    assert held[3].read_response().body == b"last"
    upgrade.join(20)
    assert answers == ["ping"]


@test
def who_is_held_too_long_is_told_to_come_back(scene):
    deployment = scene.deployment(environment={"HOLDFAST_HOLD_TIMEOUT": "200ms"})
    holdfast = deployment.start("--start-delay-ms", "5000", ready=False)
    holdfast.wait_listening()
    response = fetch(deployment.port, "POST", "/write", body=b"x" * MEGABYTE)
    assert response.status == 503 and is_ours(response)
    assert int(response.header("Retry-After")) >= 1
    assert response.json["state"] in ("restore", "launch")
    try:
        WebSocket(deployment.port)
        assert False, "the upgrade was not refused"
    except Refused as refused:
        assert refused.response.status == 503 and is_ours(refused.response)


# --- what is passed ----------------------------------------------------------------------------------------------


@test
def bodies_pass_both_ways_whole(scene):
    holdfast = scene.deployment().start("--no-background-writes")
    with Connection(holdfast.port) as connection:
        body = os.urandom(3 * MEGABYTE)
        stored = connection.request("POST", "/upload", body=body).json
        assert stored["sha256"] == hashlib.sha256(body).hexdigest()
        part = connection.request("GET", "/download?file=" + stored["file"], [("Range", "bytes=1000000-1000009")])
        assert part.status == 206 and part.body == body[1000000:1000010]
        for chunked in (0, 1):
            large = connection.request("GET", "/large?bytes=%d&chunked=%d" % (8 * MEGABYTE, chunked))
            assert large.body == letters(8 * MEGABYTE)
            assert (large.header("Transfer-Encoding") == "chunked") == bool(chunked)
        head = connection.request("HEAD", "/large?bytes=1234")
        assert head.header("Content-Length") == "1234" and head.body == b""
        assert connection.request("GET", "/version").status == 200


@test
def a_body_comes_back_while_it_goes_up(scene):
    holdfast = scene.deployment().start("--no-background-writes")
    size = 16 * MEGABYTE
    body = letters(size)
    with Connection(holdfast.port) as connection:
        sender = threading.Thread(target=lambda: connection.send_request("POST", "/echo", body=body))
        sender.start()
        response = connection.read_response()
        sender.join()
        assert response.status == 200 and response.body == body


@test
def a_stream_arrives_as_it_is_said(scene):
    holdfast = scene.deployment().start("--no-background-writes")
    with Connection(holdfast.port) as connection:
        connection.send_request("GET", "/stream?n=3&ms=300")
        assert connection.read_head().status == 200
        times = []
        for number in (1, 2, 3):
            assert connection.read_chunk() == b"tick %d\n" % number
            times.append(time.monotonic())
        assert times[1] - times[0] > 0.15 and times[2] - times[1] > 0.15, "the pieces came together"
        assert connection.read_chunk() == b""


@test
def the_backend_sees_who_asked_for_what(scene):
    deployment = scene.deployment()
    site = scene.port()
    holdfast = deployment.start(environment={"HOLDFAST_SITE_LISTEN": "127.0.0.1:%d" % site})
    seen = fetch(holdfast.port, "GET", "/headers?a=%2F&b", [
        ("Host", "example.org"), ("X-Forwarded-For", "9.9.9.9"), ("Forwarded", "for=8.8.8.8"),
        ("Connection", "X-Hop, close"), ("X-Hop", "1"), ("Cookie", "a=b")]).text
    assert seen.startswith("GET /headers?a=%2F&b HTTP/1.1\r\nhost: example.org\r\n")
    assert "\r\nx-forwarded-for: 127.0.0.1\r\n" in seen and "\r\nx-forwarded-host: example.org\r\n" in seen
    assert "\r\nCookie: a=b\r\n" in seen
    assert "X-Hop" not in seen and "8.8.8.8" not in seen and "9.9.9.9" not in seen
    assert fetch(site, "PUT", "/action?q=1", body=b"x").text == "PUT /http/action?q=1\n"
    assert fetch(site, "GET", "/_holdfast/live").status == 200


@test
def websockets_pass_both_ways(scene):
    holdfast = scene.deployment().start("--websocket-ping-ms", "50")
    sockets = [WebSocket(holdfast.port) for _ in range(20)]
    for round_ in range(3):
        for number, socket_ in enumerate(sockets):
            assert socket_.ask("%d of %d" % (number, round_)) == "%d of %d" % (number, round_)
    large = "y" * MEGABYTE
    assert sockets[0].ask(large) == large
    assert sockets[1].close() == 1000
    assert holdfast.get("/version").status == 200


@test
def a_backend_that_dies_is_a_bad_gateway_or_an_end(scene):
    deployment = scene.deployment()
    holdfast = deployment.start("--no-background-writes")
    with Connection(holdfast.port) as connection:
        connection.send_request("GET", "/sleep?ms=60000")
        wait_until(lambda: holdfast.get("/version").status == 200, 5, "an answer beside it")
        os.kill(holdfast.backend_pid, signal.SIGKILL)
        response = connection.read_response()
        assert response.status == 502 and is_ours(response)
    holdfast.expect_exit(128 + signal.SIGKILL)


# --- at the end --------------------------------------------------------------------------------------------------


@test
def a_drain_says_goodbye_to_websockets_and_finishes_requests(scene):
    deployment = scene.deployment(environment={"HOLDFAST_SHUTDOWN_TIMEOUT": "50s"})
    holdfast = deployment.start("--no-background-writes")
    socket_ = WebSocket(holdfast.port)
    assert socket_.ask("hello") == "hello"
    with Connection(holdfast.port) as busy, Connection(holdfast.port) as idle:
        assert idle.request("GET", "/version").status == 200
        busy.send_request("GET", "/sleep?ms=1000")
        wait_until(lambda: holdfast.get("/version").status == 200, 5, "an answer beside it")
        holdfast.send_signal(signal.SIGTERM)
        assert socket_.read() is None and socket_.close_code == 1001
        assert idle.is_closed_by_peer()
        assert busy.read_response().json["slept_ms"] == 1000
    holdfast.expect_exit(0)


@test
def a_stop_does_not_wait_for_websockets_whose_clients_take_nothing(scene):
    """The drain alone has 100 s here: the limit is far from that, and far from the 2 s of patience."""
    deployment = scene.deployment(environment={"HOLDFAST_SHUTDOWN_TIMEOUT": "500s"})
    holdfast = deployment.start("--no-background-writes")
    answering, mute, deaf = (WebSocket(holdfast.port) for _ in range(3))
    for socket_ in (answering, mute):
        assert socket_.ask("hello") == "hello"
    deaf.connection.socket.settimeout(0.5)
    try:
        while True:
            deaf.send("y" * MEGABYTE)
    except TimeoutError:
        pass  # neither it nor the backend takes any more
    holdfast.send_signal(signal.SIGTERM)
    assert answering.read() is None and answering.close_code == 1001
    answering.close()
    holdfast.expect_exit(0, timeout_s=30)
    assert mute.read() is None and mute.close_code == 1001


main()
