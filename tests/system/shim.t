#!/usr/bin/env python3
"""The Convex shim: a script in the shape of the Convex image's, unchanged, with holdfast in front of it."""

import os
import shutil
import signal
import stat
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from lib.harness import *

IMAGE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "image", "convex")
SECRET = "hush-5d1f0c77"

# A backend that says how it was called, and ends.
TELLER = """#!/bin/sh
echo "ARGS $*"
env | sed 's/^/ENV /'
"""


def make_image(scene, backend=None, script=None):
    """The folder /convex of an image; and the shim's folder beside it, as the Dockerfile makes it."""
    convex, shim = scene.folder("convex"), scene.folder("shim")
    for name in ("run_backend.sh", "read_credentials.sh"):
        shutil.copy(os.path.join(IMAGE, name), convex)
    if script is not None:
        write_program(os.path.join(convex, "run_backend.sh"), script)
    binary = os.path.join(convex, "convex-local-backend")
    if backend is None:
        os.symlink(backend_path(), binary)
    else:
        write_program(binary, backend)
    os.symlink(os.path.join(convex, "read_credentials.sh"), os.path.join(shim, "read_credentials.sh"))
    for name in ("run_backend.sh", "convex-local-backend"):
        os.symlink(holdfast_path(), os.path.join(shim, name))
    return binary, os.path.join(shim, "run_backend.sh")


def write_program(path, text):
    with open(path, "w") as file:
        file.write(text)
    os.chmod(path, 0o755)


class ConvexDeployment(Deployment):
    """A Deployment whose command is the image's script."""

    def __init__(self, scene, **image):
        super().__init__(scene)
        self.binary, self.script = make_image(scene, **image)
        self.site = scene.port()

    def variables(self, more=None):
        return super().variables({
            "HOLDFAST_CONVEX_BINARY": self.binary,
            "HOLDFAST_SITE_LISTEN": "127.0.0.1:%d" % self.site,
            # What an operator gives to move the folders of the image; the tests have no /convex.
            "STORAGE_DIR": self.data + "/storage", "SQLITE_DB": self.data + "/db.sqlite3",
            "CREDENTIALS_DIR": self.data + "/credentials", "TMPDIR": self.data,
            **(more or {})})

    def run(self, *arguments, environment=None, ready=True):
        return self.start(command=[self.script, *arguments], environment=environment, ready=ready)

    def told(self, *arguments, environment=None):
        """How a TELLER was called."""
        holdfast = self.run(*arguments, environment=environment, ready=False)
        assert holdfast.wait() == 0, holdfast.story()
        lines = holdfast.out.lines
        words = next(line for line in lines if line.startswith("ARGS "))[5:].split()
        return words, dict(line[4:].split("=", 1) for line in lines if line.startswith("ENV ") and "=" in line)


def refused(deployment, code, pattern, **options):
    """The start ends with that code, and with one line that matches."""
    holdfast = deployment.run(ready=False, **options)
    assert holdfast.wait() == code, holdfast.story()
    assert holdfast.log.find(pattern), holdfast.story()


@test
def the_unchanged_script_serves_behind_holdfast_and_comes_back_after_a_wipe(scene):
    deployment, oracle = ConvexDeployment(scene), Oracle()
    holdfast = deployment.run()
    for _ in range(5):
        oracle.write(holdfast.port)
    oracle.upload(holdfast.port, os.urandom(100000))
    assert fetch(deployment.site, "GET", "/anything").status != 502
    with open(deployment.data + "/credentials/instance_secret") as file:
        secret = file.read()
    assert holdfast.stop(signal.SIGTERM) == 0
    assert holdfast.log.find("everything is shipped")
    assert holdfast.out.find("successfully shut down"), "SIGINT reached something else than the backend"
    deployment.wipe()
    oracle.check(deployment.run().port)
    with open(deployment.data + "/credentials/instance_secret") as file:
        assert file.read() == secret


@test
def the_backend_is_the_child_itself_and_listens_where_the_upstream_is(scene):
    deployment = ConvexDeployment(scene)
    holdfast = deployment.run()
    with open("/proc/%d/cmdline" % holdfast.backend_pid) as file:
        words = file.read().split("\0")
    assert words[0] == "./convex-local-backend"
    assert words[words.index("--port") + 1] == str(deployment.upstream)
    assert os.path.samefile("/proc/%d/exe" % holdfast.backend_pid, backend_path())
    assert fetch(deployment.upstream, "GET", "/version").status == 200


@test
def temporary_files_are_not_shipped(scene):
    deployment = ConvexDeployment(scene)
    holdfast = deployment.run()
    assert os.listdir(deployment.data + "/tmp"), "the backend leaves a scratch file in its TMPDIR"
    assert stat.S_IMODE(os.stat(deployment.data + "/tmp").st_mode) == 0o700
    assert not [name for name in os.listdir(deployment.data) if name.startswith("scratch-")]
    assert holdfast.stop() == 0
    copy = scene.folder("copy")
    deployment.command("restore", "--to", copy).expect_exit(0)
    assert "db.sqlite3" in os.listdir(copy)
    assert "tmp" not in os.listdir(copy)


@test
def only_ports_interface_and_tmpdir_are_changed(scene):
    deployment = ConvexDeployment(scene, backend=TELLER)
    words, variables = deployment.told("--redact-logs-to-client", environment={
        "CONVEX_CLOUD_ORIGIN": "https://a.example", "CONVEX_SITE_ORIGIN": "https://b.example", "DISABLE_BEACON": "1"})
    assert words[:6] == ["--port", str(deployment.upstream), "--site-proxy-port", str(deployment.upstream + 1),
                         "--interface", "127.0.0.1"]
    rest = words[6:]
    assert rest[:2] == ["--redact-logs-to-client", "--instance-name"]
    assert "--port" not in rest and "3210" not in rest and "3211" not in rest
    assert rest[rest.index("--convex-origin") + 1] == "https://a.example"
    assert rest[rest.index("--convex-site") + 1] == "https://b.example"
    assert rest[-2:] == ["--disable-beacon", deployment.data + "/db.sqlite3"]
    assert variables["TMPDIR"] == deployment.data + "/tmp"
    assert variables["CONVEX_CLOUD_ORIGIN"] == "https://a.example"


@test
def none_of_our_variables_reaches_the_backend(scene):
    deployment = ConvexDeployment(scene, backend=TELLER)
    _, variables = deployment.told(environment={
        "HOLDFAST_S3_SECRET_ACCESS_KEY": SECRET, "AWS_SECRET_ACCESS_KEY": "the application's"})
    assert not [name for name in variables if name.startswith("HOLDFAST_")], variables
    assert SECRET not in str(variables)
    assert variables["AWS_SECRET_ACCESS_KEY"] == "the application's"


@test
def what_the_operator_lets_through_goes_all_the_way(scene):
    deployment = ConvexDeployment(scene, backend=TELLER)
    _, variables = deployment.told(environment={"HOLDFAST_CHILD_ENV": "HOLDFAST_DATA_DIR", "HOLDFAST_LISTEN": ":%d" % deployment.port})
    assert [name for name in variables if name.startswith("HOLDFAST_")] == ["HOLDFAST_DATA_DIR"]


@test
def another_command_learns_nothing_of_what_the_shim_is_told(scene):
    deployment = scene.deployment()
    teller = scene.file("teller", TELLER)
    os.chmod(teller, 0o755)
    holdfast = deployment.start(command=[teller], ready=False)
    holdfast.wait()
    assert holdfast.out.find("^ENV PATH=") and not holdfast.out.find("^ENV HOLDFAST_")


@test
def what_is_wrong_with_an_image_is_said_in_one_sentence(scene):
    deployment = ConvexDeployment(scene)
    refused(deployment, 64, "HOLDFAST_EXCLUDE is cache.*add tmp", environment={"HOLDFAST_EXCLUDE": "cache"})
    refused(deployment, 64, "which is holdfast itself", environment={"HOLDFAST_CONVEX_BINARY": deployment.script})
    refused(deployment, 127, "/nowhere/run_backend.sh is not there: HOLDFAST_CONVEX_BINARY has to name",
            environment={"HOLDFAST_CONVEX_BINARY": "/nowhere/convex-local-backend"})
    os.unlink(deployment.binary)
    refused(deployment, 127, "convex-local-backend is not there: HOLDFAST_CONVEX_BINARY has to name")
    os.chmod(os.path.join(os.path.dirname(deployment.binary), "run_backend.sh"), 0o644)
    refused(deployment, 126, "run_backend.sh can't be executed: Permission denied")


main()
