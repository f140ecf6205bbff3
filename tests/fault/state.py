"""What the threads of fault_s3.py share: the objects, the faults to come, the log and the settings."""

import threading
import time

BUCKET = "fault-bucket"


class Refusal(Exception):
    """An answer that is an error document."""

    def __init__(self, status, code, message="", headers=None):
        super().__init__(code)
        self.status, self.code, self.message, self.headers = status, code, message, headers or {}


class Reset(Exception):
    """The connection is reset instead of being answered."""


class State:
    def __init__(self):
        self.lock = threading.Condition()
        self.objects, self.written = {}, {}
        self.faults, self.log, self.failures = [], [], []
        self.released, self.connections = 0, 0
        self.base_path = ""
        self.settings = {
            "delay_ms": 0,
            "clock_offset_s": 0,
            "access_key_id": "FAULTKEYID",
            "secret_access_key": "fault/secret+with=signs",
            "session_token": None,
            "region": "fault-region-1",
            "ignore_conditions": False,
            "refuse_conditions": False,
            "bucket_missing": False,
            "read_only": False,
            "no_list_permission": False,
            "page_size": 1000,
            "list_reverse": False,
            "no_date": False,
            "one_write_per_second": False,
        }

    def now(self):
        return time.time() + self.settings["clock_offset_s"]

    def choose_fault(self, operation, key):
        """The first fault that hits; called with the lock held."""
        for fault in self.faults:
            if fault.get("operation") not in (None, "", operation) or not key.startswith(fault.get("key") or ""):
                continue
            fault["seen"] = fault.get("seen", 0) + 1
            number = fault["seen"] - 1 - fault.get("skip", 0)
            if number >= 0 and (fault.get("times", 1) == 0 or number < fault.get("times", 1)):
                return fault
        return None

    def count(self, operation, key, state):
        return sum(
            1
            for entry in self.log
            if operation in (None, "", entry["operation"])
            and entry["key"].startswith(key or "")
            and (state != "ended" or entry["ended"] is not None)
        )


STATE = State()
