#!/usr/bin/env python3
# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Convert a compose file to services and a release file, and list line by line what could not be carried, and why.

    make import-compose FILE=../shop/compose.yml RELEASE=shop-1

It writes services/<name>/service.yml, its checks, and releases/<release>.yml. Databases of the file become `database`
of the services, passwords become secrets with new values, and what a host does anyway is left out. Nothing that exists
is overwritten.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from plugins.module_utils.greenroom.controller.catalogue import catalogue  # noqa: E402  # the line above finds it
from tools.compose import container, convert  # noqa: E402
from tools.compose.project import Note, Project  # noqa: E402
from tools.compose.reading import ComposeError, read  # noqa: E402

GROUPS = {"edge": ["edge1"], "app": ["app1"], "data": ["data1"], "ops": ["ops1"]}


def taken_ports(services: Path) -> set[int]:
    """Return the host ports in blue of the services that are there already."""
    there = catalogue.load(str(services), lambda file: yaml.safe_load(Path(file).read_text(encoding="utf-8")))
    found = {port["host"].get("blue") for service in there.values() for port in service["ports"].values()}
    return {port for port in found if port is not None}


def write(project: Project, services: Path, release: Path) -> list[Path]:
    """Write all files, and return them. Raises ComposeError if one of them exists."""
    content = {release: convert.release_text(project)}
    for draft in project.drafts.values():
        folder = services / draft.name
        if folder.exists():
            raise ComposeError(f"{folder} exists. Remove it, or give the new services a prefix: --prefix shop-")
        content[folder / "service.yml"] = convert.service_text(project, draft)
        if draft.keys.get("routes"):
            content[folder / "checks.yml"] = convert.checks_text(draft)
    if release.exists():
        raise ComposeError(f"{release} exists. Choose another name: --release shop-1")
    for path, text in content.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return list(content)


def report(project: Project) -> list[str]:
    """Return the lines that tell what was carried, what was not, and why."""
    name = project.compose.path.name

    def shown(notes: Iterable[Note]) -> list[str]:
        return [f"  {name}:{note.line}: {note.key}: {note.text}" for note in sorted(set(notes))]

    lines = ["Not carried:", *shown(project.not_carried)] if project.not_carried else ["Everything was carried."]
    if project.done:
        lines += ["", "Done by Greenroom in another way, or left for you to do:", *shown(project.done)]
    if users := list(container.users_of_image(project)):
        lines += ["", "See before a run:", *(f"  {line}" for line in users)]
    return lines


def main() -> int:
    """Convert the file that the command line names; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", nargs="?", help="the compose file; variables in it come from the `.env` next to it")
    parser.add_argument("--release", default="", help="the name of the release file (default: the file's `name`)")
    parser.add_argument("--prefix", default="", help="the start of the services' names")
    parser.add_argument("--services", default=os.environ.get("GREENROOM_SERVICES") or str(ROOT / "services"))
    parser.add_argument("--releases", default=os.environ.get("GREENROOM_RELEASES") or str(ROOT / "releases"))
    options = parser.parse_args()
    if not options.file:
        print("Name the file: make import-compose FILE=compose.yml", file=sys.stderr)
        return 1
    try:
        compose = read(Path(options.file))
        services = Path(options.services)
        project = convert.convert(compose, options.prefix, taken_ports(services))
        release = options.release or str(compose.data.get("name") or Path(options.file).resolve().parent.name)
        files = write(project, services, Path(options.releases, f"{release}.yml"))
    except ComposeError as error:
        print(error, file=sys.stderr)
        return 1
    print(*(f"wrote {os.path.relpath(file)}" for file in files), "", *report(project), sep="\n")
    if wrong := convert.problems(project, GROUPS):
        print("", "A run would refuse this; fix it first:", *(f"  {line}" for line in wrong), sep="\n")
    print(
        "\nNext:\n  ansible-playbook -i inventories/staging playbooks/secrets.yml -e create=missing\n"
        f"  ansible-playbook -i inventories/staging playbooks/validate.yml -e release_name={release}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
