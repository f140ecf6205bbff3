#!/usr/bin/env python3
"""Two and more containers on one store: whoever loses notices, stops, and has overwritten nothing."""

import os
import signal
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from lib.harness import *
from lib.s3servers import FaultS3

FENCED = 76
DUEL = "two containers share this prefix, or one crashes in a loop"


def contents(store):
    """Every object with its bytes."""
    return {key: store.read(key) for key in store.keys()}


def write_confirmed(holdfast, oracle):
    """A write that the oracle learns of once it is durable; False if this container has lost the log meanwhile."""
    value = oracle.next_value()
    try:
        response = holdfast.post("/write", value)
        if response.status != 200:
            return False
        number = response.json["id"]
        holdfast.wait_durable(timeout_s=20)
        oracle.wrote(number, value)
        return True
    except (OSError, Closed, AssertionError):
        return False


# --- fights ------------------------------------------------------------------------------------------------------


class Fighter(threading.Thread):
    """One container of three: started again whenever it was fenced, until the fight is over; then it stays as it is."""

    def __init__(self, deployment, oracle, until):
        super().__init__(daemon=True)
        self.deployment, self.oracle, self.until = deployment, oracle, until
        self.confirmed, self.codes, self.holdfast = 0, [], None

    def _serve(self):
        self.holdfast = self.deployment.start(ready=False)
        while self.holdfast.running:
            self.confirmed += write_confirmed(self.holdfast, self.oracle)
            if self.over.is_set():
                return
        self.codes.append(self.holdfast.wait())

    def run(self):
        while time.monotonic() < self.until:
            self._serve()

    over = threading.Event()


@test
def of_three_that_fight_one_serves_at_the_end_and_nothing_confirmed_is_lost(scene):
    first, oracle = scene.deployment(environment={"HOLDFAST_DUEL_WAIT": "0"}), Oracle()
    Fighter.over.clear()
    fighters = [Fighter(deployment, oracle, time.monotonic() + 10)
                for deployment in (first, first.elsewhere(), first.elsewhere())]
    for fighter in fighters:
        fighter.start()
    for fighter in fighters:
        fighter.join(11)
    wait_until(lambda: sum(fighter.holdfast.running for fighter in fighters) == 1, 30, "one that is left")
    Fighter.over.set()
    for fighter in fighters:
        fighter.join(30)
        assert not fighter.is_alive()
    codes = [code for fighter in fighters for code in fighter.codes]
    print("# %d takeovers, %d writes confirmed" % (len(codes) + 1, len(oracle.writes)))
    assert len(codes) >= 4 and set(codes) == {FENCED}, codes
    winner = next(fighter.holdfast for fighter in fighters if fighter.holdfast.running)
    assert fetch(winner.port, "GET", "/_holdfast/ready").status == 200
    oracle.check(winner.port)
    assert winner.stop() == 0
    oracle.check(first.elsewhere().start().port)


@test
def a_fourth_container_in_a_row_waits_and_says_why(scene):
    first = scene.deployment()
    containers = [first.start()]
    for _ in range(2):
        containers.append(first.elsewhere().start())
        assert not containers[-1].log.find(DUEL)
    begin = time.monotonic()
    fourth = first.elsewhere().start()
    assert time.monotonic() - begin >= 1
    assert fourth.log.find(DUEL) and fourth.log.find("waiting 1 s")
    assert any(DUEL in warning for warning in fourth.status()["warnings"])
    hinted = first.elsewhere().start(environment={"HOLDFAST_PREDECESSOR": "gone"})
    assert not hinted.log.find(DUEL)
    off = first.elsewhere().start(environment={"HOLDFAST_DUEL_WAIT": "0"})
    assert not off.log.find(DUEL)
    sixth = first.elsewhere().start(environment={"HOLDFAST_DUEL_WAIT": "1500ms"})
    assert sixth.log.find("waiting 1.5 s")
    assert sixth.stop() == 0
    after_a_close = first.elsewhere().start()
    assert not after_a_close.log.find(DUEL)


@test
def a_crash_loop_on_one_disk_is_not_held_up(scene):
    deployment = scene.deployment()
    for _ in range(5):
        holdfast = deployment.start()
        assert not holdfast.log.find(DUEL)
        holdfast.kill_tree()


# --- noticing ----------------------------------------------------------------------------------------------------


@test
def a_process_that_was_frozen_wakes_up_fenced_and_overwrites_nothing(scene):
    deployment, oracle = scene.deployment(), Oracle()
    first = deployment.start()
    assert write_confirmed(first, oracle)
    assert fetch(first.port, "POST", "/write", body="lost").status == 200
    frozen = first.stop_tree()
    second = deployment.elsewhere().start()
    for _ in range(3):
        assert write_confirmed(second, oracle)
    before = contents(deployment.store)
    for pid in frozen:
        os.kill(pid, signal.SIGCONT)
    first.expect_exit(FENCED)
    after = contents(deployment.store)
    assert all(after[key] == content for key, content in before.items()), "something was overwritten or deleted"
    oracle.check(second.port)
    assert second.stop() == 0


@test
def an_owner_that_only_reads_notices_a_takeover_within_ten_seconds(scene):
    deployment, oracle = scene.deployment(), Oracle()
    first = deployment.start()
    assert write_confirmed(first, oracle)
    second = deployment.elsewhere().start()
    begin = time.monotonic()
    while first.running:
        assert time.monotonic() - begin < 10, "it still gives stale answers"
        try:
            first.get("/version")
        except (OSError, Closed):
            pass
        time.sleep(0.1)
    first.expect_exit(FENCED)
    assert second.stop() == 0


@test
def an_owner_that_nobody_asks_makes_no_request_and_one_that_is_asked_one_head(scene):
    with FaultS3() as server:
        deployment = scene.deployment(store=server.store("p"), environment=server.environment)
        holdfast, oracle = deployment.start(), Oracle()
        oracle.write(holdfast.port)
        holdfast.wait_durable()
        quiet_since = time.monotonic()
        while time.monotonic() - quiet_since < 3:  # what is left to sweep and to prune
            if server.log():
                quiet_since = time.monotonic()
                server.clear_log()
            time.sleep(0.1)
        stays(lambda: server.log() == [] and holdfast.state() == "serve", 8, "without a request", every_s=0.5)
        assert holdfast.get("/version").status == 200
        server.wait(operation="stat", count=1, timeout_s=5)
        stays(lambda: [entry["operation"] for entry in server.log()] == ["stat"], 7, "one HEAD", every_s=0.5)
        assert holdfast.stop() == 0


main()
