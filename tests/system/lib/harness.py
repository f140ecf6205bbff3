"""What a system test needs, in one import:

    #!/usr/bin/env python3
    import os, sys
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    from lib.harness import *

    @test
    def a_wiped_directory_comes_back(scene):
        deployment, oracle = scene.deployment(), Oracle()
        holdfast = deployment.start()
        oracle.write(holdfast.port)
        holdfast.wait_durable()
        holdfast.kill_tree()
        deployment.wipe()
        oracle.check(deployment.start().port)

    main()

The programs are HOLDFAST_BIN (default ./holdfast), BACKEND_BIN (default build/gcc/backend) and BACKEND_NEW_BIN
(build/gcc/backend-new). Standard library only. Every process started here ends with its test, killed by its pid.
"""

from .holdfast import Holdfast
from .oracle import Listing, Oracle, read_listing
from .process import Process, become_subreaper, children_of, is_alive
from .scene import Backend, Deployment, Scene, backend_new_path, backend_path, clean_environment, holdfast_path
from .store import DirectoryStore
from .tap import main, skip, test
from .waiting import TooLate, stays, wait_until
from .web import Closed, Connection, Response, fetch
from .websocket import BINARY, CLOSE, PING, PONG, TEXT, Refused, WebSocket

become_subreaper()

__all__ = [
    "BINARY", "Backend", "CLOSE", "Closed", "Connection", "Deployment", "DirectoryStore", "Holdfast", "Listing",
    "Oracle", "PING", "PONG", "Process", "Refused", "Response", "Scene", "TEXT", "TooLate", "WebSocket",
    "backend_new_path", "backend_path", "children_of", "clean_environment", "fetch", "holdfast_path", "is_alive", "main",
    "read_listing", "skip", "stays", "test", "wait_until",
]
