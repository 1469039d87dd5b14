#!/usr/bin/env python3
# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Compares `template_tree` with a loop of ansible.builtin.template: 50 files, one host and five.

    bench/template_tree/run.py [--rounds 5] [--files 50]

Both ways use the project's ansible.cfg (pipelining, kept connections, no facts), take turns in each round, and must
leave the same files, compared by checksum, mode and owner. Writes bench/template_tree/README.md. Needs the lab's
staging hosts.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.common import machine

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parents[1]
HOSTS = {"one host": "app1", "five hosts": "staging"}
WAYS = {"loop": "loop.yml", "template_tree": "tree.yml"}
TEMPLATE = """\
# Part {number} on {{{{ inventory_hostname }}}}
listen = {{{{ ansible_host }}}}:{{{{ 9000 + {number} }}}}
{{% for peer in groups['all'] | sort %}}
peer.{{{{ loop.index }}}} = {{{{ hostvars[peer].ansible_host }}}}
{{% endfor %}}
{{% for option in range(20) %}}
option_{{{{ option }}}} = {{{{ (option * {number}) | string | b64encode }}}}
{{% endfor %}}
"""
README = """\
# template_tree compared with a loop of ansible.builtin.template

{files} templates, medians of {rounds} rounds, both ways in turn. Seconds are those of whole `ansible-playbook`
commands; the last column subtracts the time of an empty playbook. Both ways left the same files (checksum, mode,
owner) on all hosts.

| case | loop | template_tree | times faster | empty playbook | times faster without it |
| --- | --- | --- | --- | --- | --- |
{table}

Measured on {machine}, with the lab's hosts on the same machine, which had other work, too (highest load
average: {load:.0f}). To repeat this:

    make lab && bench/template_tree/run.py --rounds {rounds}

The two ways are [loop.yml](loop.yml) and [tree.yml](tree.yml), with the project's `ansible.cfg`: pipelining, kept
connections (ControlPersist), no facts.
"""


def play(book: str, hosts: str, **variables: str) -> float:
    """Run a playbook and return its seconds. Exits if it fails."""
    command = ["ansible-playbook", "-i", "inventories/staging", "--limit", hosts, str(HERE / book)]
    for name, value in variables.items():
        command += ["-e", f"{name}={value}"]
    environment = {**os.environ, "ANSIBLE_CONFIG": str(PROJECT / "ansible.cfg")}
    started = time.monotonic()
    done = subprocess.run(
        command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False, timeout=900
    )
    seconds = time.monotonic() - started
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
    return seconds


def state(hosts: str) -> dict[str, str]:
    """Return the state of the files on each host."""
    with tempfile.TemporaryDirectory() as folder:
        play("look.yml", hosts, bench_result=folder)
        return {path.stem: path.read_text() for path in Path(folder).iterdir()}


def measure(templates: str, hosts: str, rounds: int) -> dict[str, dict[str, list[float]]]:
    """Return the seconds of each round, by case and way. Exits if the two ways leave different files."""
    seconds: dict[str, dict[str, list[float]]] = {
        case: {way: [] for way in WAYS} for case in ("new files", "nothing changes")
    }
    seconds["empty playbook"] = {"start": []}
    play("nothing.yml", hosts)
    for number in range(1, rounds + 1):
        ends = {}
        seconds["empty playbook"]["start"].append(play("nothing.yml", hosts))
        for way, book in WAYS.items():
            play("clean.yml", hosts)
            for case in ("new files", "nothing changes"):
                seconds[case][way].append(play(book, hosts, bench_templates=templates))
                print(f"  {hosts}, round {number}, {case}, {way}: {seconds[case][way][-1]:.1f} s", flush=True)
            ends[way] = state(hosts)
        if ends["loop"] != ends["template_tree"] or not all("checksum" in text for text in ends["loop"].values()):
            sys.exit("The two ways left different files.")
    play("clean.yml", hosts)
    return seconds


def main() -> None:
    """Run the benchmark and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--files", type=int, default=50)
    options = parser.parse_args()
    rows, worst, load = [], float("inf"), 0.0
    with tempfile.TemporaryDirectory() as folder:
        for number in range(1, options.files + 1):
            (Path(folder) / f"part-{number:02}.conf.j2").write_text(TEMPLATE.format(number=number))
        for name, hosts in HOSTS.items():
            seconds = measure(folder, hosts, options.rounds)
            start = statistics.median(seconds.pop("empty playbook")["start"])
            load = max(load, os.getloadavg()[0])
            for case, ways in seconds.items():
                loop, tree = (statistics.median(ways[way]) for way in WAYS)
                worst = min(worst, loop / tree)
                net = (loop - start) / max(tree - start, 0.01)
                rows.append(
                    f"| {name}, {case} | {loop:.1f} s | {tree:.1f} s | {loop / tree:.0f} | {start:.1f} s | {net:.0f} |"
                )
    table = "\n".join(rows)
    print(table)
    (HERE / "README.md").write_text(
        README.format(table=table, machine=machine(), load=load, files=options.files, rounds=options.rounds)
    )
    if worst < 10:
        sys.exit(f"The goal was missed: template_tree is {worst:.1f} times as fast, not 10.")


if __name__ == "__main__":
    main()
