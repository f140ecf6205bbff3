#!/usr/bin/env python3
"""Ceph's S3 gateway over a cluster of one monitor and one storage daemon in memory: the second, independent judge.

It checks signatures, bodies and times, keeps If-None-Match atomically and gives session tokens. Prints one line of JSON
(endpoint, bucket, region, access_key_id, secret_access_key; and session: the same three with session_token) when it
is ready, and stops when its standard input ends. Debian: radosgw ceph-mon ceph-osd ceph-common.

What is odd below was learnt the hard way: without cephx the gateway hangs; memstore must be large and garbage collected at
once, or overwriting fills it; without tcp_nodelay every small GET takes 40 ms.
"""

import ctypes
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse
import uuid
import xml.etree.ElementTree

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "fault"))
from sigv4 import signed_headers

BUCKET, REGION = "holdfast", "default"
USER = ("RGWKEYID", "rgw/secret+with=signs")

CONFIGURATION = """
[global]
fsid = {fsid}
mon_host = v1:127.0.0.1:{mon_port}/0
public_addr = 127.0.0.1
cluster_addr = 127.0.0.1
ms_bind_msgr2 = false
auth_cluster_required = cephx
auth_service_required = cephx
auth_client_required = cephx
keyring = {folder}/keyring
run_dir = {folder}
admin_socket =
log_file =
log_to_stderr = false
err_to_stderr = true
mon_cluster_log_file =
mon_data = {folder}/mon
mon_allow_pool_size_one = true
mon_max_pg_per_osd = 1000
mon_warn_on_insecure_global_id_reclaim = false
osd_data = {folder}/osd
osd_objectstore = memstore
memstore_device_bytes = 8589934592
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 4
osd_pool_default_pg_autoscale_mode = off
osd_crush_chooseleaf_type = 0
rgw_rados_pool_pg_num_min = 4
rgw_data = {folder}
rgw_enable_gc_threads = true
rgw_gc_obj_min_wait = 1
rgw_enable_usage_log = false
rgw_enable_ops_log = false
rgw_s3_auth_use_sts = true
rgw_sts_key = holdfast-sts-key
rgw_frontends = beast endpoint=127.0.0.1:{port} tcp_nodelay=1
"""

KEYRINGS = {
    "mon.": ["mon", "allow *"],
    "client.admin": ["mon", "allow *", "osd", "allow *", "mgr", "allow *"],
    "osd.0": ["mon", "allow profile osd", "osd", "allow *"],
    "client.rgw": ["mon", "allow rwx", "osd", "allow rwx"],
}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def end_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


class Cluster:
    def __init__(self, folder):
        self.folder, self.daemons, self.port, mon_port = folder, [], free_port(), free_port()
        self.configuration = os.path.join(folder, "ceph.conf")
        self.fsid = str(uuid.uuid4())
        with open(self.configuration, "w") as file:
            file.write(CONFIGURATION.format(fsid=self.fsid, folder=folder, port=self.port, mon_port=mon_port))
        self.mon_port = mon_port

    def run(self, program, *arguments, timeout_s=60):
        done = subprocess.run([program, "-c", self.configuration, *arguments], capture_output=True, text=True,
                              timeout=timeout_s)
        if done.returncode != 0:
            raise RuntimeError("%s %s: %s" % (program, " ".join(arguments), done.stderr[-2000:]))
        return done.stdout

    def start_daemon(self, program, *arguments):
        log = open(os.path.join(self.folder, program + ".log"), "w")
        self.daemons.append(subprocess.Popen([program, "-c", self.configuration, "-f", *arguments], stdin=subprocess.DEVNULL,
                                             stdout=log, stderr=log, preexec_fn=end_with_parent))

    def start(self):
        keyring, map_file = os.path.join(self.folder, "keyring"), os.path.join(self.folder, "monmap")
        for name, rights in KEYRINGS.items():
            pairs = [word for at in range(0, len(rights), 2) for word in ("--cap", rights[at], rights[at + 1])]
            create = [] if os.path.exists(keyring) else ["--create-keyring"]
            subprocess.run(["ceph-authtool", *create, keyring, "--gen-key", "-n", name, *pairs], check=True,
                           stdout=subprocess.DEVNULL)
        subprocess.run(["monmaptool", "--create", "--fsid", self.fsid, "--addv", "a", "[v1:127.0.0.1:%d]" % self.mon_port,
                        map_file], check=True, stdout=subprocess.DEVNULL)
        os.mkdir(os.path.join(self.folder, "osd"))
        self.run("ceph-mon", "--mkfs", "-i", "a", "--monmap", map_file, "--keyring", keyring)
        self.start_daemon("ceph-mon", "-i", "a")
        osd_id = str(uuid.uuid4())
        self.run("ceph", "osd", "new", osd_id, "0")
        self.run("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", osd_id, "--no-mon-config")
        self.start_daemon("ceph-osd", "-i", "0")
        self.run("ceph", "osd", "crush", "add", "osd.0", "1.0", "root=default", "host=one")
        self.start_daemon("radosgw", "-n", "client.rgw")

    def wait_until_it_serves(self):
        deadline = time.monotonic() + 120
        while True:
            dead = [daemon.args[0] for daemon in self.daemons if daemon.poll() is not None]
            if dead or time.monotonic() > deadline:
                raise RuntimeError("the gateway does not serve; ended: %s\n%s" % (dead, self.logs()))
            try:
                if self.ask("GET", "/", credentials=None)[0] in (200, 403):
                    return
            except OSError:
                time.sleep(0.1)

    def logs(self):
        text = ""
        for name in os.listdir(self.folder):
            if name.endswith(".log"):
                with open(os.path.join(self.folder, name), errors="replace") as file:
                    text += "== %s\n%s" % (name, file.read()[-1500:])
        return text

    def ask(self, method, target, body=b"", credentials=USER, service="s3"):
        host = "127.0.0.1:%d" % self.port
        headers = signed_headers(method, host, target, body, credentials, REGION, service) if credentials else {}
        connection = http.client.HTTPConnection(host, timeout=60)
        connection.request(method, target, body, headers)
        response = connection.getresponse()
        answer = response.read().decode()
        connection.close()
        return response.status, answer

    def demand(self, *arguments, **options):
        status, answer = self.ask(*arguments, **options)
        if status != 200:
            raise RuntimeError("%s: %d %s" % (arguments, status, answer))
        return answer

    def form(self, fields, service):
        return self.demand("POST", "/", urllib.parse.urlencode(fields).encode(), service=service)

    def make_user_and_bucket(self):
        self.run("radosgw-admin", "user", "create", "--uid", "tester", "--display-name", "tester", "--access-key", USER[0],
                 "--secret-key", USER[1], "--caps", "user-policy=*")
        self.demand("PUT", "/" + BUCKET)

    def make_session(self):
        """Temporary credentials: a key id, a secret and a token."""
        policy = {"Version": "2012-10-17",
                  "Statement": [{"Effect": "Allow", "Action": ["s3:*", "sts:GetSessionToken"], "Resource": "*"}]}
        self.form({"Action": "PutUserPolicy", "UserName": "tester", "PolicyName": "all", "PolicyDocument": json.dumps(policy),
                   "Version": "2010-05-08"}, "iam")
        answer = self.form({"Action": "GetSessionToken", "DurationSeconds": "3600", "Version": "2011-06-15"}, "sts")
        values = {element.tag.split("}")[-1]: element.text for element in xml.etree.ElementTree.fromstring(answer).iter()}
        return {"access_key_id": values["AccessKeyId"], "secret_access_key": values["SecretAccessKey"],
                "session_token": values["SessionToken"]}

    def stop(self):
        for daemon in reversed(self.daemons):
            daemon.kill()
            daemon.wait()


def main():
    folder = tempfile.mkdtemp(prefix="holdfast-rgw-")
    cluster = Cluster(folder)
    try:
        cluster.start()
        cluster.wait_until_it_serves()
        cluster.make_user_and_bucket()
        print(json.dumps({"endpoint": "http://127.0.0.1:%d" % cluster.port, "bucket": BUCKET, "region": REGION,
                          "access_key_id": USER[0], "secret_access_key": USER[1], "session": cluster.make_session()}),
              flush=True)
        sys.stdin.buffer.read()
    finally:
        cluster.stop()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
