"""The owner of all that a test makes: folders, ports, processes, in one place and removed at its end."""

import json
import os
import shutil
import tempfile

from .holdfast import Holdfast
from .ports import Ports
from .process import Process, reap_all
from .store import DirectoryStore
from .waiting import wait_until
from .web import fetch

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", "..", ".."))
# What a process needs of our environment; everything else is said by the test.
KEPT = ("PATH", "HOME", "LANG", "TMPDIR", "ASAN_OPTIONS", "LSAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS")


def holdfast_path():
    return os.environ.get("HOLDFAST_BIN") or os.path.join(ROOT, "holdfast")


def backend_path():
    return os.environ.get("BACKEND_BIN") or os.path.join(ROOT, "build", "gcc", "backend")


def backend_new_path():
    """The same backend with a newer SQLite inside than holdfast's."""
    return os.environ.get("BACKEND_NEW_BIN") or os.path.join(ROOT, "build", "gcc", "backend-new")


def clean_environment(more=None):
    environment = {name: os.environ[name] for name in KEPT if name in os.environ}
    environment.update({name: str(value) for name, value in (more or {}).items()})
    return environment


class Backend(Process):
    """The sample backend without holdfast."""

    def __init__(self, port, command, environment):
        super().__init__("backend", command, environment)
        self.port = port

    def wait_ready(self, timeout_s=20):
        def ready():
            assert self.running, "the backend ended with %d before it was ready" % self.wait()
            return fetch(self.port, "GET", "/version").status == 200

        wait_until(ready, timeout_s, "the backend's port")
        return self


class Deployment:
    """A data directory, a store and ports that stay the same from one start to the next, as a container's do."""

    def __init__(self, scene, store=None, environment=None, backend=None, arguments=()):
        self.scene = scene
        self.backend = backend or backend_path()
        self.data = scene.folder("data")
        self.store = store or DirectoryStore(scene.folder("store"))
        self.port, self.upstream, self.admin = (scene.port() for _ in range(3))
        self.environment = environment or {}  # added to every start's
        self.arguments = arguments            # of the backend, the same

    def variables(self, more=None):
        """What `run` gets."""
        return clean_environment({
            "HOLDFAST_STORE": self.store.url,
            "HOLDFAST_DATA_DIR": self.data,
            "HOLDFAST_LISTEN": "127.0.0.1:%d" % self.port,
            "HOLDFAST_UPSTREAM": "127.0.0.1:%d" % self.upstream,
            "HOLDFAST_ADMIN_LISTEN": "127.0.0.1:%d" % self.admin,
            "HOLDFAST_STOP_SIGNAL": "INT",
            "HOLDFAST_SYNC_INTERVAL": "100ms",
            **self.environment, **(more or {})})

    def backend_command(self, *arguments):
        return [self.backend, "--data", self.data, "--port", self.upstream, "--interface", "127.0.0.1",
                *self.arguments, *arguments]

    def start(self, *arguments, environment=None, command=None, ready=True, wrapper=()):
        """`holdfast run -- backend ARGUMENTS…`, executed by the wrapper's command if there is one; waits until it serves
        unless ready is false."""
        command = [*wrapper, holdfast_path(), "run", "--", *(command or self.backend_command(*arguments))]
        holdfast = Holdfast(command, self.variables(environment), (self.port, self.upstream, self.admin))
        self.scene.processes.append(holdfast)
        return holdfast.wait_ready() if ready else holdfast

    def command(self, *arguments, environment=None):
        """Another command of holdfast with the same variables, already running."""
        return self.scene.process("holdfast " + str(arguments[0]), [holdfast_path(), *arguments],
                                  self.variables(environment))

    def wipe(self):
        """The disk is gone; what comes next is another container."""
        for name in os.listdir(self.data):
            path = os.path.join(self.data, name)
            if os.path.isdir(path) and not os.path.islink(path):
                shutil.rmtree(path)
            else:
                os.unlink(path)

    def elsewhere(self):
        """The same store with another data directory and other ports: a second container."""
        return Deployment(self.scene, self.store, self.environment, self.backend, self.arguments)


class Scene:
    def __init__(self):
        self.root = tempfile.mkdtemp(prefix="holdfast-test-")  # of all folders
        self._ports = Ports()
        self._count = 0
        self.processes = []

    def folder(self, name):
        """A new, empty folder."""
        self._count += 1
        path = os.path.join(self.root, "%02d-%s" % (self._count, name))
        os.mkdir(path)
        return path

    def file(self, name, content):
        """A new file with that content; its path."""
        path = os.path.join(self.folder("file"), name)
        with open(path, "wb") as file:
            file.write(content if isinstance(content, bytes) else content.encode())
        return path

    def port(self):
        return self._ports.take()

    def process(self, name, command, environment=None):
        process = Process(name, command, clean_environment() if environment is None else environment)
        self.processes.append(process)
        return process

    def backend(self, data=None, *arguments, environment=None, ready=True):
        """The bare backend on a data directory, by default a new one."""
        port = self.port()
        command = [backend_path(), "--data", data or self.folder("data"), "--port", port, "--interface", "127.0.0.1",
                   *arguments]
        backend = Backend(port, command, clean_environment(environment))
        self.processes.append(backend)
        return backend.wait_ready() if ready else backend

    def tool(self, *arguments, code=0, timeout_s=60):
        """A command of the backend's program other than serve; its line of JSON, once it has ended with that code."""
        process = self.process("backend %s" % arguments[0], [backend_path(), *arguments])
        process.expect_exit(code, timeout_s)
        return json.loads(process.out.lines[-1]) if process.out.lines else None

    def deployment(self, **options):
        return Deployment(self, **options)

    def story(self):
        return "".join(process.story() for process in self.processes)

    def clear(self):
        reap_all()
        self._ports.clear()
        shutil.rmtree(self.root, ignore_errors=True)
