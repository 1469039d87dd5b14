# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Writes the captured state of hosts as an ordinary project: lists, and templates that render to the same files."""

from __future__ import annotations

import base64
import json
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from bench import common
from bench.common import ROOT

TREE = "bench-site"
"""The name of tree.yml's call of template_tree."""
MANIFEST = f"/run/greenroom-{TREE}.json"


def template(content: bytes) -> str:
    """Return a template that Ansible, template_tree and pyinfra render to `content`; raises UnicodeDecodeError."""
    text = content.decode()
    # Ansible reads options from such a first line, both convert other line ends to \n, and Ansible removes a line end
    # after a tag by default.
    if text.startswith("#jinja2:") or "\r" in text or (re.search(r"\{[{%#]", text) and raw_would_differ(text)):
        escaped = text.replace("\\", "\\\\").replace("'", "\\'").replace("\r", "\\r").replace("\n", "\\n")
        return "{{ '" + escaped + "' }}"
    return "{% raw %}" + text + "{% endraw %}" if re.search(r"\{[{%#]", text) else text


def raw_would_differ(text: str) -> bool:
    """Whether a text would change between `raw` and `endraw`."""
    return text.startswith("\n") or "endraw" in text


def desired(host: str, found: Mapping[str, Any], idle: str, folder: Path) -> dict[str, Any]:
    """Return the lists for a host's loops, and write the templates below `folder`.

    The idle slot is left out, because a run that changes nothing doesn't inspect it. Exits if a file can't become a
    template.
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
            try:
                source.write_text(template(base64.b64decode(file["content"])), newline="")
            except UnicodeDecodeError:
                sys.exit(f"{host}: {path} isn't UTF-8 text, so it can't become a template.")
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
        # The same for template_tree. The units have already loaded these files, so they must not restart.
        "tree_name": TREE,
        "tree_manifest": MANIFEST,
        "tree_files": [{"dest": file["path"], **{key: file[key] for key in file if key != "path"}} for file in files],
        "tree_units": [
            {"name": name, "on_change": "none", "files": [], **({"enabled": True} if enabled else {})}
            for name, enabled in units.items()
        ],
    }


def write_project(state: Mapping[str, Any], folder: Path) -> dict[str, dict[str, Any]]:
    """Write the variables of the other ways below `folder`, and return them by host.

    Exits if the idle slot has a planned stop: it could run during the benchmark.
    """
    if any("stop" in found["trees"] for found in state.values()):
        sys.exit("The idle slot has a planned stop (playbooks/status.yml shows when). Wait until it is done.")
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
