"""Waiting for events, with a limit; never for a while and hoping."""

import time


class TooLate(AssertionError):
    pass


def wait_until(predicate, timeout_s=10, what=None, every_s=0.01):
    """Asks until the answer is true and returns it. An OSError (nobody listens yet) counts as no."""
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            answer = predicate()
        except OSError:
            answer = None
        if answer:
            return answer
        if time.monotonic() >= deadline:
            raise TooLate("not within %g s: %s" % (timeout_s, what or getattr(predicate, "__name__", "it")))
        time.sleep(every_s)


def stays(predicate, for_s, what=None, every_s=0.01):
    """Fails as soon as the answer is false within that time: for what must not happen."""
    deadline = time.monotonic() + for_s
    while time.monotonic() < deadline:
        assert predicate(), "did not stay: %s" % (what or getattr(predicate, "__name__", "it"))
        time.sleep(every_s)
