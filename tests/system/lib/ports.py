"""Free ports below 32768, where the kernel doesn't pick ports for outgoing connections.

A port stays ours while a lock on a file of its number is held, so that tests that run beside each other never
get the same one, even before anybody listens there.
"""

import fcntl
import os
import random
import socket
import tempfile

FIRST, LAST = 12000, 32000


def _folder():
    path = os.path.join(tempfile.gettempdir(), "holdfast-ports-%d" % os.getuid())
    os.makedirs(path, exist_ok=True)
    return path


def _try(port):
    """A descriptor that holds the lock, or None."""
    fd = os.open(os.path.join(_folder(), str(port)), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    probe = socket.socket()
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("0.0.0.0", port))
        return fd
    except OSError:
        os.close(fd)
        return None
    finally:
        probe.close()


class Ports:
    """Ports for one test."""

    def __init__(self):
        self._locks = []

    def take(self):
        for _ in range(1000):
            port = random.randrange(FIRST, LAST)
            fd = _try(port)
            if fd is not None:
                self._locks.append(fd)
                return port
        raise RuntimeError("no free port")

    def clear(self):
        for fd in self._locks:
            os.close(fd)
        self._locks = []
