# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Measures a run that changes nothing against the usual way: Ansible loops, the same tuned, and pyinfra.

    make bench-site [ROUNDS=3]

Takes what Greenroom put on staging's hosts, writes it down as an ordinary project's templates and lists, lets all ways
take turns on the same hosts, and checks after each that nothing was changed there: same files by content and rights,
same units, none restarted. What was taken contains secrets: it lies in a private folder outside the checkout that is
removed at the end. Writes bench/site/README.md. Needs a converged staging environment.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import re
import signal
import statistics
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from bench import common
from bench.common import ROOT, Run, playbook, run, say, seconds_list, table, verdict

HERE = Path(__file__).resolve().parent
README = """\
# A run that changes nothing, against the usual way

Wanted: `site.yml` on a converged environment changes nothing, takes 20 s or less on two cores and at most 12 ssh
processes a host on average, none more than 20; it is 5 times faster than the usual way, and faster than pyinfra.

{result}

| wanted | found | |
| --- | --- | --- |
{aims}

Measured on {machine}, with the lab's {hosts} hosts on the same
machine; medians of {rounds} rounds in which the ways took turns, each with fresh connections. Again, with staging
converged (about {minutes:.0f} minutes):

    make bench-site

## What is compared

All ways hold the same end state: {packages} packages, {folders} folders, {files} files and {units} units, counted over
all hosts. It was compared before and after each run: content, owner and mode of each file and folder, state and
invocation of each unit.

- `site.yml` does more than the others: it validates, reads Vault and the registry, holds the run lock, keeps databases,
  logins and people, and checks the live slot as the public.
- [configure.yml](configure.yml) leaves out people and the checks as the public, and nothing else.
- [tree.yml](tree.yml) is the like for like: the same lists of packages, files and units as the ways below get, by
  `apt` and one call of `template_tree`.
- [usual.yml](usual/usual.yml): `template`, `apt` and `systemd_service` in loops, with Ansible's defaults (facts, no
  pipelining, 5 forks). One short play, which is kinder to this way than roles in a row would be.
- [tuned.yml](usual/tuned.yml): pipelining, no facts, 50 forks, packages in one call, a pinned interpreter.
- [pyinfra](pyinfra_deploy/deploy.py), with hosts that need not wait for each other (`--no-wait`). It keeps one
  connection of its own to each host, so no ssh processes are counted.

The files of the other ways are written from those on the hosts: they need no variables and cost less to render than
real templates. None of the other ways reads a secret or looks at a database.
"""


@dataclass
class Way:
    """One way to hold the end state, and what its runs took."""

    title: str
    start: Callable[[], Run]
    changed: Callable[[Run], int]
    runs: list[Run] = field(default_factory=list)

    @property
    def median(self) -> float:
        """Median of the runs' seconds."""
        return statistics.median(run.seconds for run in self.runs)


def capture() -> dict[str, Any]:
    """Return what lies on each host, as read_host.py tells it, with the host's packages."""
    with tempfile.TemporaryDirectory(prefix="greenroom-") as folder:
        playbook("bench/site/capture.yml", "-e", f"capture_folder={folder}")
        return {path.stem: json.loads(path.read_text()) for path in sorted(Path(folder).iterdir())}


def template(content: bytes) -> str:
    """Return a template that renders to `content`."""
    text = content.decode()
    return "{% raw %}" + text + "{% endraw %}" if re.search(r"\{[{%#]", text) else text


def desired(host: str, found: Mapping[str, Any], idle: str, folder: Path) -> dict[str, Any]:
    """Return the lists that the usual way goes through for a host, with templates written below `folder`.

    The idle slot is left out, because no run that changes nothing looks at it.
    """
    files: list[dict[str, str]] = []
    folders: dict[str, dict[str, str]] = {}
    for name, tree in found["trees"].items():
        if name in {f"edge-{idle}", f"slot-{idle}"}:
            continue
        folders |= tree["folders"]
        for path, file in tree["files"].items():
            source = folder / "templates" / host / f"{path.lstrip('/')}.j2"
            source.parent.mkdir(parents=True, exist_ok=True)
            source.write_text(template(base64.b64decode(file["content"])), newline="")
            files.append({"path": path, "src": str(source), **{key: file[key] for key in ("owner", "group", "mode")}})
    units = {
        name: unit["enabled"] == "enabled"
        for name, unit in found["units"].items()
        if unit["active"] == "active" and not name.endswith(f"-{idle}.service")
    }
    return {
        "usual_packages": found["packages"],
        "usual_folders": [{"path": path, **rights} for path, rights in sorted(folders.items())],
        "usual_files": files,
        "usual_units": [{"name": name, "enabled": enabled} for name, enabled in units.items()],
        # The same for template_tree. The units have loaded what lies there, and are not to be restarted for this.
        "tree_manifest": "/run/greenroom-bench-site.json",
        "tree_files": [{"dest": file["path"], **{key: file[key] for key in file if key != "path"}} for file in files],
        "tree_units": [
            {"name": name, "on_change": "none", "files": [], **({"enabled": True} if enabled else {})}
            for name, enabled in units.items()
        ],
    }


def write_project(state: Mapping[str, Any], folder: Path) -> dict[str, dict[str, Any]]:
    """Write the variables of the other ways below `folder`, and return them by host."""
    (live,) = {found["live"] for found in state.values() if found["live"]} or {"blue"}
    idle = "green" if live == "blue" else "blue"
    lists = {host: desired(host, found, idle, folder) for host, found in state.items()}
    inventory = folder / "inventory"
    (inventory / "host_vars").mkdir(parents=True)
    (inventory / "hosts.yml").write_text(yaml.safe_dump({"all": {"hosts": dict.fromkeys(lists)}}))
    for host, variables in lists.items():
        (inventory / "host_vars" / f"{host}.json").write_text(json.dumps(variables))
    access = Path(os.environ.get("GREENROOM_ACCESS") or ROOT / ".access" / common.ENVIRONMENT)
    login = {
        "ssh_user": "operator",
        "ssh_key": str(access / "ssh_key"),
        "ssh_known_hosts_file": str(access / "known_hosts"),
        "ssh_strict_host_key_checking": "yes",
        "_sudo": True,
    }
    addresses = host_addresses()
    (folder / "pyinfra.json").write_text(
        json.dumps({addresses[host]: {**login, **variables} for host, variables in lists.items()})
    )
    return lists


def host_addresses() -> dict[str, str]:
    """Return {host: address} of the environment."""
    environment = common.ENVIRONMENT
    groups = yaml.safe_load((ROOT / f"inventories/{environment}/hosts.yml").read_text())[environment]["children"]
    return {host: values["ansible_host"] for members in groups.values() for host, values in members["hosts"].items()}


def usual(name: str, folder: Path) -> Run:
    """Run one of the ordinary playbooks."""
    return playbook(
        HERE / f"usual/{name}.yml",
        "-i",
        str(folder / "inventory"),
        environment={"ANSIBLE_CONFIG": str(HERE / f"usual/{name}.cfg")},
    )


def tree(name: str, folder: Path) -> Run:
    """Run a playbook of this folder with the lists of the other ways."""
    return playbook(HERE / f"{name}.yml", "-i", str(folder / "inventory"))


def install_pyinfra(folder: Path) -> Path:
    """Install pyinfra into a virtual environment of its own, and return its program."""
    run([sys.executable, "-m", "venv", str(folder)])
    run([str(folder / "bin/pip"), "install", "--quiet", "--require-hashes", "-r", str(HERE / "requirements.txt")])
    return folder / "bin/pyinfra"


def pyinfra(program: Path, folder: Path, *options: str) -> Run:
    """Run the pyinfra deploy."""
    command = [str(program), "--yes", "--no-wait", *options, "inventory.py", "deploy.py"]
    return run(command, {"BENCH_PYINFRA": str(folder / "pyinfra.json")}, cwd=HERE / "pyinfra_deploy")


def pyinfra_errors(done: Run) -> int:
    """Count the operations that failed, by the last row of its last table: hosts, success, error, no change.

    Its successes are no changes: it sets the owner anew where that is a number without a name, as for what containers
    read. What lies on the hosts is compared after each run anyway.
    """
    found = re.findall(r"Grand total\s+(\S+)\s+(\S+)\s+(\S+)\s+(\S+)", done.output)
    if not found:
        sys.exit(f"No total in pyinfra's output:\n{done.output}")
    error = found[-1][2]
    return 0 if error == "-" else int(error)


def check_same(before: Mapping[str, Any], after: Mapping[str, Any], who: str) -> None:
    """End the program, naming paths and units, if a run changed anything on the hosts."""
    differences = []
    for host, found in before.items():
        for name, tree in found["trees"].items():
            now = after[host]["trees"].get(name, {"files": {}, "folders": {}})
            for kind in ("files", "folders"):
                differences += [f"{host}: {path}" for path in tree[kind] if tree[kind][path] != now[kind].get(path)]
        now = after[host]["units"]
        differences += [f"{host}: {unit}" for unit, shown in found["units"].items() if shown != now.get(unit)]
    if differences:
        sys.exit(f"{who} left another state:\n" + "\n".join(differences))


def measure(ways: Mapping[str, Way], rounds: int, state: Mapping[str, Any]) -> None:
    """Let the ways take turns; each has to leave everything as it was."""
    for number in range(1, rounds + 1):
        for way in ways.values():
            done = way.start()
            way.runs.append(done)
            say(f"round {number}, {way.title}: {done.seconds:.1f} s, {done.ssh.total()} ssh processes")
            if way.changed(done):
                sys.exit(f"{way.title} changed something, or failed:\n{done.output}")
            check_same(state, capture(), way.title)


def report(ways: Mapping[str, Way], lists: Mapping[str, Mapping[str, list[Any]]], rounds: int) -> bool:
    """Write README.md, print its tables, and return whether all aims were met."""
    hosts = len(lists)
    site = ways["site"]
    ours = {name: ways[name] for name in ("tree", "configure", "site")}
    rows = []
    for key, way in ways.items():
        counts = [way.runs[-1].ssh.total() / hosts, max(way.runs[-1].ssh.values(), default=0)]
        ssh = "-" if key == "pyinfra" else f"{counts[0]:.1f} on average, {counts[1]:.0f} at most"
        cells = [f"{way.median:.1f} s", seconds_list(run.seconds for run in way.runs), ssh]
        rows.append([way.title, *cells, *(f"{way.median / our.median:.1f}" for our in ours.values())])
    head = ["way", "median", "rounds", "ssh processes a host", *(f"to {our.title}" for our in ours.values())]
    average = max(run.ssh.total() / hosts for run in site.runs)
    most = max(max(run.ssh.values()) for run in site.runs)
    found = [
        ("`site.yml` takes 20 s or less", f"{site.median:.1f} s", site.median <= 20),
        ("12 ssh processes a host on average or fewer", f"{average:.1f}", average <= 12),
        ("20 ssh processes on any host or fewer", str(most), most <= 20),
        *(
            (f"{name} takes {wanted} {our.title}", f"{slower:.1f} times as long", slower > aim)
            for key, name, wanted, aim in (
                ("usual", "the usual way", "5 times as long as", 5),
                ("tuned", "the usual way, tuned,", "longer than", 1),
                ("pyinfra", "pyinfra", "longer than", 1),
            )
            for our in ours.values()
            for slower in [ways[key].median / our.median]
        ),
    ]
    result = table(head, rows)
    aims = "\n".join(f"| {wanted} | {value} | {verdict(met)} |" for wanted, value, met in found)
    print(f"{result}\n\n{aims}")
    counted = {kind: sum(len(variables[f"usual_{kind}"]) for variables in lists.values()) for kind in KINDS}
    minutes = (sum(run.seconds for way in ways.values() for run in way.runs) + 12 * rounds * len(ways)) / 60 + 1
    (HERE / "README.md").write_text(
        README.format(
            result=result,
            aims=aims,
            machine=common.machine(),
            hosts=hosts,
            rounds=rounds,
            minutes=minutes,
            **counted,
        )
    )
    return all(met for *_, met in found)


KINDS = ("packages", "folders", "files", "units")


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("Stopped."))
    with tempfile.TemporaryDirectory(prefix="greenroom-") as name:
        folder = Path(name)
        say("installing pyinfra, and converging staging")
        program = install_pyinfra(folder / "venv")
        playbook("site.yml")
        state = capture()
        lists = write_project(state, folder)
        ways = {
            "site": Way("`site.yml`", lambda: playbook("site.yml"), lambda done: done.changed),
            "configure": Way(
                "`configure.yml`", lambda: playbook("bench/site/configure.yml"), lambda done: done.changed
            ),
            "tree": Way("`tree.yml`", lambda: tree("tree", folder), lambda done: done.changed),
            "usual": Way("the usual way", lambda: usual("usual", folder), lambda done: done.changed),
            "tuned": Way("the usual way, tuned", lambda: usual("tuned", folder), lambda done: done.changed),
            "pyinfra": Way("pyinfra", lambda: pyinfra(program, folder), pyinfra_errors),
        }
        tree("tree", folder)
        try:
            measure(ways, options.rounds, state)
        finally:
            tree("clean", folder)
    if not report(ways, lists, options.rounds):
        sys.exit("An aim was missed: see the table.")


if __name__ == "__main__":
    main()
