#!/usr/bin/env python3
"""Check what an image says of itself: who runs it, what starts, what tells its health.

In:  the image's configuration as JSON, on standard input: of the Docker engine,
     `docker image inspect --format '{{json .Config}}' IMAGE`.
Out: the exit status, and each fault on a line of its own.
"""

import json
import sys

LABELS = ("title", "description", "version", "licenses", "base.name", "revision")


def faults(config):
    """What is wrong; nothing, in the image."""
    user = config.get("User", "")
    number = user.partition(":")[0]
    if not number.isdecimal() or int(number) == 0:
        yield f"the user is {user!r}, and should be a number other than 0"
    expected = {
        "Entrypoint": ["xpgrad"],
        "Cmd": ["info"],
        "WorkingDir": "/home/xpgrad",
        "StopSignal": "SIGINT",
    }
    for key, value in expected.items():
        if config.get(key) != value:
            yield f"{key} is {config.get(key)!r}, and should be {value!r}"
    health = (config.get("Healthcheck") or {}).get("Test")
    if health != ["CMD", "xpgrad", "info"]:
        yield f"the health check is {health!r}, and should be `xpgrad info`"
    labels = config.get("Labels") or {}
    for name in LABELS:
        if not labels.get(f"org.opencontainers.image.{name}"):
            yield f"there is no label org.opencontainers.image.{name}"


if __name__ == "__main__":
    found = list(faults(json.load(sys.stdin)))
    print("\n".join(found) or "the configuration is as it should be")
    sys.exit(bool(found))
