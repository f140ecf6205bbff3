"""Tests as sentences, in TAP for prove(1).

    from lib.harness import test, main

    @test
    def what_was_acknowledged_is_read_again(scene):
        backend = scene.backend()
        ...

    main()

Each test gets a Scene of its own, which owns every process, port and folder that the test asks for and takes
them away at its end, whatever happened. A test that outlives its time limit fails and says where it stood.
Arguments of the program name the tests to run.
"""

import signal
import sys
import traceback

from .scene import Scene

_tests = []


class OutOfTime(BaseException):
    """Not an Exception, so that no helper swallows it."""


class Skipped(Exception):
    pass


def skip(reason):
    """Ends the test as skipped: for what this machine can't do, never for what is broken."""
    raise Skipped(reason)


def test(function=None, *, limit_s=120):
    """Registers a test under its name as a sentence."""

    def register(function):
        _tests.append((function.__name__.replace("_", " "), function, limit_s))
        return function

    return register(function) if function else register


def _on_alarm(_number, _frame):
    raise OutOfTime


def _say(text):
    for line in text.rstrip("\n").split("\n"):
        print("# " + line)
    sys.stdout.flush()


def _run(function, limit_s):
    """None if it held, else why not."""
    scene = Scene()
    failure = None
    signal.signal(signal.SIGALRM, _on_alarm)
    signal.alarm(limit_s)
    try:
        function(scene)
    except Skipped:
        raise
    except OutOfTime:
        failure = "still running after %d s\n%s" % (limit_s, traceback.format_exc())
    except Exception:
        failure = traceback.format_exc()
    finally:
        signal.alarm(0)
        if failure:
            failure += scene.story()
        scene.clear()
    return failure


def main():
    wanted = set(sys.argv[1:])
    chosen = [entry for entry in _tests if not wanted or entry[0] in wanted or entry[1].__name__ in wanted]
    failed = 0
    print("1..%d" % len(chosen), flush=True)
    for number, (name, function, limit_s) in enumerate(chosen, 1):
        try:
            failure = _run(function, limit_s)
        except Skipped as skipped:
            print("ok %d - %s # SKIP %s" % (number, name, skipped), flush=True)
            continue
        if failure:
            failed += 1
            _say(failure)
        print("%sok %d - %s" % ("not " if failure else "", number, name), flush=True)
    sys.exit(1 if failed else 0)
