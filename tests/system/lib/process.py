"""Processes that a test starts, and everything that they start in turn.

holdfast puts its child into a group of its own, and a test may kill holdfast so that it can't clean up. So this
process is a sub-reaper: whatever loses its parent becomes ours, and reap_all() ends exactly our descendants.
"""

import ctypes
import os
import re
import signal
import subprocess
import threading
import time

from .waiting import TooLate, wait_until

PR_SET_CHILD_SUBREAPER = 36


def become_subreaper():
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


def children_of(pid):
    """The pids of its children, whichever thread made them."""
    found = []
    try:
        for thread in os.listdir("/proc/%d/task" % pid):
            with open("/proc/%d/task/%s/children" % (pid, thread)) as file:
                found += [int(child) for child in file.read().split()]
    except FileNotFoundError:
        pass
    return found


def is_alive(pid):
    """False for a zombie too."""
    try:
        with open("/proc/%d/stat" % pid) as file:
            return file.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def send_to(pid, number):
    """A signal; gone already is fine."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


def reap_all():
    """SIGKILL for every descendant, by pid, until none is left."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        children = children_of(os.getpid())
        if not children:
            return
        for child in children:
            send_to(child, signal.SIGKILL)
            try:
                os.waitpid(child, 0)
            except ChildProcessError:
                pass
    raise TooLate("some descendants can't be killed: %s" % children_of(os.getpid()))


class Stream:
    """Lines of an output, as they come."""

    def __init__(self, file):
        self.lines = []
        self._changed = threading.Condition()
        self._ended = False
        self._thread = threading.Thread(target=self._follow, args=(file,), daemon=True)
        self._thread.start()

    def _follow(self, file):
        for raw in file:
            with self._changed:
                self.lines.append(raw.decode("utf-8", "replace").rstrip("\n"))
                self._changed.notify_all()
        file.close()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def find(self, pattern, since=0):
        """The first match in the lines so far, from that line on, or None."""
        for line in self.lines[since:]:
            match = re.search(pattern, line)
            if match:
                return match
        return None

    def wait(self, pattern, timeout_s=20, since=0):
        deadline = time.monotonic() + timeout_s
        with self._changed:
            while True:
                match = self.find(pattern, since)
                if match:
                    return match
                left = deadline - time.monotonic()
                if self._ended or left <= 0:
                    why = "the output ended" if self._ended else "not within %g s" % timeout_s
                    raise TooLate("no line like /%s/: %s" % (pattern, why))
                self._changed.wait(left)

    def finish(self, timeout_s=1):
        """Until its end has come; a process that was left behind may keep it open, so not for ever."""
        self._thread.join(timeout_s)

    def text(self):
        return "\n".join(self.lines)


class Process:
    """A program with its two outputs followed. It leads a process group of its own."""

    def __init__(self, name, command, environment=None, cwd=None):
        self.name = name
        self.command = [str(part) for part in command]
        self._popen = subprocess.Popen(
            self.command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env=environment, cwd=cwd, start_new_session=True)
        self.pid = self._popen.pid
        self.out = Stream(self._popen.stdout)
        self.log = Stream(self._popen.stderr)

    def wait_for_log(self, pattern, timeout_s=20, since=0):
        """The match in a line of standard error."""
        return self.log.wait(pattern, timeout_s, since)

    def wait_for_out(self, pattern, timeout_s=20, since=0):
        return self.out.wait(pattern, timeout_s, since)

    @property
    def running(self):
        return self._popen.poll() is None

    def send_signal(self, number):
        """To this process alone. Gone already is fine."""
        if self.running:
            send_to(self.pid, number)

    def kill(self):
        """SIGKILL for this process alone; its children live on."""
        self.send_signal(signal.SIGKILL)
        self._popen.wait()

    def kill_tree(self):
        """SIGKILL for it and all its descendants at one moment, as a machine that is gone: stopped first, so that nothing
        reacts to the end of something else."""
        pids = self.stop_tree()
        for pid in pids:
            send_to(pid, signal.SIGKILL)
        self._popen.wait()
        wait_until(lambda: not any(is_alive(pid) for pid in pids), 10, "the processes to end")

    def stop_tree(self):
        """SIGSTOP for it and all its descendants; their pids."""
        stopped = []
        waiting = [self.pid] if self.running else []
        while waiting:
            pid = waiting.pop(0)
            send_to(pid, signal.SIGSTOP)
            stopped.append(pid)
            waiting += children_of(pid)
        return stopped

    def wait(self, timeout_s=30):
        """The exit code, 128 + n for a signal as shells tell it; outputs are complete then."""
        try:
            code = self._popen.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise TooLate("%s did not end within %g s" % (self.name, timeout_s)) from None
        self.out.finish()
        self.log.finish()
        return code if code >= 0 else 128 - code

    def stop(self, number=signal.SIGTERM, timeout_s=30):
        self.send_signal(number)
        return self.wait(timeout_s)

    def expect_exit(self, code, timeout_s=30):
        got = self.wait(timeout_s)
        assert got == code, "%s ended with %d, not %d" % (self.name, got, code)

    @property
    def children(self):
        return children_of(self.pid)

    def story(self):
        """What it was and what it said last: for the diagnosis of a failure."""
        code = self._popen.poll()
        state = "running" if code is None else "ended with %d" % code
        lines = ["--- %s (pid %d, %s): %s" % (self.name, self.pid, state, " ".join(self.command))]
        for title, stream in (("out", self.out), ("err", self.log)):
            lines += ["%s| %s" % (title, line) for line in stream.lines[-40:]]
        return "\n".join(lines) + "\n"
