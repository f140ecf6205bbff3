#!/usr/bin/env python3
"""Secrets reach neither the child nor the log, nor anything that is written."""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from lib.harness import *
from lib.s3servers import FaultS3
from lib.scripted import start_scripted

SECRET = "hush-0f7c1d55"


@test
def no_secret_reaches_the_child_or_the_log(scene):
    deployment = scene.deployment()
    secrets = {"HOLDFAST_S3_ACCESS_KEY_ID": SECRET + "-id", "HOLDFAST_S3_SECRET_ACCESS_KEY": SECRET,
               "HOLDFAST_S3_SESSION_TOKEN": SECRET + "-token", "HOLDFAST_LOG_LEVEL": "debug", "APP_SETTING": "kept"}
    holdfast = start_scripted(deployment, environment=secrets)
    with open("/proc/%d/environ" % holdfast.backend_pid) as file:
        environment = file.read().split("\0")
    assert "APP_SETTING=kept" in environment
    assert not [variable for variable in environment if variable.startswith("HOLDFAST_") or SECRET in variable]
    with open("/proc/%d/cmdline" % holdfast.pid) as file:
        assert SECRET not in file.read()
    pages = [fetch(holdfast.admin, "GET", path).text for path in ("/", "/status", "/metrics", "/status.txt")]
    assert holdfast.stop() == 0
    assert SECRET not in "".join(pages) + holdfast.log.text() + holdfast.out.text()
    for folder, _, names in os.walk(deployment.data):
        for name in names:
            with open(os.path.join(folder, name), "rb") as file:
                assert SECRET.encode() not in file.read()


@test
def credentials_of_aws_that_holdfast_uses_stay_with_it(scene):
    with FaultS3() as server:
        ready = server.ready
        aws = {"AWS_ENDPOINT_URL": ready["endpoint"], "AWS_REGION": ready["region"],
               "AWS_ACCESS_KEY_ID": ready["access_key_id"], "AWS_SECRET_ACCESS_KEY": ready["secret_access_key"]}
        deployment = scene.deployment(store=server.store("p"), environment=aws)
        holdfast = start_scripted(deployment, environment={"HOLDFAST_LOG_LEVEL": "debug"})
        with open("/proc/%d/environ" % holdfast.backend_pid) as file:
            environment = file.read()
        assert holdfast.stop() == 0
        for secret in (ready["access_key_id"], ready["secret_access_key"]):
            assert secret not in environment and secret not in holdfast.log.text() + holdfast.out.text()
        assert "AWS_REGION=" + ready["region"] in environment.split("\0")


@test
def what_the_operator_names_reaches_the_child(scene):
    deployment = scene.deployment()
    holdfast = start_scripted(deployment, environment={"HOLDFAST_CHILD_ENV": "HOLDFAST_DATA_DIR,HOLDFAST_STORE"})
    with open("/proc/%d/environ" % holdfast.backend_pid) as file:
        names = [variable.partition("=")[0] for variable in file.read().split("\0")]
    assert "HOLDFAST_DATA_DIR" in names and "HOLDFAST_STORE" in names and "HOLDFAST_LISTEN" not in names
    assert holdfast.stop() == 0


@test
def credentials_of_aws_are_the_childs_if_holdfast_does_not_use_them(scene):
    deployment = scene.deployment()  # a directory store needs none
    holdfast = start_scripted(deployment, environment={"AWS_ACCESS_KEY_ID": "the-apps", "AWS_SECRET_ACCESS_KEY": "the-apps"})
    with open("/proc/%d/environ" % holdfast.backend_pid) as file:
        assert "AWS_ACCESS_KEY_ID=the-apps" in file.read().split("\0")
    assert holdfast.stop() == 0


main()
