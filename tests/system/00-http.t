#!/usr/bin/env python3
"""What the sample backend speaks, without holdfast: HTTP, WebSockets, uploads."""

import os
import signal
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from lib.harness import *


@test
def a_websocket_echoes_pushes_and_commits(scene):
    backend, oracle = scene.backend(), Oracle()
    with WebSocket(backend.port) as socket:
        assert socket.ask("hello") == "hello"
        assert socket.ask(b"\x00" * 70000) == b"\x00" * 70000
        socket.send("push 3 20")
        assert [socket.read() for _ in range(3)] == ["push 1", "push 2", "push 3"]
        answer = socket.ask("write over a socket")
        assert '"id":1' in answer
        oracle.wrote(1, "over a socket")
        socket.send_frame(TEXT, b"in two ", final=False)
        socket.send_frame(PING, b"between")
        socket.send_frame(0, b"pieces")
        assert socket.read() == "in two pieces"
        assert socket.close(1001) == 1001
    backend.wait_for_out("websocket closed by the client with 1001")
    oracle.check(backend.port)


@test
def a_websocket_is_closed_from_the_other_side_too(scene):
    backend = scene.backend()
    with WebSocket(backend.port) as socket:
        assert socket.ask("close 4040") is None
        assert socket.close_code == 4040
    with WebSocket(backend.port) as socket:
        socket.connection.send(b"\x81\x00")  # not masked
        assert socket.read() is None and socket.close_code == 1002


@test
def a_stop_does_not_wait_for_websockets(scene):
    backend = scene.backend()
    with WebSocket(backend.port) as socket:
        assert socket.ask("still here") == "still here"
        assert backend.stop(signal.SIGINT) == 0
        assert socket.read() is None and socket.close_code == 1006


@test
def bodies_go_both_ways_by_length_and_in_chunks(scene):
    backend, content = scene.backend(), os.urandom(500000)
    with Connection(backend.port) as connection:
        assert connection.request("POST", "/echo", body=content).body == content
        pieces = (content[at:at + 7777] for at in range(0, len(content), 7777))
        response = connection.request("POST", "/echo", body=pieces)
        assert response.body == content and response.header("Transfer-Encoding") == "chunked"
        connection.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n")
        assert connection.read_head().status == 100
        connection.send("late")
        assert connection.read_response().text == "late"
        assert len(connection.request("GET", "/large?bytes=1000000&chunked=1").body) == 1000000
        assert connection.request("HEAD", "/large?bytes=1000000").header("Content-Length") == "1000000"


@test
def malformed_requests_are_refused(scene):
    backend = scene.backend()
    for head in ("GET /version\r\n\r\n", "GET / HTTP/1.1\r\nno colon\r\n\r\n", "GET / HTTP/1.1\r\nName : x\r\n\r\n",
                 "POST /echo HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
                 "POST /echo HTTP/1.1\r\nContent-Length: three\r\n\r\n"):
        with Connection(backend.port) as connection:
            connection.send(head)
            assert connection.read_response().status == 400, head
            assert connection.is_closed_by_peer()


@test
def a_part_of_a_file_can_be_had(scene):
    backend, content = scene.backend(), os.urandom(1000)
    target = "/download?file=" + Oracle().upload(backend.port, content)
    for asked, part in (("bytes=0-0", content[:1]), ("bytes=990-", content[990:]), ("bytes=-10", content[990:]),
                        ("bytes=10-2000", content[10:])):
        response = fetch(backend.port, "GET", target, {"Range": asked})
        assert response.status == 206 and response.body == part, asked
    assert fetch(backend.port, "GET", target, {"Range": "bytes=1000-"}).status == 416
    assert fetch(backend.port, "GET", target, {"Range": "bytes=1-2,4-5"}).body == content
    assert fetch(backend.port, "GET", "/download?file=../../db.sqlite3").status == 404


@test
def an_upload_that_is_cut_off_leaves_a_file_that_nothing_names(scene):
    data = scene.folder("data")
    backend = scene.backend(data)
    with Connection(backend.port) as connection:
        connection.send("POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n" + "x" * 50000)
        folder = os.path.join(data, "storage", "files")
        wait_until(lambda: [name for name in os.listdir(folder)
                            if os.path.getsize(os.path.join(folder, name)) == 50000], what="the partial file")
    wait_until(lambda: fetch(backend.port, "GET", "/stats").json["files"] == 0)
    Oracle().check(backend.port)


@test
def the_site_port_forwards_below_http(scene):
    port = scene.port()
    scene.backend(None, "--site-proxy-port", port)
    assert fetch(port, "GET", "/hook?a=1").text == "GET /http/hook?a=1\n"


main()
