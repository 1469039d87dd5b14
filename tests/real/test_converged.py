"""A converged environment: a second run, public requests, the network, the hosts."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import uuid
from http.client import HTTPResponse
from typing import Any
from urllib.parse import urlencode

import pytest
from environment import TIMEOUT_SECONDS, Environment, Run, other, until

# A public client on a host of the environment, without the edge's password.
CLIENT = """
import http.client, json, socket, ssl
def connect():
    context = ssl.create_default_context(cafile="/etc/greenroom/ca.crt")
    connection = http.client.HTTPSConnection({name!r}, timeout=30)
    plain = socket.create_connection(({address!r}, 443), timeout=30)
    connection.sock = context.wrap_socket(plain, server_hostname={name!r})
    return connection
"""
FORGET_LOGINS = """
import socket
runtime = socket.socket(socket.AF_UNIX)
runtime.connect("/run/haproxy/admin.sock")
runtime.sendall(b"clear table limit_login\\n")
assert not runtime.recv(999).strip()
"""
# The changed value, the release ID of each service, host and edge host, and of descriptions the signature.
MOST_LINES = 40
REACH = """
import json, socket
found = {{}}
for host, port in {targets!r}:
    try:
        socket.create_connection((host, port), timeout=3).close()
        found[f"{{host}}:{{port}}"] = "connected"
    except OSError as error:
        found[f"{{host}}:{{port}}"] = type(error).__name__
print(json.dumps(found))
"""
# Starts PostgreSQL's protocol by hand, and prints the responses to a login without TLS and with TLS.
POSTGRES = """
import json, socket, ssl, struct
def startup(connection):
    words = b"user\\0portal_blue\\0database\\0portal\\0\\0"
    connection.sendall(struct.pack("!ii", 8 + len(words), 196608) + words)
    return connection.recv(4096)
plain = socket.create_connection(({address!r}, 5432), timeout=30)
without = startup(plain).decode("latin-1")
secure = socket.create_connection(({address!r}, 5432), timeout=30)
secure.sendall(struct.pack("!ii", 8, 80877103))
assert secure.recv(1) == b"S"
context = ssl.create_default_context(cafile="/etc/greenroom/ca.crt")
within = startup(context.wrap_socket(secure, server_hostname={name!r})).decode("latin-1")
print(json.dumps([without, within]))
"""
# Searches for secret values in places that other users than root can read. The values come on standard input only.
SEARCH = """
import json, os, stat, subprocess
values = {{name: value.encode() for name, value in {values!r}.items()}}
places = {{}}
def look(place, content):
    for name, value in values.items():
        if value in content:
            places.setdefault(place, []).append(name)
for process in os.listdir("/proc"):
    if process.isdigit():
        try:
            look("ps", open(f"/proc/{{process}}/cmdline", "rb").read())
        except OSError:
            pass
log = subprocess.Popen(["journalctl", "-o", "cat", "--all", "--no-pager"], stdout=subprocess.PIPE)
for line in log.stdout:
    look("journal", line)
def walk(folder):
    # Files of ended sessions may disappear during the search.
    for entry in os.scandir(folder) if os.path.isdir(folder) else ():
        try:
            mode = entry.stat(follow_symlinks=False).st_mode
            if stat.S_ISDIR(mode) and mode & 0o001:
                walk(entry.path)
        except FileNotFoundError:
            continue
        if stat.S_ISREG(mode) and mode & 0o004:
            try:
                look(entry.path, open(entry.path, "rb").read())
            except OSError:
                pass
for folder in ("/etc", "/run", "/var/lib/greenroom", "/var/log", "/tmp", "/home", "/usr/local"):
    walk(folder)
print(json.dumps(places))
"""
CONTAINERS = """
import subprocess
for _ in range(10):
    names = subprocess.run(["podman", "ps", "-q"], capture_output=True, text=True, check=True).stdout.split()
    shown = subprocess.run(["podman", "inspect", *names], capture_output=True, text=True)
    # The simulation's container may have ended in between.
    if shown.returncode == 0:
        break
print(shown.stdout)
"""


@pytest.fixture(scope="module")
def second(staging: Environment) -> Run:
    """A run that has nothing to do: the first one if that changed nothing, otherwise another one."""
    first = staging.rest()
    return first if first.quiet else staging.play("site.yml")


def test_a_second_run_changes_nothing(staging: Environment, second: Run) -> None:
    assert second.code == 0, second.output
    assert second.changed == dict.fromkeys(staging.hosts, 0), second.output


def test_a_second_run_needs_few_ssh_processes(staging: Environment, second: Run) -> None:
    counts = {host: second.ssh[host] for host in staging.hosts}
    staging.say(f"SSH processes of a run without a change: {counts}")
    assert min(counts.values()) > 0
    assert sum(counts.values()) / len(counts) <= 5
    assert max(counts.values()) <= 9


def test_a_second_run_has_few_tasks(staging: Environment, second: Run) -> None:
    """Each started task costs time on every host, even if all hosts skip it."""
    staging.say(f"tasks of a run without a change: {len(second.tasks)}")
    assert 0 < len(second.tasks) <= 60


def test_a_run_ends_with_where_to_look(staging: Environment, second: Run) -> None:
    assert staging.says_where_to_look(second, "1.0"), second.summary


def test_check_mode_finds_nothing_to_change(staging: Environment) -> None:
    staging.rest()
    run = staging.play("site.yml", "--check", "--diff")
    assert run.code == 0, run.output
    assert run.changed == dict.fromkeys(staging.hosts, 0), run.output
    assert "\n+++ " not in run.output


def test_check_mode_compares_a_deploy_with_the_live_slot(staging: Environment) -> None:
    """One changed value is a handful of lines, whatever the idle slot has."""
    live, idle = staging.live(), staging.idle()
    toggles = json.dumps({"environment_toggles": {"new_checkout": True, "test_endpoints": True}})
    run = staging.play("playbooks/deploy.yml", "--check", "--diff", "-e", toggles)
    assert run.code == 0, run.output
    lines = [line for line in run.output.splitlines() if re.match(r"[+-](?!--|\+\+)", line)]
    staging.say(f"lines that differ: {len(lines)}")
    assert any("PORTAL_NEW_CHECKOUT" in line for line in lines), run.output
    assert len(lines) <= MOST_LINES, "\n".join(lines)
    headers = [line for line in run.output.splitlines() if line.startswith(("--- ", "+++ "))]
    assert any(f"/{live}/portal/environment" in line for line in headers)
    assert not any(re.search(rf"\b{idle}\b", line) for line in headers), headers


# Public requests


def test_public_responses_have_tls_and_security_headers(staging: Environment) -> None:
    status, headers, body = staging.get("/")
    assert status == 200
    assert "staging" in body
    assert "max-age=" in headers["strict-transport-security"]
    assert "default-src 'self'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert "noindex" in headers["x-robots-tag"]
    assert headers["x-frame-options"] == "DENY"


def test_plain_http_redirects_to_https(staging: Environment) -> None:
    request = f"GET /a?b=c HTTP/1.1\r\nHost: {staging.public_name}\r\nConnection: close\r\n\r\n"
    with socket.create_connection((staging.address, 80), timeout=TIMEOUT_SECONDS) as connection:
        connection.sendall(request.encode())
        answer = connection.makefile("rb").read().decode()
    assert answer.startswith("HTTP/1.1 301")
    assert f"location: https://{staging.public_name}/a?b=c\r\n" in answer


@pytest.mark.parametrize("authorization", ["", "Basic dmlzaXRvcjpndWVzcw=="], ids=["no password", "a wrong password"])
def test_every_page_needs_the_password(staging: Environment, authorization: str) -> None:
    connection = staging.connection()
    connection.request("GET", "/", headers={"Authorization": authorization} if authorization else {})
    answer = connection.getresponse()
    assert answer.status == 401
    assert "noindex" in answer.headers["X-Robots-Tag"]
    assert b"portal" not in answer.read().lower()


def test_a_browser_gets_a_page_for_the_password_and_then_what_it_asked_for(staging: Environment) -> None:
    path, browser = "/version", {"Sec-Fetch-Mode": "navigate", "Accept": "text/html,*/*;q=0.8"}

    def asked(method: str, path: str, body: str | None = None, **headers: str) -> tuple[HTTPResponse, str]:
        with contextlib.closing(staging.connection()) as connection:
            connection.request(method, path, body, browser | headers)
            answer = connection.getresponse()
            return answer, answer.read().decode()

    page, text = asked("GET", path)
    assert (page.status, page.headers["Cache-Control"]) == (401, "no-store")
    form = {"password": staging.password("visitor"), "to": re.findall('name="to" .*value="(.*?)"', text)[0]}
    entered, _text = asked("POST", re.findall('action="(.*?)"', text)[0], urlencode(form))
    assert (entered.status, entered.headers["Location"]) == (303, path)
    inside, _text = asked("GET", path, Cookie=entered.headers["Set-Cookie"].partition(";")[0])
    assert (inside.status, inside.headers["X-Greenroom-Slot"]) == (200, staging.live())


def test_too_many_logins_from_one_address_are_limited(staging: Environment) -> None:
    # From a host that no other test uses as a client, because its address is blocked for a minute afterwards. The
    # counters of an earlier run are cleared.
    for edge in staging.edges:
        staging.python(edge, FORGET_LOGINS)
    program = CLIENT.format(name=staging.public_name, address=staging.address) + (
        "connection, seen = connect(), []\n"
        "for path in ['/self-service/login/browser'] * 110 + ['/version']:\n"
        "    connection.request('GET', path)\n"
        "    answer = connection.getresponse()\n"
        "    answer.read()\n"
        "    seen.append(answer.status)\n"
        "    if answer.will_close:\n"
        "        connection = connect()\n"
        "print(json.dumps(seen))\n"
    )
    seen = json.loads(staging.python("data1", program))
    # Staging allows a hundred per minute. Other classes of requests aren't limited with them.
    assert seen == [401] * 100 + [429] * 10 + [401]


def test_a_request_has_the_same_id_in_all_logs(staging: Environment) -> None:
    _status, headers, _body = staging.get("/version")
    request_id, slot = headers["x-request-id"], headers["x-greenroom-slot"]
    edge = staging.active_edge()
    logs = {edge: "haproxy", **dict.fromkeys(staging.groups["app"], f"portal-{slot}")}

    def found() -> list[str]:
        search = "journalctl -u {} --since -5min -o cat --no-pager | grep -F {} || true"
        return [host for host, unit in logs.items() if staging.ask(host, search.format(unit, request_id)).stdout]

    hosts = until(lambda: found() if len(found()) > 1 else [], 60, f"{request_id} in the logs")
    assert len(hosts) == 2
    assert hosts[0] == edge


def test_a_visitor_cannot_choose_the_slot(staging: Environment) -> None:
    live = staging.live()
    for slot in (live, other(live)):
        status, headers, body = staging.get("/version", slot=slot)
        assert (status, headers["x-greenroom-slot"], json.loads(body)["slot"]) == (200, live, live)


# The network


def reach(environment: Environment, source: str, *targets: tuple[str, int]) -> list[str]:
    """Try connections from a host; return the result of each."""
    answer = json.loads(environment.python(source, REACH.format(targets=targets)))
    return list(answer.values())


def test_only_hosts_that_need_the_database_reach_it(staging: Environment) -> None:
    database = (staging.hosts["data1"], 5432)
    assert reach(staging, "app1", database) == ["connected"]
    assert reach(staging, "app2", database) == ["connected"]
    assert reach(staging, "ops1", database) == ["connected"]
    assert reach(staging, "edge1", database) != ["connected"]


def test_the_database_requires_tls_and_scram(staging: Environment) -> None:
    name = "database.staging.greenroom.test"
    without, within = json.loads(staging.python("app1", POSTGRES.format(address=staging.hosts["data1"], name=name)))
    assert "no pg_hba.conf entry" in without
    assert within.startswith("R")
    assert "SCRAM-SHA-256" in within


def test_staging_cannot_open_a_connection_to_production(staging: Environment) -> None:
    production = Environment("production")
    targets = [(address, port) for address in production.hosts.values() for port in (22, 443)]
    count = "nft list chain inet greenroom {} | sed -n 's/.*daddr 198.18.20.0.24 counter packets \\([0-9]*\\).*/\\1/p'"
    for host in staging.hosts:
        before = int(staging.ask(host, count.format("output")).stdout)
        assert "connected" not in reach(staging, host, *targets)
        # This host's rule refused it. Otherwise, a peer that is down would pass the test, too.
        assert int(staging.ask(host, count.format("output")).stdout) > before
    before = int(staging.ask("app1", count.format("forward")).stdout)
    program = REACH.format(targets=targets[:1])
    inside = f"podman exec -i portal-{staging.live()} python3 - <<'END'\n{program}\nEND\n"
    assert "connected" not in staging.ask("app1", inside).stdout
    assert int(staging.ask("app1", count.format("forward")).stdout) > before


def test_services_reach_only_their_environment(staging: Environment) -> None:
    own = [(staging.hosts["data1"], 5432), (staging.address, 443)]
    # An address of the machine itself, where any port would respond, at least with a refusal; and a public one.
    others = [("198.18.30.1", 9), ("203.0.113.1", 443)]
    count = (
        "nft list chain inet greenroom forward | sed -n 's/.*counter packets \\([0-9]*\\).*reject.*/\\1/p' | tail -n 1"
    )
    before = int(staging.ask("app1", count).stdout)
    program = REACH.format(targets=[*own, *others])
    inside = f"podman exec -i portal-{staging.live()} python3 - <<'END'\n{program}\nEND\n"
    answers = list(json.loads(staging.ask("app1", inside).stdout).values())
    assert answers[:2] == ["connected"] * 2
    assert "connected" not in answers[2:]
    assert int(staging.ask("app1", count).stdout) >= before + len(others)


def test_hosts_cannot_reach_each_other_by_ssh(staging: Environment) -> None:
    assert "connected" not in reach(staging, "app1", (staging.hosts["app2"], 22), (staging.hosts["ops1"], 22))


def test_idle_ports_and_admin_ports_are_closed_to_the_machine(staging: Environment) -> None:
    closed = [
        (host, port)
        for host in ("app1", "app2")
        for port in (14433, 14434, 18080, 18081, 24433, 24434, 28080, 28081, 9100)
    ] + [("data1", 5432), ("data1", 5671), ("data1", 15692), ("ops1", 1025)]
    for host, port in closed:
        with pytest.raises(OSError, match=r"timed out|refused|prohibited|No route"):
            socket.create_connection((staging.hosts[host], port), timeout=0.3).close()


# The hosts


def secrets(environment: Environment) -> dict[str, str]:
    """Every secret of the environment with 8 characters or more, by its path; of private keys, one line."""
    vault = environment.vault()

    def paths(folder: str) -> list[str]:
        keys = vault.secrets.kv.v2.list_secrets(path=folder, mount_point="greenroom")["data"]["keys"]
        return [path for key in keys for path in (paths(folder + key) if key.endswith("/") else [folder + key])]

    found: dict[str, str] = {}
    for path in paths(f"{environment.name}/"):
        data: dict[str, Any] = environment.secret(path.removeprefix(f"{environment.name}/"))
        for key in ("password", "value", "values", "private_key"):
            for number, value in enumerate(str(data.get(key, "")).split(",")):
                line = value.strip().splitlines()[1] if key == "private_key" and value else value
                if len(line) >= 8:
                    found[f"{path} {key} {number}"] = line
    return found


def test_no_secret_can_be_read_on_a_host(staging: Environment) -> None:
    values = secrets(staging)
    assert len(values) >= 10
    # A value that every user can read, to prove that the search works.
    canary, place = uuid.uuid4().hex, "/run/greenroom-canary"
    program = SEARCH.format(values=values | {"canary": canary})
    staging.ask("app1", f"umask 022; echo {canary} > {place}")
    try:
        for host in staging.hosts:
            expected = {place: ["canary"]} if host == "app1" else {}
            assert json.loads(staging.python(host, program)) == expected, host
    finally:
        staging.ask("app1", f"rm -f {place}")


def test_containers_have_no_more_rights_than_they_need(staging: Environment) -> None:
    seen = 0
    for host in (*staging.groups["app"], *staging.groups["ops"]):
        for container in json.loads(staging.python(host, CONTAINERS)):
            name = f"{host} {container['Name']}"
            assert int(container["Config"]["User"].split(":")[0]) >= 1000, name
            assert container["HostConfig"]["ReadonlyRootfs"] is True, name
            assert not container["EffectiveCaps"], name
            assert not container["BoundingCaps"], name
            assert "no-new-privileges" in str(container["HostConfig"]["SecurityOpt"]), name
            assert "@sha256:" in container["ImageName"], name
            seen += 1
    assert seen >= 5
