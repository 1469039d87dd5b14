"""A real environment for tests: runs playbooks, runs scripts on hosts, sends public requests."""

from __future__ import annotations

import base64
import collections
import contextlib
import datetime
import functools
import json
import os
import re
import shlex
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.client import HTTPException, HTTPSConnection
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import hvac
import yaml

from bench import tasks
from bench.common import descendants
from bench.tasks import Task
from tests import warm_start

ROOT = Path(__file__).resolve().parents[2]
CHANGED = re.compile(r"^(\S+)\s+: ok=(\d+)\s+changed=(\d+)\s+unreachable=(\d+)\s+failed=(\d+)", re.M)
# Sends a request on a host and prints the response.
ASK = """
import urllib.request
request = urllib.request.Request({url!r}, {body!r}, method={method!r}, headers={{"Content-Type": "application/json"}})
print(urllib.request.urlopen(request).read().decode() or "null")
"""
# The same for a list in pages. Links have the public address, so only their page tokens are used.
ASK_PAGES = """
import json, re, urllib.request
mark, whole = "", []
while True:
    answer = urllib.request.urlopen({url!r} + "?page_size=500" + mark)
    whole += json.load(answer)
    following = re.search(r'<[^>]*[?&]page_token=([^&>]+)[^>]*>; *rel="next"', answer.headers.get("Link") or "")
    if following is None:
        break
    mark = "&page_token=" + following[1]
print(json.dumps(whole))
"""
# Timeout of a response. It is long because all hosts share one machine, which may be slow.
TIMEOUT_SECONDS = 20
# Timeout of a run, enough even if the machine is four times as slow as usual.
LONGEST_RUN = 1200
# Tests search for tasks and their order, so they need the full output.
ALL_OF_IT = {"ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.default"}
# ANSIBLE_SSH_RETRIES of a run with a host that stays down, to avoid three attempts.
ONE_TRY = "0"
# Playbooks that change nothing.
ASKING = ("playbooks/status.yml",)
# Playbooks that deploy a release, and the release that tests deploy in addition to the inventory's own.
DEPLOYING = ("site.yml", "playbooks/deploy.yml")
OFFER = ("-e", "release_name=1.1")
# Whether a slot is ready to serve: its services run and respond, and it has no planned stop.
READY = """
systemctl is-active -q portal-{slot} kratos-{slot} && [ ! -e /run/greenroom/stop/plan.fact ] || exit 1
python3 - <<'END'
import time, urllib.request
end = time.monotonic() + 60
for place in ("{portal}/readyz", "{kratos}/health/ready"):
    while True:
        try:
            urllib.request.urlopen("http://127.0.0.1:" + place, timeout=5)
            break
        except OSError:
            # It may still be starting.
            assert time.monotonic() < end
            time.sleep(0.5)
END
"""
READY_PORTS = {"blue": {"portal": 18080, "kratos": 14433}, "green": {"portal": 28080, "kratos": 24433}}
ERROR = re.compile(r"^\[ERROR\]: (.*?)\n(?:Origin: |\n|fatal: )", re.M | re.S)


@functools.cache
def connections() -> tempfile.TemporaryDirectory[str]:
    """The folder of the tests' own connections to hosts, which end a minute after their last use."""
    return tempfile.TemporaryDirectory(prefix="ssh-")


@dataclass
class Run:
    """One finished run of a playbook."""

    code: int
    output: str
    ssh: collections.Counter[str] = field(default_factory=collections.Counter)
    tasks: list[Task] = field(default_factory=list)
    # CPU time on the controller, in seconds.
    cpu: float = 0

    @property
    def errors(self) -> str:
        """The run's error messages, without their location in the playbooks."""
        return "\n".join(ERROR.findall(self.output))

    @property
    def changed(self) -> dict[str, int]:
        """Changed tasks, by host."""
        return {match[1]: int(match[3]) for match in CHANGED.finditer(self.output)}

    @property
    def quiet(self) -> bool:
        """Whether it succeeded and changed nothing."""
        return self.code == 0 and bool(self.changed) and not any(self.changed.values())

    @property
    def summary(self) -> str:
        """The summary at its end."""
        _, found, text = self.output.rpartition("Print the summary")
        assert found, self.output
        return text


def ran(command: list[str], log: Path, variables: dict[str, str], timeout: float = LONGEST_RUN) -> Run:
    """Run a playbook; its `ssh` counts the lines that the replacement for ssh has written to `log`.

    Only `Environment.start` starts the program itself, which tests interrupt and kill.
    """
    _program, *words = command
    settings = {**os.environ, **ALL_OF_IT, **variables}
    done = warm_start.run(words, ROOT, settings, merged=True, longest=timeout, modules=False)
    return Run(done.returncode, done.stdout, collections.Counter(log.read_text().splitlines()), cpu=done.seconds)


class Environment:
    """An environment, as the controller sees it."""

    def __init__(self, name: str = "staging", say: Callable[[str], None] = print) -> None:
        self.name = name
        self.say = say
        self._passwords: dict[str, str] = {}
        self.access = ROOT / ".access" / name
        hosts = yaml.safe_load((ROOT / f"inventories/{name}/hosts.yml").read_text())
        self.groups: dict[str, dict[str, str]] = {
            group: {host: values["ansible_host"] for host, values in members["hosts"].items()}
            for group, members in hosts[name]["children"].items()
        }
        self.hosts = {host: address for members in self.groups.values() for host, address in members.items()}
        self.public_name = f"portal.{name}.greenroom.test"
        self.edges = list(self.groups["edge"])
        edge = yaml.safe_load((ROOT / f"inventories/{name}/group_vars/{name}/edge.yml").read_text())
        # The shared address, which one edge host has at a time.
        self.address: str = edge["keepalived_address"]
        self.began = datetime.datetime.now(datetime.UTC).isoformat()
        # The last run of site.yml without options, and whether a host may have changed since.
        self.last = Run(0, "")
        self.touched = True
        # Hashes of bundles of the tests' release, from successful runs.
        self.offers: set[str] = set()

    # Running playbooks

    def command(self, playbook: str, *arguments: str, inventory: Path | None = None) -> list[str]:
        """The command line that an operator would type."""
        return ["ansible-playbook", "-i", str(inventory or f"inventories/{self.name}"), playbook, *arguments]

    def play(
        self,
        playbook: str,
        *arguments: str,
        timeout: float = LONGEST_RUN,
        inventory: Path | None = None,
        **variables: str,
    ) -> Run:
        """Run a playbook; count its tasks, and its SSH processes by host.

        `inventory` replaces the environment's own; `variables` are additional environment variables.
        """
        if "--check" not in arguments and playbook not in ASKING:
            self.touched = True
        log = ROOT / ".access" / f"ssh-{uuid.uuid4().hex}.log"
        log.touch()
        noted = log.with_suffix(".tasks")
        start = time.monotonic()
        try:
            run = ran(
                self.command(playbook, *arguments, inventory=inventory),
                log,
                {
                    **tasks.noted_in(noted),
                    "ANSIBLE_SSH_EXECUTABLE": str(ROOT / "tests/real/ssh_counter"),
                    "GREENROOM_SSH_LOG": str(log),
                    **variables,
                },
                timeout,
            )
            run.tasks = tasks.read(noted, start)
        finally:
            log.unlink()
            noted.unlink(missing_ok=True)
        names = {address: host for host, address in self.hosts.items()}
        run.ssh = collections.Counter({names.get(place, place): count for place, count in run.ssh.items()})
        self.say(
            f"{playbook} {' '.join(arguments)}: exit code {run.code}, changed {sum(run.changed.values())}, "
            f"{time.monotonic() - start:.0f} s, {run.cpu:.0f} s of CPU time"
        )
        if run.code == 0 and inventory is None and not variables:
            self._note(run, playbook, arguments)
        return run

    def call(self, hosts: str, module: str, **arguments: Any) -> dict[str, dict[str, Any]]:
        """Call a module on hosts, as root; return its result by host."""
        play = {"hosts": hosts, "gather_facts": False, "become": True, "tasks": [{module: arguments}]}
        with tempfile.NamedTemporaryFile("w", suffix=".yml") as file:
            file.write(yaml.safe_dump([play]))
            file.flush()
            run = self.play(file.name, ANSIBLE_STDOUT_CALLBACK="ansible.posix.json")
        assert "{" in run.output, run.output
        answer, _end = json.JSONDecoder().raw_decode(run.output[run.output.index("{") :])
        found: dict[str, dict[str, Any]] = answer["plays"][0]["tasks"][0]["hosts"]
        return found

    def says_where_to_look(self, run: Run, release: str) -> bool:
        """Whether a run's summary has the live slot, its release, and the URL."""
        words = (f"https://{self.public_name}", f"live slot: {self.live()}, release {release}")
        return all(word in run.summary for word in words)

    def _note(self, run: Run, playbook: str, arguments: tuple[str, ...]) -> None:
        """Record the result of a successful run."""
        if (playbook, arguments) == ("site.yml", ()):
            self.last, self.touched = run, False
        elif arguments == OFFER and playbook in DEPLOYING:
            self.remember_offer(self.live() if playbook == "site.yml" else self.idle())

    def remember_offer(self, slot: str) -> None:
        """Record the slot's bundles as those of the tests' release."""
        self.offers |= {self.bundle(host, slot)["hash"] for host in self.groups["app"]}

    def converge(self, *arguments: str) -> Run:
        """Run site.yml; it must succeed."""
        run = self.play("site.yml", *arguments)
        assert run.code == 0, run.output
        return run

    def rest(self) -> Run:
        """Converge the environment if a host may have changed; return the last run of site.yml."""
        return self.converge() if self.touched else self.last

    def offer(self) -> None:
        """Deploy release 1.1 to the idle slot, unless it is ready there without a planned stop."""
        idle = self.idle()
        ready = READY.format(slot=idle, **READY_PORTS[idle])
        for host in self.groups["app"]:
            known = self.bundle(host, idle).get("hash") in self.offers
            if not known or self.ask(host, ready, check=False).returncode != 0:
                run = self.play("playbooks/deploy.yml", *OFFER)
                assert run.code == 0, run.output
                break

    def go_back(self, slot: str) -> Run:
        """Cut over to a slot that is up."""
        run = self.play("playbooks/cutover.yml", "-e", f"to={slot}")
        assert run.code == 0, run.output
        assert self.live() == slot
        return run

    def start(self, playbook: str, *arguments: str, output: Path, **variables: str) -> subprocess.Popen[bytes]:
        """Start a playbook in its own process group; `variables` are additional environment variables."""
        self.say(f"{playbook} {' '.join(arguments)}: started")
        self.touched = True
        with output.open("wb") as file:
            return subprocess.Popen(
                self.command(playbook, *arguments),
                cwd=ROOT,
                env={**os.environ, **ALL_OF_IT, **tasks.noted_in(output.with_suffix(".tasks")), **variables},
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @staticmethod
    def begun(output: Path) -> int:
        """The number of tasks that a run with this output has started."""
        return len(tasks.read(output.with_suffix(".tasks")))

    def power(self, verb: str, host: str) -> None:
        """Stop, start, restart, pause or unpause a host, as a power button would."""
        self.say(f"{verb} {host}")
        self.touched = True
        self.hang_up(host)
        # Vault and the registry belong to no environment.
        command = ["lab/lab", verb, host if host == "control1" else f"{self.name}/{host}"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    def boot(self, host: str) -> None:
        """Start a host, and wait until it accepts logins: sshd answers before systemd lets users in."""
        self.power("start", host)
        until(lambda: self.ask(host, "true", check=False).returncode == 0, 120, f"{host} accepts logins")

    @contextlib.contextmanager
    def gone(self, *hosts: str) -> Iterator[None]:
        """Hosts that answer nothing: their connections hang."""
        paused = []
        try:
            for host in hosts:
                self.power("pause", host)
                paused.append(host)
            yield
        finally:
            for host in paused:
                self.power("unpause", host)

    # Asking hosts

    def ssh_command(self, host: str, command: str, through: str = "") -> list[str]:
        """The command that runs `command` on a host: with the tests' connection to it, or through another host.

        A login costs ten times as much as a command over a connection that is open, also on the host.
        """
        options = ["-i", str(self.access / "ssh_key"), "-o", f"UserKnownHostsFile={self.access / 'known_hosts'}"]
        options += ["-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes", "-o", "ConnectTimeout=30"]
        if through:
            relay = f"exec 3<>/dev/tcp/{self.hosts[host]}/22; cat <&3 & cat >&3; kill $!"
            options += ["-o", "ProxyCommand=" + shlex.join(self.ssh_command(through, f"bash -c '{relay}'"))]
        else:
            options += ["-o", "ControlMaster=auto", "-o", "ControlPersist=60"]
            options += ["-o", f"ControlPath={self._socket(host)}"]
        return ["ssh", *options, f"operator@{self.hosts[host]}", command]

    def _socket(self, host: str) -> str:
        """The place of the tests' connection to a host."""
        return f"{connections().name}/{self.name}-{host}"

    def hang_up(self, host: str) -> None:
        """Close the tests' connection to a host, if there is one."""
        command = ["ssh", "-O", "exit", "-o", f"ControlPath={self._socket(host)}", host]
        subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False)

    def ask(
        self, host: str, script: str, check: bool = True, timeout: float = 300, through: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Run a shell script on a host as root that doesn't change what site.yml manages."""
        done = subprocess.run(
            self.ssh_command(host, "sudo sh -s", through),
            input=script,
            check=False,
            capture_output=True,
            text=True,
            timeout=timeout,
        )
        assert done.returncode == 0 or not check, f"{host}: {done.stdout}{done.stderr}"
        return done

    def ssh(
        self, host: str, script: str, check: bool = True, timeout: float = 300, through: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Run a shell script on a host as root that may change the host."""
        self.touched = True
        return self.ask(host, script, check, timeout, through)

    def ssh_now(self, host: str, script: str) -> str | None:
        """The output of a read-only shell script on a host, or None if the host doesn't respond in time."""
        try:
            done = self.ask(host, script, check=False, timeout=TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            return None
        return done.stdout if done.returncode != 255 else None

    def python(self, host: str, program: str) -> str:
        """Run a read-only Python program on a host as root; return its output."""
        return self.ask(host, f"python3 - <<'END'\n{program}\nEND\n").stdout

    def kratos_admin(self) -> str:
        """URL of the admin API of the live slot's Kratos, on an app host."""
        port = {"blue": 14434, "green": 24434}[self.live()]
        return f"http://127.0.0.1:{port}/admin"

    def kratos(self, path: str, method: str = "GET", body: Any = None) -> Any:
        """Send a request to the admin API of the live slot's Kratos; return the response."""
        given = None if body is None else json.dumps(body).encode()
        return json.loads(self.python("app1", ASK.format(url=self.kratos_admin() + path, body=given, method=method)))

    def identities(self) -> list[dict[str, Any]]:
        """All identities in the live slot's Kratos."""
        program = ASK_PAGES.format(url=self.kratos_admin() + "/identities")
        found: list[dict[str, Any]] = json.loads(self.python("app1", program))
        return found

    def serves(self, edge: str) -> bool:
        """Whether an edge host responds and has the shared address."""
        return f" {self.address}/" in (self.ssh_now(edge, "ip -4 -brief address") or "")

    def health(self, host: str) -> set[str]:
        """What the edge hosts' HAProxy says of an app host's servers, such as UP and DOWN."""
        ask = (
            "import socket; s = socket.socket(socket.AF_UNIX); s.connect('/run/haproxy/admin.sock'); "
            "s.sendall(b'show stat -1 4 -1\\n'); print(b''.join(iter(lambda: s.recv(65536), b'')).decode())"
        )
        rows = [line.split(",") for edge in self.groups["edge"] for line in self.python(edge, ask).splitlines()]
        return {row[17].split()[0] for row in rows if row[1:2] == [host]}

    def active_edge(self) -> str:
        """The edge host that has the shared address. Waits, because two or none may have it while it moves."""

        def holders() -> list[str]:
            found = [edge for edge in self.edges if self.serves(edge)]
            return found if len(found) == 1 else []

        return str(until(holders, 60, f"one edge host has {self.address}")[0])

    def state(self, edge: str = "") -> dict[str, Any]:
        """The state file of an edge host; by default, of the first one that responds."""

        def told() -> str:
            # A host that has just started, or is busy, needs some time.
            show = "cat /var/lib/greenroom/edge/state.json"
            return next(filter(None, (self.ssh_now(host, show) for host in ([edge] if edge else self.edges))), "")

        result: dict[str, Any] = json.loads(until(told, 60, f"{edge or 'an edge host'} responds"))
        return result

    def live(self) -> str:
        """The live slot."""
        return str(self.state()["live"])

    def idle(self) -> str:
        """The idle slot."""
        return other(self.live())

    def bundle(self, host: str, slot: str) -> dict[str, Any]:
        """The manifest of a slot's bundle on a host; empty if there is none."""
        text = self.ask(host, f"cat /etc/greenroom/slots/{slot}/bundle.json", check=False).stdout
        result: dict[str, Any] = json.loads(text or "{}")
        return result

    def release(self) -> str:
        """The live slot's release, from its bundles."""
        live = self.live()
        (name,) = {self.bundle(host, live)["metadata"]["release"] for host in self.groups["app"]}
        return str(name)

    def processes(self, slot: str) -> dict[tuple[str, str], str]:
        """Main process ID of every service of a slot, by host and unit."""
        found = {}
        for host in self.groups["app"]:
            listing = self.ask(
                host, f"systemctl show -p Id -p MainPID -p ExecMainStartTimestampMonotonic '*-{slot}.service'"
            ).stdout
            for block in listing.strip().split("\n\n"):
                values = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
                if values.get("MainPID", "0") != "0":
                    found[host, values["Id"]] = f"{values['MainPID']}@{values['ExecMainStartTimestampMonotonic']}"
        return found

    # Secrets

    def vault(self) -> hvac.Client:
        """A Vault client with the environment's own rights."""
        settings = yaml.safe_load(
            (ROOT / f"inventories/{self.name}/group_vars/{self.name}/vault-server.yml").read_text()
        )
        client = hvac.Client(url=settings["secrets_url"], verify=str(self.access / "ca.crt"))
        client.auth.approle.login(
            (self.access / "vault-role-id").read_text().strip(), (self.access / "vault-secret-id").read_text().strip()
        )
        return client

    def secret(self, path: str) -> dict[str, Any]:
        """A secret, by its path below the environment's."""
        answer = self.vault().secrets.kv.v2.read_secret_version(
            path=f"{self.name}/{path}", mount_point="greenroom", raise_on_deleted_version=True
        )
        data: dict[str, Any] = answer["data"]["data"]
        return data

    def password(self, name: str) -> str:
        """A password of the environment, read once."""
        if name not in self._passwords:
            self._passwords[name] = self.secret(f"environment/value/{name}")["value"]
        return self._passwords[name]

    # Public requests

    def connection(self, edge: str = "") -> HTTPSConnection:
        """A TLS connection with the public name, to the shared address or to the edge host `edge`."""
        context = ssl.create_default_context(cafile=str(self.access / "ca.crt"))
        address = self.hosts[edge] if edge else self.address
        connection = HTTPSConnection(self.public_name, timeout=TIMEOUT_SECONDS, context=context)
        connection._create_connection = lambda _, *args, **kwargs: socket.create_connection(  # type: ignore[attr-defined]
            (address, 443), *args, **kwargs
        )
        return connection

    def get(self, path: str, slot: str = "", edge: str = "") -> tuple[int, dict[str, str], str]:
        """Send a GET request; return status, headers (lowercase names) and body. `slot` sets the request's header.

        `edge` is the edge host to send it to, instead of the active one.
        """
        headers = {"Authorization": self.authorization()} | ({"X-Greenroom-Slot": slot} if slot else {})
        connection = self.connection(edge)
        try:
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read().decode()
        finally:
            connection.close()

    def authorization(self) -> str:
        """The Authorization header for the edge's password."""
        password = self.password("visitor")
        return "Basic " + base64.b64encode(f"visitor:{password}".encode()).decode()


class Probe:
    """Sends requests to the public address continuously, and records every response that is not 200."""

    def __init__(self, environment: Environment, path: str = "/version", every: float = 0.1) -> None:
        self.environment = environment
        self.headers = {"Authorization": environment.authorization()}
        self.path = path
        self.every = every
        self.asked = 0
        self.failures: list[str] = []
        self.slots: collections.Counter[str] = collections.Counter()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._ask, daemon=True)

    def _ask(self) -> None:
        while not self._end.wait(self.every):
            self.asked += 1
            connection = self.environment.connection()
            try:
                connection.request("GET", self.path, headers=self.headers)
                answer = connection.getresponse()
                answer.read()
                self.slots[answer.headers.get("X-Greenroom-Slot", "none")] += 1
                if answer.status != 200:
                    self.failures.append(f"{time.strftime('%T')} status {answer.status}")
            except (OSError, HTTPException) as error:
                self.failures.append(f"{time.strftime('%T')} {error!r}")
            finally:
                connection.close()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.set()
        self._thread.join()


def other(slot: str) -> str:
    """The other slot."""
    return "green" if slot == "blue" else "blue"


def until(condition: Callable[[], Any], seconds: float, what: str) -> Any:
    """Poll until a condition is true and return its value; fail after `seconds`."""
    end = time.monotonic() + seconds
    while True:
        began = time.monotonic()
        if result := condition():
            return result
        now = time.monotonic()
        assert now < end, f"not within {seconds} s: {what}"
        # What is waited for needs the CPU, too.
        time.sleep(max(0.2, min(now - began, 2)))


def kill(process: subprocess.Popen[bytes]) -> None:
    """Kill a run and all its children at once, as a crash of the controller would.

    Ansible's workers have their own sessions, so killing the process group isn't enough.
    """
    os.kill(process.pid, signal.SIGSTOP)
    for child in [process.pid, *descendants(process.pid)]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
    process.wait()
