#!/usr/bin/env python3
"""The images that tests/image/build.sh has built, run as a container engine would: as PID 1, on a root that is read-only.

Usage: image.t FOLDER    (as root) what build.sh was given

Everything runs in a network namespace of its own, so that the images' ports are free whatever else runs here.
"""

import fcntl
import gzip
import io
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tarfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "system"))
from lib.harness import *

IMAGES = os.path.abspath(sys.argv[1])
CONTAIN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "contain.py")
FRONT, SITE, APP = 3210, 3211, 8080
GROWTH_MAX = 12 * 1000 * 1000
NOBODY = 65534
SIOCSIFFLAGS, IFF_UP_RUNNING = 0x8914, 0x41


def enter_own_network():
    if os.environ.get("HOLDFAST_TEST_NETWORK") != "own":
        os.environ["HOLDFAST_TEST_NETWORK"] = "own"
        os.execvp("unshare", ["unshare", "--net", "--", sys.executable, os.path.abspath(__file__), *sys.argv[1:]])
    del sys.argv[1]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sH14s", b"lo", IFF_UP_RUNNING, b""))


class Image:
    def __init__(self, name):
        self.root = os.path.realpath(os.path.join(IMAGES, name))
        with open(os.path.join(IMAGES, name + ".json")) as file:
            self.config = json.load(file)["Docker"]["config"]

    def variables(self):
        return dict(pair.split("=", 1) for pair in self.config.get("Env") or [])

    def command(self):
        return (self.config.get("Entrypoint") or []) + (self.config.get("Cmd") or [])


class Box:
    """A data directory and a store, which outlive the containers on them."""

    def __init__(self, scene, image, data, port, uid=0):
        self.scene, self.image, self.data_at, self.port, self.uid = scene, Image(image), data, port, uid
        self.environment = {}
        self.data, self.store = scene.folder("data"), scene.folder("store")
        os.chmod(scene.root, 0o755)
        for folder in (self.data, self.store):
            os.chown(folder, uid, uid)

    def start(self, command=None, ready=True):
        variables = {**self.image.variables(), "HOLDFAST_STORE": "file:///store", "HOLDFAST_SYNC_INTERVAL": "100ms",
                     **self.environment}
        outside = Holdfast(
            ["unshare", "--mount", "--pid", "--fork", "--kill-child", CONTAIN, self.image.root, self.uid,
             self.image.config.get("WorkingDir") or "/",
             json.dumps([[self.data, self.data_at], [self.store, "/store"]]),
             json.dumps(variables), *(command or self.image.command())], clean_environment(), (self.port, None, 9321))
        self.scene.processes.append(outside)
        return outside.wait_ready() if ready else outside

    def run(self, *command):
        """The output of a command in a container of its own."""
        process = self.start(list(command), ready=False)
        process.expect_exit(0)
        return process.out.text()

    def wipe(self):
        shutil.rmtree(self.data)
        os.mkdir(self.data)
        os.chown(self.data, self.uid, self.uid)


def inside(container):
    """The pid, as we see it, of what is PID 1 in the container."""
    return children_of(container.pid)[0]


def stop(container, number=signal.SIGTERM):
    os.kill(inside(container), number)
    return container.wait()


def convex(scene, uid=0):
    return Box(scene, "convex-holdfast", "/convex/data", FRONT, uid)


def survives_stop_and_wipe(box):
    oracle = Oracle()
    container = box.start()
    for _ in range(5):
        oracle.write(container.port)
    oracle.upload(container.port, os.urandom(100000))
    assert stop(container) == 0, container.story()
    assert container.log.find("everything is shipped")
    box.wipe()
    container = box.start()
    oracle.check(container.port)
    return container


@test
def the_convex_image_serves_both_ports_and_survives_stop_and_wipe(scene):
    container = survives_stop_and_wipe(convex(scene))
    assert fetch(SITE, "GET", "/_holdfast/ready").status == 200
    with open("/proc/%d/status" % inside(container)) as status:
        assert any(line.startswith("NSpid:") and line.split()[-1] == "1" for line in status)
    assert stop(container, signal.SIGINT) == 0


@test
def the_convex_image_runs_as_another_user(scene):
    box = convex(scene, uid=NOBODY)
    container = survives_stop_and_wipe(box)
    assert os.stat(box.data + "/db.sqlite3").st_uid == NOBODY
    assert stop(container) == 0


@test
def kill_9_and_a_new_disk_lose_nothing_that_was_durable(scene):
    box, oracle = convex(scene), Oracle()
    container = box.start()
    for _ in range(10):
        oracle.write(container.port)
    container.wait_durable()
    container.kill_tree()
    box.wipe()
    oracle.check(box.start().port)


@test
def the_operators_tools_work_where_the_image_has_them(scene):
    box = convex(scene)
    assert stop(box.start()) == 0
    with open(box.data + "/credentials/instance_secret") as file:
        assert file.read()[:8] in box.run("/bin/bash", "./generate_admin_key.sh")


@test
def nothing_that_the_base_has_is_changed(scene):
    root, base = Image("convex-holdfast").root, os.path.join(IMAGES, "convex", "convex")
    for name in os.listdir(base):
        if name != "data":
            with open(os.path.join(root, "convex", name), "rb") as ours, open(os.path.join(base, name), "rb") as before:
                assert ours.read() == before.read(), name


@test
def the_lines_of_the_readme_protect_any_app(scene):
    box = Box(scene, "my-app-holdfast", "/data", APP)
    box.environment = {"HOLDFAST_STOP_SIGNAL": "INT"}  # the sample backend knows no other
    assert stop(survives_stop_and_wipe(box)) == 0


@test
def the_folder_needs_nothing_of_the_image_that_it_is_in(scene):
    box = convex(scene)
    oracle = Oracle()
    container = box.start()
    oracle.write(container.port)
    assert stop(container) == 0
    alone = Box(scene, "holdfast", "/data", FRONT)
    assert sorted(set(os.listdir(alone.image.root)) - {"proc", "dev", "data", "store"}) == ["opt"]
    alone.store = box.store
    assert alone.run("/opt/holdfast/bin/holdfast", "version").startswith("holdfast ")
    alone.run("/opt/holdfast/bin/holdfast", "restore", "--to", "/data/copy")
    assert "db.sqlite3" in os.listdir(alone.data + "/copy")


@test
def everything_linked_is_in_the_sbom_and_has_its_notice(scene):
    folder = Image("holdfast").root + "/opt/holdfast"
    with open(folder + "/sbom.spdx.json") as file:
        sbom = json.load(file)
    assert sbom["spdxVersion"] == "SPDX-2.3" and sbom["dataLicense"] == "CC0-1.0"
    packages = {package["SPDXID"]: package for package in sbom["packages"]}
    assert len(packages) == len(sbom["packages"])
    for package in packages.values():
        assert package["versionInfo"] and os.path.getsize(folder + "/licences/" + package["name"]) > 0
    for relation in sbom["relationships"]:
        assert relation["relatedSpdxElement"] in packages
    names = {package["name"] for package in packages.values()}
    assert {"holdfast", "libs3-dev", "libxxhash-dev", "libc6"} <= names
    for library in ("libcurl", "libsqlite3", "libzstd", "libssl"):
        assert any(name.startswith(library) for name in names), library
        assert any(name.startswith(library + ".") for name in os.listdir(folder + "/lib")), library
    # What ldd finds missing would be looked for in the base image, and found or not.
    for library in os.listdir(folder + "/lib"):
        needed = subprocess.run(["readelf", "-d", folder + "/lib/" + library], capture_output=True, text=True, check=True).stdout
        for line in needed.splitlines():
            if "(NEEDED)" in line:
                assert os.path.exists(folder + "/lib/" + line.split("[")[1].rstrip("]")), (library, line)


@test
def an_image_grows_by_at_most_12_mb(scene):
    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode="wb", compresslevel=6) as zipped, tarfile.open(fileobj=zipped, mode="w|") as tar:
        tar.add(Image("convex-holdfast").root + "/opt/holdfast", "opt/holdfast")
    print("# the layer has %.2f MB compressed" % (buffer.tell() / 1e6), flush=True)
    assert buffer.tell() <= GROWTH_MAX


@test
def an_image_without_the_script_is_refused_in_one_sentence(scene):
    with open(os.path.join(IMAGES, "refused.log")) as file:
        said = [line for line in file if line.startswith("holdfast: ")]
    assert len(said) == 1, said
    assert "has no /convex/run_backend.sh, so it is no Convex backend: name one with --build-arg BASE=" in said[0]


CHANGES = [
    ("exec ./convex-local-backend", "exec /convex/convex-local-backend", "no longer ends in 'exec ./convex-local-backend'"),
    ("exec ./convex-local-backend", "./convex-local-backend", "no longer ends in 'exec ./convex-local-backend'"),
    ("--port 3210", "--listen 3210", "no longer gives --port"),
    ("--site-proxy-port 3211", "", "no longer gives --site-proxy-port"),
    ("set -e\n", "set -e\ncd /convex\n", "changes its working directory"),
    ("source ./read_credentials.sh", 'source "$(dirname "$0")/read_credentials.sh"', "looks for files beside itself"),
    ("set -e\n", "set -e\nsource ./new_helper.sh\n", "uses ./new_helper.sh"),
]


@test
def every_change_of_the_script_that_matters_is_refused_in_one_sentence(scene):
    place = scene.folder("prepare")
    shutil.copytree(Image("holdfast").root + "/opt/holdfast", place, symlinks=True, dirs_exist_ok=True)
    base = scene.folder("base")

    def prepare(change):
        shutil.copytree(os.path.join(IMAGES, "convex", "convex"), base, dirs_exist_ok=True)
        with open(base + "/run_backend.sh") as file:
            text = file.read()
        assert change[0] in text
        with open(base + "/run_backend.sh", "w") as file:
            file.write(text.replace(change[0], change[1]))
        process = scene.process("prepare-convex", ["sh", place + "/share/prepare-convex.sh", base])
        return process.wait(), process.log.lines

    assert prepare(("set -e\n", "# cd /convex\nset -e\n")) == (0, [])
    for change in CHANGES:
        code, said = prepare(change)
        assert code == 1 and len(said) == 1 and change[2] in said[0] and "--build-arg BASE=" in said[0], (change, code, said)


enter_own_network()
main()
