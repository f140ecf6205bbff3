#!/usr/bin/env python3
"""A child that does what the test says, where the sample backend is too well behaved.

    scripted_child.py PORT [--ignore SIGNAL] [--code N]

It answers every GET with 200 from PORT on, and prints one line for each thing that happens to it: `ready`, `got HUP`.
SIGTERM ends it with --code, unless it is ignored. By path:

    /exit?N     ends with that code        /kill?N    sends itself that signal
    /orphans?N  leaves N processes behind that end at once
    /escape     leaves a process behind in a session of its own that never ends; answers its pid
    /wait?S     answers after so many seconds
    /terminal   answers whether it is in the terminal's foreground group
"""

import http.server
import os
import signal
import subprocess
import sys
import threading

arguments = sys.argv[1:]
port = int(arguments.pop(0))
options = dict(zip(arguments[::2], arguments[1::2]))
code = int(options.get("--code", 0))


def say(text):
    os.write(1, (text + "\n").encode())


def on_signal(number, _frame):
    name = signal.Signals(number).name[3:]
    say("got " + name)
    if name == "TERM":
        os._exit(code)


for name in ("HUP", "USR1", "USR2", "QUIT", "WINCH", "TERM"):
    signal.signal(getattr(signal, "SIG" + name), on_signal)
if "--ignore" in options:
    signal.signal(getattr(signal, "SIG" + options["--ignore"]), signal.SIG_IGN)


def orphans(count):
    for _ in range(count):
        middle = os.fork()
        if middle == 0:
            if os.fork() == 0:
                os._exit(0)
            os._exit(0)
        os.waitpid(middle, 0)
    return "left"


def escape():
    read, write = os.pipe()
    middle = os.fork()
    if middle == 0:
        helper = subprocess.Popen(["sleep", "1000"], start_new_session=True, stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL)
        os.write(write, str(helper.pid).encode())
        os._exit(0)
    os.waitpid(middle, 0)
    return os.read(read, 32).decode()


def terminal():
    try:
        return str(os.tcgetpgrp(0) == os.getpgrp())
    except OSError as error:
        return str(error)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        path, _, query = self.path.partition("?")
        if path == "/exit":
            os._exit(int(query))
        if path == "/kill":
            os.kill(os.getpid(), int(query))
        if path == "/wait":
            threading.Event().wait(float(query))
        answers = {"/orphans": lambda: orphans(int(query)), "/escape": escape, "/terminal": terminal}
        body = answers.get(path, lambda: "well")().encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
say("ready")
threading.Thread(target=server.serve_forever, daemon=True).start()
while True:
    signal.pause()
