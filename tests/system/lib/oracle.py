"""What was acknowledged, kept where no test wipes it, and the judgement over what came back."""

import hashlib
import json
import threading

from .web import fetch


class Oracle:
    """Values and files whose acknowledgement has arrived. Threads may share one."""

    def __init__(self):
        self.writes = {}  # id: sha256
        self.files = {}   # name: (size, sha256)
        self._lock = threading.Lock()
        self._count = 0

    def next_value(self, note="value"):
        """One that never came before."""
        with self._lock:
            self._count += 1
            return "%s %d" % (note, self._count)

    def wrote(self, number, value):
        with self._lock:
            self.writes[number] = hashlib.sha256(value.encode()).hexdigest()

    def write(self, port, value=None):
        """POST /write; the id. Anything but 200 is an error."""
        value = value if value is not None else self.next_value()
        response = fetch(port, "POST", "/write", body=value)
        assert response.status == 200, "a write was answered by %r" % response
        number = response.json["id"]
        self.wrote(number, value)
        return number

    def upload(self, port, content):
        response = fetch(port, "POST", "/upload", body=content)
        assert response.status == 200, "an upload was answered by %r" % response
        answer = response.json
        assert answer["sha256"] == hashlib.sha256(content).hexdigest(), "the upload was changed on its way"
        with self._lock:
            self.files[answer["file"]] = (answer["size"], answer["sha256"])
        return answer["file"]

    def delete(self, port, file):
        response = fetch(port, "DELETE", "/file?file=" + file)
        assert response.status == 200, "a deletion was answered by %r" % response
        with self._lock:
            del self.files[file]

    def copy(self):
        """As it is now: a point that must at least come back."""
        with self._lock:
            other = Oracle()
            other.writes, other.files, other._count = dict(self.writes), dict(self.files), self._count
            return other

    def faults(self, listing):
        """What is missing or different, a line each; what is there beyond the oracle is no fault."""
        faults = []
        for number, sha256 in sorted(self.writes.items()):
            if number not in listing.writes:
                faults.append("write %d is missing" % number)
            elif listing.writes[number] != sha256:
                faults.append("write %d has another value" % number)
        for name, (size, sha256) in sorted(self.files.items()):
            known = listing.files.get(name)
            if not known:
                faults.append("file %s is missing" % name)
            elif (known["size"], known["sha256"]) != (size, sha256):
                faults.append("file %s is different" % name)
        faults += listing.faults
        return faults

    def check(self, port):
        """Reads everything back and fails if anything acknowledged is missing, or anything at all is damaged."""
        faults = self.faults(read_listing(port))
        assert not faults, "%d faults:\n%s" % (len(faults), "\n".join(faults[:20]))
        response = fetch(port, "GET", "/integrity", timeout_s=120)
        assert response.status == 200, "integrity: " + response.text


class Listing:
    def __init__(self):
        self.writes = {}  # id: sha256
        self.files = {}   # name: the line of /list
        self.faults = []  # files that the database names and the disk does not hold as named


def read_listing(port):
    """GET /list of the backend, complete or an error."""
    listing = Listing()
    response = fetch(port, "GET", "/list", timeout_s=120)
    assert response.status == 200, "the list was answered by %r" % response
    lines = [json.loads(line) for line in response.text.splitlines()]
    assert lines and lines[-1].get("end"), "the list was cut off"
    for line in lines[:-1]:
        if "id" in line:
            listing.writes[line["id"]] = line["sha256"]
            continue
        listing.files[line["file"]] = line
        if not line["intact"]:
            listing.faults.append("file %s is named, but %s" %
                                  (line["file"], "different" if line["exists"] else "not there"))
    assert len(listing.writes) == lines[-1]["writes"], "ids that repeat"
    return listing
