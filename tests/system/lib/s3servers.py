"""S3 servers as stores of a system test.

    from lib.s3servers import FaultS3, Miniflare, Radosgw

    @test
    def a_slow_store_is_waited_for(scene):
        server = FaultS3()                          # or Miniflare(), Radosgw(); ends with the test
        store = server.store("some/prefix")         # has .url and looks like a DirectoryStore
        deployment = scene.deployment(store=store, environment=server.environment)
        server.fault(operation="create", key="some/prefix/log/", kind="reset_after")
        server.settings(delay_ms=50)
        ...
        assert round_trips(server.log()) <= 4

Everything that FaultS3 can be told is written at the top of tests/fault/fault_s3.py.
"""

import http.client
import json
import os
import shutil
import subprocess
import urllib.parse

from .store import DirectoryStore

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", "..", ".."))
NODE_MIN = 20


class S3Server:
    """A process that prints one line of JSON when it serves and stops when its standard input ends."""

    def __init__(self, command):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        line = self.process.stdout.readline()
        assert line, "%s ended before it was ready" % command
        self.ready = json.loads(line)

    @property
    def environment(self):
        """What holdfast needs besides HOLDFAST_STORE."""
        values = {
            "HOLDFAST_S3_ENDPOINT": self.ready["endpoint"],
            "HOLDFAST_S3_REGION": self.ready["region"],
            "HOLDFAST_S3_ACCESS_KEY_ID": self.ready["access_key_id"],
            "HOLDFAST_S3_SECRET_ACCESS_KEY": self.ready["secret_access_key"],
            "HOLDFAST_S3_SESSION_TOKEN": self.ready.get("session_token"),
            "HOLDFAST_S3_CA_FILE": self.ready.get("ca_file"),
        }
        return {name: value for name, value in values.items() if value}

    def url(self, prefix="", bucket=None):
        return "s3://%s/%s" % (bucket or self.ready["bucket"], prefix)

    def store(self, prefix=""):
        return S3Store(self, prefix)

    def stop(self):
        self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_exception):
        self.stop()


class S3Store:
    """For a server that can't be looked into: only its URL."""

    def __init__(self, server, prefix):
        self.server, self.prefix = server, prefix

    @property
    def url(self):
        return self.server.url(self.prefix)


class Miniflare(S3Server):
    """Cloudflare's R2 emulator; its endpoint has a base path. `npm ci` in tests/s3 first."""

    def __init__(self):
        super().__init__([find_node(), os.path.join(ROOT, "tests", "s3", "miniflare.mjs")])

    @staticmethod
    def why_not():
        """Why it can't run here; None if it can."""
        if not find_node():
            return "no Node %d or newer" % NODE_MIN
        if not os.path.isdir(os.path.join(ROOT, "tests", "s3", "node_modules", "miniflare")):
            return "no tests/s3/node_modules (npm ci)"
        return None


def find_node():
    for path in (os.path.join(ROOT, "deps", "node", "node_modules", "node", "bin", "node"), shutil.which("node")):
        if path and os.path.exists(path):
            version = subprocess.run([path, "--version"], capture_output=True, text=True).stdout
            if version.startswith("v") and int(version[1:].split(".")[0]) >= NODE_MIN:
                return path
    return None


class Radosgw(S3Server):
    """Ceph's gateway on a one-node cluster in memory; some 15 s to start. Also gives session tokens."""

    def __init__(self):
        super().__init__(["python3", os.path.join(ROOT, "tests", "s3", "radosgw.py")])

    @staticmethod
    def why_not():
        missing = [name for name in ("ceph-mon", "ceph-osd", "radosgw", "radosgw-admin") if not shutil.which(name)]
        return "not installed: " + " ".join(missing) if missing else None


class FaultS3(S3Server):
    """Our own server that fails as told."""

    def __init__(self, base_path="", tls=False, port=0):
        command = ["python3", os.path.join(ROOT, "tests", "fault", "fault_s3.py"), "--port", str(port)]
        super().__init__(command + ["--base-path", base_path] + (["--tls"] if tls else []))

    def store(self, prefix=""):
        return FaultStore(self, prefix)

    def tell(self, command, content=None):
        """One command of the control interface, as "POST faults"; the decoded JSON, or bytes for an object."""
        method, name = command.split(" ")
        url = urllib.parse.urlsplit(self.ready["control"])
        connection = http.client.HTTPConnection(url.hostname, url.port, timeout=60)
        if content is not None and not isinstance(content, bytes):
            content = json.dumps(content).encode()
        connection.request(method, url.path + "/" + name, content)
        response = connection.getresponse()
        answer = response.read()
        connection.close()
        assert response.status == 200, "%s: %d %s" % (command, response.status, answer[:200])
        return answer if command.startswith("GET object?") else json.loads(answer)

    def fault(self, **fault):
        self.tell("POST faults", fault)

    def clear_faults(self):
        self.tell("DELETE faults")

    def settings(self, **settings):
        self.tell("POST settings", settings)

    def log(self):
        return self.tell("GET log")

    def clear_log(self):
        self.tell("DELETE log")

    def wait(self, **wanted):
        """operation, key, count, state ("begun" or "ended"), timeout_s"""
        self.tell("POST wait", wanted)


class FaultStore(DirectoryStore):
    """What is below a prefix of a FaultS3, looked at and touched past every rule."""

    def __init__(self, server, prefix):
        self.server = server
        self.prefix = prefix.strip("/") + "/" if prefix.strip("/") else ""

    @property
    def url(self):
        return self.server.url(self.prefix)

    def keys(self, under=""):
        whole = self.prefix + under
        return [key[len(self.prefix):] for key in sorted(self.server.tell("GET objects")) if key.startswith(whole)]

    def _object(self, method, key, content=None):
        return self.server.tell("%s object?key=%s" % (method, urllib.parse.quote(self.prefix + key, safe="")), content)

    def read(self, key):
        return self._object("GET", key)

    def write(self, key, content):
        self._object("PUT", key, content)

    def delete(self, key):
        self._object("DELETE", key)

    def damage(self, key, kind):
        """"flip" or "truncate" """
        self.server.tell("POST damage", {"key": self.prefix + key, "kind": kind})


def round_trips(log):
    """The length of the longest chain of requests each of which began after the one before had ended."""
    count, free_from = 0, float("-inf")
    for entry in sorted((entry for entry in log if entry["ended"] is not None), key=lambda entry: entry["ended"]):
        if entry["begun"] >= free_from:
            count, free_from = count + 1, entry["ended"]
    return count
