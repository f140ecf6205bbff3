"""holdfast as a process, seen through the contract: its ports, its log lines and its exit code."""

import json

from .process import Process
from .waiting import wait_until
from .web import fetch


class Holdfast(Process):
    def __init__(self, command, environment, ports):
        super().__init__("holdfast", command, environment)
        self.port, self.upstream, self.admin = ports

    def get(self, target, **options):
        return fetch(self.port, "GET", target, **options)

    def post(self, target, body=b"", **options):
        return fetch(self.port, "POST", target, body=body, **options)

    def wait_listening(self, timeout_s=10):
        wait_until(lambda: fetch(self.port, "GET", "/_holdfast/live").status == 200, timeout_s, "the front port")

    def wait_ready(self, timeout_s=30):
        """Until it serves; fails at once if it ends before."""

        def ready():
            assert self.running, "holdfast ended with %d before it was ready" % self.wait()
            return fetch(self.port, "GET", "/_holdfast/ready").status == 200

        wait_until(ready, timeout_s, "ready")
        return self

    def status(self):
        """/status of the admin port."""
        response = fetch(self.admin, "GET", "/status")
        assert response.status == 200, "status was answered by %r" % response
        return response.json

    def metrics(self):
        """name{labels}: value, of the admin port."""
        response = fetch(self.admin, "GET", "/metrics")
        assert response.status == 200, "metrics were answered by %r" % response
        pairs = (line.rsplit(" ", 1) for line in response.text.splitlines() if line and not line.startswith("#"))
        return {name: float(value) for name, value in pairs}

    def wait_durable(self, above=None, timeout_s=30):
        """Until everything committed before this call is in the store; the durable position then. With `above`, until the
        position has passed that one and nothing is left to ship: for changes that are only about to be made."""
        wanted = self.status()["position"] if above is None else above + 1

        def durable():
            assert self.running, "holdfast ended with %d" % self.wait()
            status = self.status()
            if status["durable_position"] < wanted or (above is not None and status["durable_position"] != status["position"]):
                return None
            return status

        return wait_until(durable, timeout_s, "durable from %d on" % wanted)["durable_position"]

    @property
    def backend_pid(self):
        """The child's, once it runs."""
        children = self.children
        assert len(children) == 1, "holdfast has %d children" % len(children)
        return children[0]

    def state(self):
        """As the front port tells it, with whatever status."""
        return json.loads(fetch(self.port, "GET", "/_holdfast/live").body)["state"]
