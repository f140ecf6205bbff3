"""What a test tells fault_s3.py, and asks it. The commands are at the top of that file."""

import json

from state import STATE


def obey(name, key, body):
    """One command, with the lock held."""
    if name == "POST faults":
        STATE.faults.append(json.loads(body))
    elif name == "DELETE faults":
        STATE.faults.clear()
        STATE.released += 1
    elif name == "POST release":
        STATE.released += 1
    elif name == "GET log":
        return 200, STATE.log
    elif name == "DELETE log":
        STATE.log.clear()
    elif name == "GET failures":
        return 200, STATE.failures
    elif name == "POST wait":
        return wait_for_requests(json.loads(body))
    elif name == "GET objects":
        return 200, {key: len(value) for key, value in sorted(STATE.objects.items())}
    elif name in ("GET object", "PUT object", "DELETE object"):
        return touch_object(name, key, body)
    elif name == "POST damage":
        return damage(json.loads(body))
    elif name == "GET settings":
        return 200, STATE.settings
    elif name == "POST settings":
        changes = json.loads(body)
        if not set(changes) <= set(STATE.settings):
            return 400, {"error": f"no such setting among {sorted(STATE.settings)}"}
        STATE.settings.update(changes)
    else:
        return 404, {"error": f"no such command: {name}"}
    return 200, {}


def wait_for_requests(wanted):
    arrived = STATE.lock.wait_for(
        lambda: STATE.count(wanted.get("operation"), wanted.get("key"), wanted.get("state", "ended"))
        >= wanted.get("count", 1),
        wanted.get("timeout_s", 30),
    )
    return (200, {}) if arrived else (504, {"error": "they did not come"})


def touch_object(name, key, body):
    if name == "PUT object":
        STATE.objects[key] = body
    elif key not in STATE.objects:
        return 404, {"error": "no such object"}
    elif name == "GET object":
        return 200, STATE.objects[key]
    else:
        del STATE.objects[key]
    return 200, {}


def damage(wanted):
    old = STATE.objects.get(wanted["key"])
    if old is None:
        return 404, {"error": "no such object"}
    middle = len(old) // 2
    if wanted["kind"] == "flip":
        STATE.objects[wanted["key"]] = old[:middle] + bytes([old[middle] ^ 4]) + old[middle + 1 :]
    elif wanted["kind"] == "truncate":
        STATE.objects[wanted["key"]] = old[:middle]
    else:
        return 400, {"error": "flip or truncate"}
    return 200, {}
