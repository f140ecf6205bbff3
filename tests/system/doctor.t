#!/usr/bin/env python3
"""What tells how it is: status, the page, the metrics, and the doctor."""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from lib.answers import output, printed
from lib.harness import *
from lib.refusals import put_large
from lib.s3servers import FaultS3


@test
def status_tells_what_runs(scene):
    deployment = scene.deployment()
    holdfast = deployment.start()
    status = printed(deployment.command("status", "--json"))
    assert set(status) == {"state", "position", "durable_position", "record", "durable_record", "lag_seconds", "owner",
                           "epoch", "degraded", "warnings"}
    assert status["state"] == "serve" and status["degraded"] is False
    text = output(deployment.command("status"))
    assert text.startswith("serve: ") and "\nnow " not in text, "nothing is under way: %s" % text
    page = fetch(holdfast.admin, "GET", "/")
    assert page.header("Content-Type").startswith("text/html") and "<!doctype html>" in page.text
    assert fetch(holdfast.admin, "GET", "/nowhere").status == 404
    assert fetch(holdfast.admin, "POST", "/status", body=b"").status == 405
    assert holdfast.stop() == 0


def settled(metrics):
    return metrics if metrics["holdfast_position"] == metrics["holdfast_durable_position"] > 0 else None


@test
def metrics_count_what_happens(scene):
    deployment = scene.deployment()
    holdfast = deployment.start()
    Oracle().write(holdfast.port)
    holdfast.wait_durable()
    # A file event that comes late counts as one more change, which is shipped a moment later.
    metrics = wait_until(lambda: settled(holdfast.metrics()), 20, "everything to be durable")
    assert metrics['holdfast_state{state="serve"}'] == 1 and metrics['holdfast_state{state="restore"}'] == 0
    assert metrics["holdfast_lag_seconds"] == 0 and metrics["holdfast_degraded"] == 0
    assert metrics['holdfast_store_requests_total{op="put",outcome="ok"}'] >= 3
    assert metrics["holdfast_store_sent_bytes_total"] > 1000
    assert metrics['holdfast_http_requests_total{code="200"}'] >= 1
    assert holdfast.stop() == 0


@test
def the_doctor_finds_a_healthy_patient_well_and_leaves_nothing(scene):
    with FaultS3() as server:
        store = server.store("some/prefix")
        deployment = scene.deployment(store=store, environment=server.environment)
        diagnosis = printed(deployment.command("doctor", "--json", "--", "true"))
        assert diagnosis["faults"] == 0
        assert {"store", "clock", "permission to write", "permission to delete", "conditional writes", "data directory",
                "command", "HOLDFAST_LISTEN", "sqlite", "libmicrohttpd"} <= {check["check"] for check in diagnosis["checks"]}
        assert store.keys() == [] and os.listdir(deployment.data) == []


@test
def the_doctor_names_what_is_wrong(scene):
    cases = (({"ignore_conditions": True}, "conditional writes"), ({"read_only": True}, "permission to write"),
             ({"bucket_missing": True}, "store"), ({"clock_offset_s": 3600}, "store"))
    for settings, check in cases:
        with FaultS3() as server:
            server.settings(**settings)
            deployment = scene.deployment(store=server.store("p"), environment=server.environment)
            diagnosis = printed(deployment.command("doctor", "--json"), 64)
            faults = [entry["check"] for entry in diagnosis["checks"] if entry["verdict"] == "fault"]
            assert faults == [check], "%s gives %s" % (settings, faults)


@test
def the_doctor_looks_at_this_machine_too(scene):
    deployment = scene.deployment()
    deployment.start()
    diagnosis = printed(deployment.command("doctor", "--json", "--", "no-such-command"), 64)
    found = {entry["check"]: entry["verdict"] for entry in diagnosis["checks"]}
    assert found["command"] == "fault" and found["ports"] == "note"
    broken = deployment.command("doctor", environment={"HOLDFAST_STORE": "", "HOLDFAST_SYNC_INTERVAL": "x"})
    text = output(broken, 64)
    assert "fault  configuration: HOLDFAST_STORE is not set" in text and "HOLDFAST_SYNC_INTERVAL=x" in text


def verdict_on_newest_base(process, code):
    found = [entry for entry in printed(process, code)["checks"] if entry["check"] == "newest base"]
    assert len(found) == 1, found
    return found[0]


@test
def the_doctor_knows_whether_a_restore_fits_on_the_disk(scene):
    if os.geteuid() != 0:
        skip("mounting wants root")
    deployment = scene.deployment()
    put_large(deployment)
    assert deployment.start().stop() == 0
    assert verdict_on_newest_base(deployment.command("doctor", "--json"), 0)["verdict"] == "ok"
    deployment.wipe()
    assert verdict_on_newest_base(deployment.command("doctor", "--json"), 0)["verdict"] == "ok"
    script = 'mount -t tmpfs -o size=2m none "$HOLDFAST_DATA_DIR" && exec "$0" doctor --json'
    process = scene.process("doctor on a small disk", ["unshare", "--mount", "sh", "-c", script, holdfast_path()],
                            deployment.variables())
    verdict = verdict_on_newest_base(process, 64)
    assert verdict["verdict"] == "fault" and "larger disk" in verdict["text"], verdict


main()
