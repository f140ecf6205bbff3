"""CPU for each small GET over keep-alive: holdfast in front of an nginx that answers at once, and nginx as the proxy."""

import os
import re
import shutil
import subprocess

from lib.harness import *
from measure import cpu_s, median, spread

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
CONFIGURATION = """
worker_processes 1; daemon off; pid %(folder)s/pid; error_log /dev/null;
events { worker_connections 1024; }
http {
  access_log off; keepalive_requests 1000000000;
  client_body_temp_path %(folder)s; proxy_temp_path %(folder)s; fastcgi_temp_path %(folder)s;
  uwsgi_temp_path %(folder)s; scgi_temp_path %(folder)s;
  upstream backend { server 127.0.0.1:%(upstream)d; keepalive 64; }
  server { listen 127.0.0.1:%(port)d; location / { %(action)s } }
}
"""
ANSWER = 'default_type text/plain; return 200 "twelve bytes";'
PASS = 'proxy_pass http://backend; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $http_host;'


def nginx_command(scene, port, upstream, action):
    folder = scene.folder("nginx")
    os.chmod(folder, 0o777)
    with open(os.path.join(folder, "conf"), "w") as file:
        file.write(CONFIGURATION % {"folder": folder, "port": port, "upstream": upstream, "action": action})
    return ["nginx", "-p", folder, "-e", "/dev/null", "-c", os.path.join(folder, "conf")]


def requests_and_cpu(port, pids):
    before = sum(cpu_s(pid) for pid in pids)
    output = subprocess.run(["wrk", "-t1", "-c16", "-d3s", "http://127.0.0.1:%d/" % port], capture_output=True, text=True,
                            check=True).stdout
    requests = int(re.search(r"(\d+) requests in", output).group(1))
    assert "Non-2xx" not in output, output
    return (sum(cpu_s(pid) for pid in pids) - before) / requests * 1e6


def measure(_sample, report):
    if not shutil.which("nginx") or not shutil.which("wrk"):
        report.add("proxy", "not measured: nginx or wrk is missing")
        return
    scene, ours, rival = Scene(), [], []
    os.environ["PATH"] += ":/usr/sbin"
    try:
        deployment = scene.deployment(environment={"HOLDFAST_HEALTH_PATH": "/", "HOLDFAST_STOP_SIGNAL": "TERM"})
        holdfast = deployment.start(command=nginx_command(scene, deployment.upstream, 1, ANSWER))
        port = scene.port()
        other = scene.process("nginx", nginx_command(scene, port, deployment.upstream, PASS))
        wait_until(lambda: fetch(port, "GET", "/").status == 200, 10, "nginx")
        for _ in range(ROUNDS):
            ours.append(requests_and_cpu(deployment.port, [holdfast.pid]))
            rival.append(requests_and_cpu(port, [other.pid, *other.children]))
        version = subprocess.run([holdfast_path(), "version"], capture_output=True, text=True).stdout
        library = re.search(r"libmicrohttpd\S*\s+(\S+)", version)
    finally:
        scene.clear()
    report.add("proxy CPU for each small GET, µs (libmicrohttpd %s)" % (library.group(1) if library else "?"), spread(ours),
               "nginx: " + spread(rival), "%.2f" % (median(ours) / median(rival)))
