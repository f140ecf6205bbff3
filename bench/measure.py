"""How the figures are taken: wall time, CPU and memory of processes, medians, and what the machine is."""

import os
import platform
import statistics
import subprocess
import threading
import time

TICKS = os.sysconf("SC_CLK_TCK")


class Run:
    """One run of a command: wall and CPU seconds of it and all it started, and its highest resident size."""

    def __init__(self, command, environment):
        begun = time.monotonic()
        process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.PIPE)
        errors = process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        self.wall_s = time.monotonic() - begun
        self.cpu_s = usage.ru_utime + usage.ru_stime
        self.peak_kb = usage.ru_maxrss
        assert process.returncode == 0, "%s: %s" % (command, errors.decode("utf-8", "replace")[-500:])


class Sampler:
    """Looks at something every so often while it is entered, and once more when it is left."""

    def __init__(self, every_s):
        self._every_s, self._left = every_s, threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def look(self):
        raise NotImplementedError

    def _run(self):
        while not self._left.wait(self._every_s):
            self.look()

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_exception):
        self._left.set()
        self._thread.join()
        self.look()


class Watch(Sampler):
    """The largest size that a file is seen to have."""

    def __init__(self, path):
        super().__init__(0.01)
        self.path, self.largest = path, 0

    def look(self):
        try:
            self.largest = max(self.largest, os.path.getsize(self.path))
        except FileNotFoundError:
            pass


def median(values):
    return statistics.median(values)


def spread(values):
    """For people: the median, and between what the rest lay."""
    return "%.3g (%.3g to %.3g)" % (median(values), min(values), max(values))


def percentile(values, percent):
    """The lowest that so many percent are not above."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]


def memory_kb(pid):
    """VmRSS, VmHWM, RssAnon, RssFile."""
    with open("/proc/%d/status" % pid) as file:
        fields = dict(line.split(":", 1) for line in file)
    return {name: int(fields[name].split()[0]) for name in ("VmRSS", "VmHWM", "RssAnon", "RssFile")}


def cpu_s(pid):
    """What the process has used so far, all threads."""
    with open("/proc/%d/stat" % pid) as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def cpu_exact_s(pid):
    """The same to the nanosecond, for what uses next to nothing; a thread that ends takes its share with it."""
    total_ns = 0
    for thread in os.listdir("/proc/%d/task" % pid):
        with open("/proc/%d/task/%s/schedstat" % (pid, thread)) as file:
            total_ns += int(file.read().split()[0])
    return total_ns / 1e9


def load():
    return "%.1f" % os.getloadavg()[0]


def machine(folder):
    """Lines that name it."""
    with open("/proc/cpuinfo") as file:
        models = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
    with open("/proc/meminfo") as file:
        memory_gib = int(file.readline().split()[1]) / 2**20
    disk = subprocess.run(["findmnt", "-n", "-o", "SOURCE,FSTYPE,OPTIONS", "-T", folder], capture_output=True, text=True).stdout
    with open("/etc/os-release") as file:
        system = [line.split("=", 1)[1].strip().strip('"') for line in file if line.startswith("PRETTY_NAME=")]
    return ["%s, %d cores, %.0f GiB" % (models[0] if models else platform.machine(), os.cpu_count(), memory_gib),
            "Linux %s, %s" % (platform.release(), system[0]),
            " ".join(disk.split()),
            "%s, load average %s when begun" % (time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()), load())]
