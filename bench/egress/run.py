# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Proves that nothing leaves staging but what is listed: `python -m bench.egress.run`.

Staging must have its guard (bench/egress/guard). Plants recipients on a network of this machine that stands for the
internet, and tries every route from every place, with the guard and without its rules, which are back in any case.
Writes reports/egress.txt. Fails unless nothing arrived with the guard, everything without it, and every listed call.
"""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bench.egress import attempts

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
REPORT = ROOT / "reports/egress.txt"
NAMESPACE = "greenroom-internet"
LINK = "greenroom-net"
ADDRESSES = (attempts.LISTED, attempts.RESOLVER, attempts.FOREIGN)
RULES = """
table ip planted {
    chain prerouting {
        type nat hook prerouting priority -100;
        meta l4proto { tcp, udp } redirect to :9999
    }
}
"""
# Takes the guard's rules away, as somebody with root could: then the same attempts must arrive.
OPEN = """nft -f - <<'END'
flush chain inet greenroom egress_output
flush chain inet greenroom egress_prerouting
insert rule inet greenroom output accept
insert rule inet greenroom forward iifname "podman*" accept
END
"""
CLOSE = "nft -f /etc/nftables.conf"
ONCE = (
    "podman run --rm --interactive --network {network} --entrypoint python3 "
    "$(podman inspect --format '{{{{.ImageName}}}}' portal-{slot}) -"
)
# How a place starts the attempts, which it reads from its input.
PLACES = {
    "app": ("app1", "python3 -"),
    "data": ("data1", "python3 -"),
    "ops": ("ops1", "python3 -"),
    "edge": ("edge1", "python3 -"),
    "service": ("app1", "podman exec --interactive portal-{slot} python3 -"),
    "worker": ("app1", "podman exec --interactive portal-worker-{slot} python3 -"),
    "once": ("app1", ONCE.replace("{network}", "greenroom-{slot}")),
    "hostnet": ("app1", ONCE.replace("{network}", "host")),
    "cron": ("app1", "systemd-run --quiet --pipe --wait python3 -"),
}
# Containers have no raw sockets.
NOT_ROOT = {(place, "ICMP") for place in ("service", "worker", "once", "hostnet")}
PARALLEL = 50
BUDGET = 20
CALLS = f"""
import socket, ssl, threading
def call(number):
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols([f"GR{{number}}xbudgetz"])
    try:
        with socket.create_connection(("few.proof.test", 443), 30) as made:
            context.wrap_socket(made, server_hostname="few.proof.test")
    except OSError:
        pass
threads = [threading.Thread(target=call, args=(number,)) for number in range({PARALLEL})]
for thread in threads: thread.start()
for thread in threads: thread.join()
"""


def ask(host: str, script: str) -> str:
    """Run a shell script as root on a host, and return its output."""
    words = [str(ROOT / "lab/lab"), "ssh", f"staging/{host}", "sudo", "sh", "-s"]
    done = subprocess.run(words, input=script, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{host}: {done.stdout}{done.stderr}")
    return done.stdout


def ip(*words: str, check: bool = True) -> None:
    """Run `ip`."""
    subprocess.run(["ip", *words], check=check, capture_output=True)


def remove() -> None:
    """Remove the planted network."""
    ip("link", "delete", LINK, check=False)
    ip("netns", "delete", NAMESPACE, check=False)


@contextlib.contextmanager
def planted() -> Iterator[Path]:
    """Plant recipients outside the environment; a file has what arrives."""
    remove()
    with tempfile.TemporaryDirectory() as folder:
        arrived = Path(folder) / "arrived"
        arrived.touch()
        try:
            ip("netns", "add", NAMESPACE)
            ip("link", "add", LINK, "type", "veth", "peer", "name", "eth0", "netns", NAMESPACE)
            ip("address", "add", "198.19.200.1/24", "dev", LINK)
            ip("link", "set", LINK, "up")
            ip("-n", NAMESPACE, "link", "set", "lo", "up")
            ip("-n", NAMESPACE, "link", "set", "eth0", "up")
            for address in ADDRESSES:
                ip("-n", NAMESPACE, "address", "add", f"{address}/24", "dev", "eth0")
            ip("-n", NAMESPACE, "route", "add", "default", "via", "198.19.200.1")
            inside = ["ip", "netns", "exec", NAMESPACE]
            subprocess.run([*inside, "nft", "-f", "-"], input=RULES, text=True, check=True)
            with subprocess.Popen([*inside, sys.executable, str(HERE / "recipient.py"), str(arrived)]) as recipient:
                try:
                    time.sleep(1)
                    yield arrived
                finally:
                    recipient.kill()
        finally:
            remove()


def attempt(arrived: Path, slot: str) -> tuple[set[tuple[str, str]], set[str]]:
    """Try every route in every place; return (place, route) of what escaped, and who reached the listed name."""
    arrived.write_text("")

    def go(place: str) -> None:
        host, command = PLACES[place]
        program = (HERE / "attempts.py").read_text().replace("main(sys.argv[1])", f"main({place!r})")
        ask(host, f"{command.format(slot=slot)} <<'END'\n{program}\nEND\n")

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(go, PLACES))
    time.sleep(1)
    names = list(attempts.ROUTES)
    foreign, listed = set(), set()
    for line in arrived.read_text().splitlines():
        token, address = line.split()
        number, _, place = token.removeprefix("GR").removesuffix("z").partition("x")
        if address == attempts.LISTED:
            listed.add(place)
        else:
            foreign.add((place, names[int(number)]))
    return foreign, listed


@contextlib.contextmanager
def opened() -> Iterator[None]:
    """Take the guard's rules away from the hosts, and put them back at the end in any case."""
    with contextlib.ExitStack() as stack:
        for host in sorted({host for host, _ in PLACES.values()}):
            stack.callback(ask, host, CLOSE)
            ask(host, OPEN)
        yield


def parallel(arrived: Path) -> int:
    """Return how many of PARALLEL calls arrived at a target with a budget."""
    arrived.write_text("")
    ask("app1", f"python3 - <<'END'\n{CALLS}\nEND\n")
    time.sleep(1)
    return len(arrived.read_text().splitlines())


def refused() -> int:
    """Return how many packets and calls the firewalls and the guard have refused, as they count them."""
    packets = 0
    for host in sorted({host for host, _ in PLACES.values()}):
        counted = re.search(r"packets (\d+)", ask(host, "nft list counter inet greenroom egress_refused"))
        packets += int(counted[1]) if counted else 0
    lines = ask("ops1", "journalctl --quiet --output=cat --since=-1h --unit=greenroom-egress").splitlines()
    return packets + sum('"reason":"none"' not in line for line in lines if line.startswith('{"reason"'))


def main() -> int:
    """Run the proof and return the exit code."""
    running = ask("app1", "podman ps --format '{{.Names}}'").split()
    slot = next((name.rpartition("-")[2] for name in running if name.startswith("portal-worker-")), "")
    if not slot or "egress_refused" not in ask("app1", "nft list table inet greenroom"):
        sys.exit("Staging has no live slot or no egress guard. Run site.yml with -i bench/egress/guard first.")
    every = {(place, route) for place in PLACES for route in attempts.ROUTES} - NOT_ROOT
    with planted() as arrived:
        before = refused()
        closed, listed = attempt(arrived, slot)
        visible = refused() - before
        ask("ops1", "systemctl restart greenroom-egress")
        passed = parallel(arrived)
        ask("ops1", "systemctl reload greenroom-egress && sleep 3")
        again = parallel(arrived)
        ask("ops1", "systemctl stop greenroom-egress")
        try:
            stopped, _ = attempt(arrived, slot)
        finally:
            ask("ops1", "systemctl start greenroom-egress")
        with opened():
            open_, _ = attempt(arrived, slot)
        after, _ = attempt(arrived, slot)
    checks = {
        f"With the guard, none of {len(every)} attempts reached a foreign recipient": not closed,
        f"Each place reached the listed name ({len(listed)} of {len(PLACES)})": listed == set(PLACES),
        f"Refusals were counted ({visible})": visible > len(every) // 2,
        f"Of {PARALLEL} parallel calls, {passed} passed; the budget is {BUDGET}": passed == BUDGET,
        f"After a reload, {again} more passed": again == 0,
        "With the guard stopped, none reached a foreign recipient": not stopped,
        f"Without the rules, {len(open_ & every)} of {len(every)} reached it": every <= open_,
        "With the rules back, none reached it": not after,
    }
    lines = [f"{'ok    ' if good else 'FAILED'} {what}" for what, good in checks.items()]
    lines += ["", "Route: places whose attempt arrived, with the guard and without its rules"]
    for route in attempts.ROUTES:
        arrivals = [sum((place, route) in found for place in PLACES) for found in (closed, open_)]
        lines.append(
            f"  {route}: {arrivals[0]} and {arrivals[1]} of {sum((place, route) in every for place in PLACES)}"
        )
    lines += ["", f"Places: {', '.join(PLACES)}. Containers have no raw sockets, so they can't try ICMP."]
    for place, route in sorted(closed | stopped | after):
        lines.append(f"Escaped: {route} from {place}")
    for place, route in sorted(every - open_):
        lines.append(f"Did not arrive without the rules: {route} from {place}")
    REPORT.parent.mkdir(exist_ok=True)
    REPORT.write_text("\n".join(lines) + "\n")
    print("\n".join(lines))
    return 0 if all(checks.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
