#!/usr/bin/env python3
"""What a container engine does with an unpacked image, as far as holdfast can tell: PID 1 in namespaces of its own, a root
that can't be written, a few mounts, the image's environment and working directory.

    unshare --mount --pid --fork --kill-child contain.py ROOT UID WORKDIR MOUNTS VARIABLES PROGRAM ARGUMENT…

MOUNTS is JSON, a list of [source, target], where the source "size=2m" is an empty file system of that size; VARIABLES is an object, in which null means: as it is here. So a secret need not
stand in an argument list.
"""

import json
import os
import subprocess
import sys

root, uid, directory, mounts, variables, *command = sys.argv[1:]
environment = {name: os.environ[name] if value is None else value for name, value in json.loads(variables).items()}


def mount(*arguments):
    subprocess.run(["mount", *arguments], check=True)


mount("--make-rprivate", "/")
mount("--bind", root, root)
os.makedirs(root + "/proc", exist_ok=True)
os.makedirs(root + "/dev", exist_ok=True)
mount("-t", "proc", "proc", root + "/proc")
mount("--rbind", "/dev", root + "/dev")
for source, target in json.loads(mounts):
    os.makedirs(root + target, exist_ok=True)
    if source.startswith("size="):
        mount("-t", "tmpfs", "-o", source, "none", root + target)
    else:
        mount("--bind", source, root + target)
mount("-o", "remount,ro,bind", root)
os.chroot(root)
os.chdir(directory or "/")
os.setgroups([])
os.setgid(int(uid))
os.setuid(int(uid))
os.execve(command[0], command, environment)
