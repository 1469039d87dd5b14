# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""bluegreen_switch with a real HAProxy on an edge host, separate from the environment's own."""

from __future__ import annotations

import contextlib
import json
import textwrap
from collections.abc import Iterator
from typing import Any

import pytest
from environment import Environment, until

FOLDER = "/run/greenroom-switch-test"
CLEAR = f"cd {FOLDER} && kill $(cat pid hold.pid); rm -rf {FOLDER}"
PORT = 18999
# Timeouts that are longer than the test.
CONFIGURATION = f"""
global
    stats socket {FOLDER}/admin.sock mode 660 level admin
    hard-stop-after 15m
defaults
    mode http
    timeout connect 60s
    timeout client 15m
    timeout server 15m
    option idle-close-on-response
frontend test
    bind 127.0.0.1:{PORT}
    http-request set-var(txn.switch) str(test),map({FOLDER}/live.map)
    http-request return status 200 content-type text/plain lf-string "%[var(txn.switch),field(2,:)]"
"""
# Sends requests while the file `on` exists, and at least ENOUGH. Creates the file `begun` after the first responses.
LOAD = f"""
import collections, http.client, json, os, threading, time

ENOUGH = 1000
seen = collections.Counter()

def ask(keep):
    connection = None
    while sum(seen.values()) < ENOUGH or os.path.exists("on"):
        try:
            connection = connection or http.client.HTTPConnection("127.0.0.1", {PORT}, timeout=60)
            connection.request("GET", "/")
            answer = connection.getresponse()
            seen[answer.read().decode() if answer.status == 200 else "lost: status %d" % answer.status] += 1
        except (OSError, http.client.HTTPException) as error:
            seen["lost: %r" % error] += 1
            connection = None
        if not keep and connection:
            connection.close()
            connection = None
        time.sleep(0.002)

threads = [threading.Thread(target=ask, args=(keep,)) for keep in (True, False, False)]
for thread in threads:
    thread.start()
while sum(seen.values()) < 10:
    time.sleep(0.1)
open("begun", "w").close()
for thread in threads:
    thread.join()
print(json.dumps(seen))
"""
# Keeps the old worker alive after a reload.
HOLD = f"""
import socket, time
held = socket.create_connection(("127.0.0.1", {PORT}))
open("held", "w").close()
time.sleep(900)
"""
RELOAD = f"""
import socket
with socket.socket(socket.AF_UNIX) as master:
    master.connect("{FOLDER}/master.sock")
    master.sendall(b"reload\\n")
    answer = b""
    while chunk := master.recv(65536):
        answer += chunk
assert b"Success=1" in answer, answer
"""


@pytest.fixture
def edge(staging: Environment) -> Iterator[Environment]:
    """An environment with a folder for the test's HAProxy on an edge host; it is removed afterwards."""
    staging.ssh("edge1", CLEAR, check=False)
    staging.ssh("edge1", f"mkdir -p {FOLDER}\n" + write("haproxy.cfg", CONFIGURATION))
    staging.ssh("edge1", write("load.py", LOAD) + write("hold.py", HOLD))
    yield staging
    staging.ssh("edge1", CLEAR, check=False)


def write(name: str, content: str) -> str:
    """Return a shell script that writes a file to the test's folder."""
    return f"cat > {FOLDER}/{name} <<'END'\n{textwrap.dedent(content)}\nEND\n"


def switch(environment: Environment, **arguments: Any) -> dict[str, Any]:
    """Call the module on the edge host."""
    places = {
        "site": "test",
        "state_file": f"{FOLDER}/state.json",
        "map_file": f"{FOLDER}/live.map",
        "socket": f"{FOLDER}/admin.sock",
        "master_socket": f"{FOLDER}/master.sock",
    }
    return environment.call("edge1", "bluegreen_switch", **places, **arguments)["edge1"]


def test_the_watchdog_drops_an_abandoned_operation(staging: Environment) -> None:
    status = "greenroom-edge status"
    before = json.loads(staging.ssh("edge1", status).stdout)
    given = {"state": "prepared", "site": "staging", "operation": "left-alone", "live": before["idle"], "deadline": 2}
    done = staging.call("edge1", "bluegreen_switch", **given)
    assert not done["edge1"].get("failed", False), done
    until(lambda: json.loads(staging.ssh("edge1", status).stdout)["phase"] == "idle", 120, "it is dropped")
    after = json.loads(staging.ssh("edge1", status).stdout)
    assert after["operation"] is None
    assert [after[key] for key in ("epoch", "live", "in_force")] == [before["epoch"], before["live"], True]


def test_a_reload_of_the_unit_keeps_the_state_in_effect(staging: Environment) -> None:
    staging.ssh("edge1", "systemctl reload haproxy && greenroom-edge check")
    staging.ssh("edge1", "systemctl is-active greenroom-edge.service")


def test_a_websocket_outlives_reloads_of_the_unit(staging: Environment) -> None:
    upgrade = (
        f"GET /echo HTTP/1.1\r\nHost: {staging.public_name}\r\nAuthorization: {staging.authorization()}\r\n"
        "Connection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    connection = staging.connection("edge1")
    connection.connect()
    with contextlib.closing(connection), connection.sock.makefile("rb") as answers:
        connection.sock.sendall(upgrade.encode())
        assert b" 101 " in answers.readline()
        while answers.readline().strip():
            pass
        for _reload in range(3):
            staging.ssh("edge1", "systemctl reload haproxy")
            # A text of five bytes, masked with zeros, and the same text without a mask.
            connection.sock.sendall(b"\x81\x85\0\0\0\0hello")
            assert answers.read(7) == b"\x81\x05hello"


def test_a_switch_reaches_old_workers_and_loses_no_request(edge: Environment) -> None:
    first = switch(edge, live="blue")
    assert (first["epoch"], first["running"], first["in_force"]) == (1, False, False)
    edge.ssh("edge1", f"cd {FOLDER} && /usr/sbin/haproxy -W -D -p pid -S {FOLDER}/master.sock -f haproxy.cfg")
    started = switch(edge, state="status")
    assert (started["live"], started["in_force"]) == ("blue", True)

    load = f"cd {FOLDER} && touch on && nohup python3 load.py > load.out 2>&1 &\n"
    hold = f"cd {FOLDER} && nohup python3 hold.py > hold.out 2>&1 &\necho $! > {FOLDER}/hold.pid\n"
    edge.ssh("edge1", f"{load}{hold}until [ -f {FOLDER}/begun ] && [ -f {FOLDER}/held ]; do sleep 0.1; done")
    green = switch(edge, live="green", expected_epoch=1)
    assert (green["repaired"][:2], len(green["workers"])) == (["state", "map"], 1)
    edge.ssh("edge1", f"python3 - <<'END'\n{RELOAD}\nEND")
    assert switch(edge, state="status")["in_force"]

    blue = switch(edge, live="blue", expected_epoch=2)
    assert sorted(worker["old"] for worker in blue["workers"]) == [False, True]
    assert blue["in_force"]
    assert blue["repaired"][2:] == [f"worker {worker['name']}" for worker in blue["workers"]]
    assert switch(edge, live="blue")["changed"] is False
    assert switch(edge, live="green", expected_epoch=2)["msg"].startswith("refused: expected epoch 2, but it is 3")

    edge.ssh("edge1", f"rm {FOLDER}/on")
    output = until(lambda: edge.ssh("edge1", f"cat {FOLDER}/load.out").stdout, 120, "the load has ended")
    assert set(json.loads(output)) == {"blue", "green"}
