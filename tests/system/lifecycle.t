#!/usr/bin/env python3
"""The life of a run as an operator sees it: signals, exit codes, processes; also as a real PID 1."""

import json
import os
import pty
import signal
import socket
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from lib.harness import *
from lib.s3servers import FaultS3
from lib.scripted import scripted, start_scripted

KILLED = 128 + signal.SIGKILL
CLOSE_RECORD = 5


def start_as_pid_1(scene, deployment, command, environment=None):
    """The process `unshare`, and holdfast's pid as we see it; inside, it is 1."""
    if os.geteuid() != 0:
        skip("a PID namespace wants root")
    variables = deployment.variables({"HOLDFAST_STOP_SIGNAL": "TERM", **(environment or {})})
    outside = scene.process("holdfast as PID 1", ["unshare", "--pid", "--fork", "--mount-proc", holdfast_path(), "run", "--",
                                                  *command], variables)
    inside = wait_until(lambda: children_of(outside.pid), 10, "holdfast below unshare")[0]
    return outside, inside


def answers_ready(port):
    return fetch(port, "GET", "/_holdfast/ready").status == 200


def objects(deployment, folder):
    path = os.path.join(deployment.store.path, folder)
    return sorted(os.listdir(path)) if os.path.isdir(path) else []


# --- stopping ----------------------------------------------------------------------------------------------------


@test
def what_was_written_before_sigterm_is_there_after_the_disk_is_gone(scene):
    deployment, oracle = scene.deployment(), Oracle()
    holdfast = deployment.start()
    for _ in range(5):
        oracle.write(holdfast.port)
    oracle.upload(holdfast.port, os.urandom(100000))
    assert holdfast.stop(signal.SIGTERM) == 0
    assert holdfast.log.find("everything is shipped")
    deployment.wipe()
    oracle.check(deployment.start().port)


@test
def as_pid_1_it_serves_ships_and_gives_the_childs_code(scene):
    deployment = scene.deployment()
    outside, inside = start_as_pid_1(scene, deployment, scripted(deployment, "--code", "3"))
    wait_until(lambda: answers_ready(deployment.port), 20, "ready")
    with open("/proc/%d/status" % inside) as status:
        assert "NSpid:\t%d\t1\n" % inside in status.read()
    os.kill(inside, signal.SIGTERM)
    outside.expect_exit(3)
    assert outside.log.find("everything is shipped")
    assert outside.out.find("got TERM")


@test
def as_pid_1_it_reaps_every_orphan(scene):
    deployment = scene.deployment()
    outside, inside = start_as_pid_1(scene, deployment, scripted(deployment))
    wait_until(lambda: answers_ready(deployment.port), 20, "ready")
    assert fetch(deployment.port, "GET", "/orphans?20").text == "left"
    wait_until(lambda: len(children_of(inside)) == 1, 10, "only the child left")
    os.kill(inside, signal.SIGTERM)
    outside.expect_exit(0)


@test
def without_being_pid_1_it_reaps_them_too(scene):
    deployment = scene.deployment()
    holdfast = start_scripted(deployment)
    assert holdfast.get("/orphans?20").text == "left"
    wait_until(lambda: len(holdfast.children) == 1, 10, "only the child left")
    assert holdfast.stop() == 0


@test
def whoever_left_the_childs_group_ends_with_it(scene):
    deployment = scene.deployment()
    holdfast = start_scripted(deployment)
    helper = int(holdfast.get("/escape").text)
    assert is_alive(helper)
    assert holdfast.stop() == 0
    assert not is_alive(helper)


@test
def sigint_stops_as_sigterm_does(scene):
    deployment = scene.deployment()
    holdfast = start_scripted(deployment, "--code", "4")
    assert holdfast.stop(signal.SIGINT) == 4
    assert holdfast.out.find("got TERM")  # the child is sent its own stop signal


def kind_of_head(store):
    """Of the newest record (docs/FORMAT.md, Envelope)."""
    return int.from_bytes(store.read(store.keys("log/")[0])[10:12], "little")


@test
def a_stop_during_the_restore_closes_the_log(scene):
    with FaultS3() as server:
        deployment, oracle = scene.deployment(store=server.store("p"), environment=server.environment), Oracle()
        holdfast = deployment.start()
        oracle.write(holdfast.port)
        assert holdfast.stop() == 0
        head = deployment.store.head()
        deployment.wipe()
        server.fault(operation="get", key="p/part/", kind="hold")
        stopped = deployment.start(ready=False)
        wait_until(lambda: deployment.store.head() > head, 20, "the takeover")
        wait_until(lambda: "restoring" in fetch(stopped.port, "GET", "/_holdfast/ready").json["reason"], 20, "the restore")
        stopped.send_signal(signal.SIGTERM)
        stopped.wait_for_log("SIGTERM: stopping$")
        server.clear_faults()
        stopped.expect_exit(0)
        assert stopped.log.find("stopped during the restore$") and not stopped.log.find("launched")
        assert deployment.store.head() == head + 2 and kind_of_head(deployment.store) == CLOSE_RECORD
        oracle.check(deployment.start().port)


@test
def a_second_signal_shortens_the_drain_but_not_the_flush(scene):
    deployment = scene.deployment()
    holdfast = start_scripted(deployment, environment={"HOLDFAST_SHUTDOWN_TIMEOUT": "100s"})
    waiting = Connection(holdfast.port)
    waiting.send(b"GET /wait?60 HTTP/1.1\r\nHost: x\r\n\r\n")
    wait_until(lambda: holdfast.metrics() and holdfast.get("/").text == "well", 5, "an answer beside it")
    holdfast.send_signal(signal.SIGTERM)
    holdfast.wait_for_log("SIGTERM: stopping$")
    stays(lambda: holdfast.running, 0.5, "draining")
    begin = time.monotonic()
    holdfast.send_signal(signal.SIGTERM)
    holdfast.expect_exit(0, 15)
    assert time.monotonic() - begin < 10
    assert holdfast.log.find("everything is shipped")


@test
def while_draining_it_is_alive_but_not_ready_and_takes_no_new_work(scene):
    deployment = scene.deployment()
    holdfast = start_scripted(deployment, environment={"HOLDFAST_SHUTDOWN_TIMEOUT": "50s"})
    waiting = Connection(holdfast.port)
    waiting.send(b"GET /wait?1.5 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    holdfast.get("/")
    holdfast.send_signal(signal.SIGTERM)
    wait_until(lambda: holdfast.state() == "drain", 5, "draining")
    assert fetch(holdfast.port, "GET", "/_holdfast/live").status == 200
    assert fetch(holdfast.port, "GET", "/_holdfast/ready").status == 503
    refused = holdfast.get("/")
    assert refused.status == 503 and int(refused.header("Retry-After")) >= 1 and refused.header("X-Holdfast") == "1"
    assert waiting.read_response().text == "well"
    holdfast.expect_exit(0)


@test
def a_child_that_ignores_its_signal_is_killed_and_that_is_told(scene):
    deployment = scene.deployment()
    holdfast = start_scripted(deployment, "--ignore", "TERM", environment={"HOLDFAST_SHUTDOWN_TIMEOUT": "3s"})
    assert holdfast.stop() == KILLED
    assert holdfast.log.find("it is killed") and holdfast.log.find("everything is shipped")


# --- exit codes --------------------------------------------------------------------------------------------------


@test
def the_childs_own_code_is_holdfasts(scene):
    for code in (0, 7):
        holdfast = start_scripted(scene.deployment())
        try:
            holdfast.get("/exit?%d" % code)
        except (OSError, Closed):
            pass
        holdfast.expect_exit(code)
        assert holdfast.log.find("everything is shipped")


@test
def a_child_killed_by_a_signal_counts_from_128(scene):
    for number in (signal.SIGKILL, signal.SIGABRT):
        holdfast = start_scripted(scene.deployment())
        os.kill(holdfast.backend_pid, number)
        holdfast.expect_exit(128 + number)
        assert holdfast.log.find("everything is shipped")


@test
def a_child_that_fails_before_it_answered_publishes_nothing(scene):
    deployment = scene.deployment()
    script = "mkdir -p %s/sub; echo half > %s/sub/file; exit 3" % (deployment.data, deployment.data)
    holdfast = deployment.start(command=["sh", "-c", script], ready=False)
    holdfast.expect_exit(3)
    assert holdfast.log.find("never answered, so nothing of this run is shipped")
    assert not holdfast.log.find("everything is shipped")
    assert not objects(deployment, "base")
    deployment.wipe()
    assert start_scripted(deployment).stop() == 0
    assert not os.path.exists(os.path.join(deployment.data, "sub"))


@test
def a_store_that_is_gone_at_the_end_gives_74_and_says_so(scene):
    deployment = scene.deployment()
    holdfast = deployment.start(environment={"HOLDFAST_SHUTDOWN_TIMEOUT": "3s", "HOLDFAST_SYNC_INTERVAL": "1h",
                                             "HOLDFAST_SNAPSHOT_INTERVAL": "1h"})
    Oracle().write(holdfast.port)
    log = os.path.join(deployment.store.path, "log")
    os.rename(log, log + ".gone")
    with open(log, "w"):
        pass
    assert holdfast.stop() == 74
    assert holdfast.log.find("not everything was shipped")


@test
def a_takeover_ends_the_old_one_with_76_and_its_child_with_it(scene):
    old = scene.deployment()
    first = old.start()
    Oracle().write(first.port)
    first.wait_durable()
    backend = first.backend_pid
    second = old.elsewhere().start()
    fetch(first.port, "POST", "/write", body="lost")
    first.expect_exit(76)
    assert not is_alive(backend)
    assert first.log.find("another container has taken over")
    assert fetch(second.port, "GET", "/version").status == 200
    assert second.stop() == 0


# --- starting ----------------------------------------------------------------------------------------------------


@test
def a_command_that_is_not_there_gives_127_before_anything_is_touched(scene):
    deployment = scene.deployment()
    for name in ("/no/such/program", "no-such-program"):
        holdfast = deployment.start(command=[name], ready=False)
        holdfast.expect_exit(127)
        assert holdfast.log.find("%s is not found" % name)
    assert os.listdir(deployment.data) == [] and os.listdir(deployment.store.path) == []


@test
def a_command_that_can_not_be_executed_gives_126(scene):
    deployment = scene.deployment()
    plain = scene.file("plain", "#!/bin/sh\n")
    for name in (plain, scene.folder("folder")):
        deployment.start(command=[name], ready=False).expect_exit(126)
    assert os.listdir(deployment.data) == [] and os.listdir(deployment.store.path) == []
    broken = scene.file("broken", "\x7fELF and nothing more")
    os.chmod(broken, 0o755)
    deployment.start(command=[broken], ready=False).expect_exit(126)


@test
def a_port_that_is_taken_gives_64_and_the_variables_name(scene):
    deployment = scene.deployment()
    for variable, port in (("HOLDFAST_LISTEN", deployment.port), ("HOLDFAST_ADMIN_LISTEN", deployment.admin)):
        with socket.socket() as taken:
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            taken.bind(("127.0.0.1", port))
            taken.listen()
            holdfast = start_scripted(deployment, ready=False)
            holdfast.expect_exit(64)
        assert holdfast.log.find(variable)
    assert os.listdir(deployment.data) == [] and os.listdir(deployment.store.path) == []


@test
def sigterm_during_the_restore_gives_0_and_launches_nothing(scene):
    deployment = scene.deployment()
    first = deployment.start()
    Oracle().write(first.port)
    first.wait_durable()
    first.kill_tree()
    deployment.wipe()
    holdfast = deployment.start(ready=False, environment={"HOLDFAST_PREDECESSOR": "alive"})  # waits for its close
    holdfast.wait_listening()
    wait_until(lambda: holdfast.state() == "restore", 10, "restoring")
    assert fetch(holdfast.port, "GET", "/_holdfast/ready").status == 503
    assert holdfast.stop() == 0
    assert not holdfast.log.find("launched")


@test
def run_wants_a_command(scene):
    deployment = scene.deployment()
    for words in (["run"], ["run", "--"]):
        process = deployment.command(*words)
        process.expect_exit(64)
        assert process.log.find("run wants a command")


@test
def the_second_port_leads_to_the_same_backend_below_its_prefix(scene):
    deployment, site = scene.deployment(), scene.port()
    holdfast = deployment.start(environment={"HOLDFAST_SITE_LISTEN": "127.0.0.1:%d" % site})
    assert fetch(site, "GET", "/hook?x=1").text == "GET /http/hook?x=1\n"
    assert fetch(site, "GET", "/_holdfast/ready").status == 200
    assert holdfast.stop() == 0


@test
def the_log_is_json_if_asked_and_the_childs_output_passes_untouched(scene):
    deployment = scene.deployment()
    holdfast = start_scripted(deployment, environment={"HOLDFAST_LOG_FORMAT": "json"})
    assert holdfast.stop() == 0
    lines = [json.loads(line) for line in holdfast.log.lines]
    assert lines and all({"time", "source", "level", "message"} == set(line) for line in lines)
    assert holdfast.out.lines == ["ready", "got TERM"]


# --- signals and processes ---------------------------------------------------------------------------------------


@test
def signals_that_are_the_applications_are_forwarded(scene):
    holdfast = start_scripted(scene.deployment())
    for name in ("HUP", "USR1", "USR2", "QUIT", "WINCH"):
        holdfast.send_signal(getattr(signal, "SIG" + name))
        holdfast.wait_for_out("got %s$" % name)
    assert holdfast.running
    assert holdfast.stop() == 0


@test
def a_terminal_belongs_to_the_child_and_comes_back(scene):
    deployment = scene.deployment()
    variables = deployment.variables({"HOLDFAST_STOP_SIGNAL": "TERM"})
    words = [holdfast_path(), "run", "--", *[str(part) for part in scripted(deployment)]]
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(words[0], words, variables)
    wait_until(lambda: answers_ready(deployment.port), 20, "ready")
    assert fetch(deployment.port, "GET", "/terminal").text == "True"
    os.write(terminal, b"\x1c")  # the terminal's quit key goes to the foreground group alone
    seen = b""
    while b"got QUIT" not in seen:
        seen += os.read(terminal, 4096)
    assert answers_ready(deployment.port)
    os.kill(pid, signal.SIGTERM)
    wait_until(lambda: drained(terminal) or not is_alive(pid), 20, "the end")
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0


def drained(terminal):
    """Reads what is there, so that nobody blocks on a full terminal."""
    try:
        os.set_blocking(terminal, False)
        os.read(terminal, 65536)
    except OSError:
        pass  # nothing there now, or nobody at the other end any more
    return False


main()
