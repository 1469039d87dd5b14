#!/usr/bin/python3
# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Stands in for the modules that a drill uses, in an environment that is one file.

That is {live, epoch, phase, deadline, broken: [unit], lock, load: pid, requests: the load's file}.
Which module it is stands in the last lines.
"""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

STATE = Path(os.environ["GREENROOM_IMAGINED"])
OPERATOR = STATE.with_suffix(".operator")
OTHER = {"blue": "green", "green": "blue"}
# What the load's container runs: ten requests a second, answered by whoever is live, lost where its service is broken.
LOAD = """
import json, sys, time
with open(sys.argv[2], "w", buffering=1) as lines:
    for number in range(6000):
        sent_at = time.time()
        state = json.load(open(sys.argv[1]))
        lost = f"shop-{state['live']}.service" in state["broken"]
        lines.write(json.dumps({"id": f"d-{number}", "kind": "h1-keep-get-0", "sent_at": sent_at,
            "ms": (time.time() - sent_at) * 1000,
            "status": 503 if lost else 200, "slot": "" if lost else state["live"],
            "outcome": "5xx" if lost else "ok"}) + chr(10))
        time.sleep(0.1)
"""


@contextmanager
def state() -> Iterator[dict[str, Any]]:
    """The environment, for one process at a time; what is changed is kept, for readers as a whole."""
    with STATE.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        found = json.loads(STATE.read_text())
        # The watchdog; an operator who lives is in time, however busy the machine is.
        if found["phase"] == "canary" and time.time() > found["deadline"] and not operator_lives():
            found |= {"phase": "idle", "epoch": found["epoch"] + 1}
        yield found
        new = STATE.with_suffix(".new")
        new.write_text(json.dumps(found))
        new.replace(STATE)


def operator_lives() -> bool:
    """Whether somebody holds the operator's lock, which ends with its process."""
    with OPERATOR.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def bluegreen_switch(_given: dict[str, Any]) -> dict[str, Any]:
    with state() as now:
        if now["live"] == now.get("silent"):
            return {"failed": True, "msg": "HAProxy does not answer"}
        return {"live": now["live"], "epoch": now["epoch"], "phase": now["phase"], "in_force": True}


def drill_fault(given: dict[str, Any]) -> dict[str, Any]:
    with state() as now:
        began = time.time()
        if given.get("state") == "injected" and given["how"] != "restarted":
            now["broken"] = given["units"]
        if given.get("state") == "undone" and now.get("stuck"):
            return {"failed": True, "msg": "the host does not answer"}
        if given.get("state") == "undone":
            now["broken"] = []
        units = ["shop-blue.service", "shop-green.service"]
        running = [unit for unit in units if unit not in now["broken"]]
        return {"at": began, "ended": time.time(), "broken": now["broken"], "running": running}


def environment_lock(_given: dict[str, Any]) -> dict[str, Any]:
    with state() as now:
        now["lock"] = "released"
    return {}


def smoke_check(given: dict[str, Any]) -> dict[str, Any]:
    with state() as now:
        now["waited"] = {check["url"]: given["defaults"]["headers"]["X-Greenroom-Slot"] for check in given["checks"]}
        return {"failed": bool(now["broken"]), "msg": "it is not ready"}


def template_tree(given: dict[str, Any]) -> dict[str, Any]:
    for directory in given["directories"]:
        Path(directory["path"]).mkdir()
    return {}


def wait_for_another(requests: Path) -> None:
    """Wait for a request that leaves now or later: a load goes on to its end, however busy the machine is."""
    began = time.time()
    while time.time() < began + 60:
        whole, _, _ = requests.read_text().rpartition("\n")
        if whole and json.loads(whole.splitlines()[-1])["sent_at"] > began:
            return
        time.sleep(0.05)


def podman_container(given: dict[str, Any]) -> dict[str, Any]:
    if given.get("state") == "absent":
        with state() as now:
            load = now.pop("load", None)
        if load:
            wait_for_another(Path(now["requests"]))
            subprocess.run(["kill", str(load)], check=False)
        return {}
    folder = next(volume.split(":")[0] for volume in given["volume"] if volume.endswith(":/reports"))
    load = subprocess.Popen(
        [sys.executable, "-c", LOAD, str(STATE), f"{folder}/requests.jsonl"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    with state() as now:
        now["load"] = load.pid
        now["requests"] = f"{folder}/requests.jsonl"
        now["command"] = given["command"]
    return {}


def imagined(given: dict[str, Any]) -> dict[str, Any]:
    """What cutover.yml, rollback.yml and abort.yml do."""
    with OPERATOR.open("w") as lock:
        # Before anybody can look at what this one begins. Who looks at the lock holds it for a moment.
        fcntl.flock(lock, fcntl.LOCK_EX)
        return operate(given)


def operate(given: dict[str, Any]) -> dict[str, Any]:
    """The same, by the only operator."""
    with state() as now:
        to = OTHER[now["live"]]
        if now["lock"] != "released":
            return {"failed": True, "msg": "it is locked by another run"}
        if given["verb"] == "cutover" and f"shop-{to}.service" in now["broken"]:
            return {"failed": True, "msg": f"app1: shop-{to} is not ready: expected status 200, got 503"}
        if given["verb"] == "rollback" and f"shop-{to}.service" in now["broken"]:
            return {"failed": True, "msg": f"{to} has no healthy server of shop"}
        if given["verb"] == "abort":
            now["phase"] = "idle"
            return {}
        if given.get("canary"):
            now |= {"phase": "canary", "epoch": now["epoch"] + 1, "deadline": time.time() + 15}
    if given.get("canary"):
        # Long enough to be killed meanwhile, however busy the machine is.
        time.sleep(120)
    with state() as now:
        now |= {"phase": "idle", "live": to, "epoch": now["epoch"] + 1}
    return {}


if __name__ == "__main__":
    # WANT_JSON: the arguments come as a file.
    arguments = json.loads(Path(sys.argv[1]).read_text())
    print(json.dumps({"changed": True, **globals()["NAME"](arguments)}))
