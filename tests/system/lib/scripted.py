"""holdfast with the scripted child (scripted_child.py) as its backend."""

import os
import sys

CHILD = os.path.join(os.path.dirname(os.path.abspath(__file__)), "scripted_child.py")


def scripted(deployment, *options):
    return [sys.executable, CHILD, deployment.upstream, *options]


def start_scripted(deployment, *options, environment=None, ready=True):
    """A start, and the child is stopped by SIGTERM."""
    return deployment.start(command=scripted(deployment, *options), ready=ready,
                            environment={"HOLDFAST_STOP_SIGNAL": "TERM", **(environment or {})})
