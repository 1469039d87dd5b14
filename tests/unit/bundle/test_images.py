# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Old images are removed; those that a slot or the release needs stay, and so do those of others."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import plays
import pytest
from ansible.module_utils.greenroom.controller.bundle.images import unused

REGISTRY = "registry.test:5000"
# Says what it is asked for; lists the images of a file.
PODMAN = """#!/bin/sh
echo "$*" >> FOLDER/log
case "$1" in images) cat FOLDER/images;; rmi) cat FOLDER/rmi;; esac
exit $(cat FOLDER/code)
"""


def reference(digit: str, name: str = "shop") -> str:
    return f"{REGISTRY}/{name}@sha256:{digit * 64}"


def image(identity: str, *names: str, digests: tuple[str, ...] = ()) -> dict[str, Any]:
    return {"Id": identity, "Names": list(names) or None, "RepoDigests": list(digests) or None, "Containers": 0}


BUNDLES = {slot: {"images": {"shop": reference(digit)}} for slot, digit in (("blue", "1"), ("green", "2"))}
RELEASE = {"shop": reference("2"), "maildev": reference("3", "maildev")}
IMAGES = [
    image("live", reference("1")),
    # Pulled by the digest of a list: podman names both digests.
    image("candidate", digests=(reference("9"), reference("2"))),
    image("of-the-release", reference("3", "maildev")),
    image("old", reference("4")),
    image("older", digests=(reference("5"),)),
    image("of-others", "other.test/tool:1"),
    image("of-both", reference("6"), "localhost/mine:1"),
    image("without-name"),
    image("of-a-former-registry", f"left.test/shop@sha256:{'7' * 64}"),
]
BEFORE = {"green": {"images": {"shop": f"left.test/shop@sha256:{'7' * 64}"}}}


def test_only_images_of_the_registry_that_nothing_needs_are_unused() -> None:
    assert unused(json.dumps(IMAGES), BUNDLES, RELEASE, [REGISTRY]) == ["old", "older"]
    assert unused(json.dumps(IMAGES), {"green": BUNDLES["green"]}, RELEASE, [REGISTRY]) == ["live", "old", "older"]
    assert unused("", BUNDLES, RELEASE, [REGISTRY]) == []
    # The name of another registry begins in the same way.
    assert unused(json.dumps([image("x", f"{REGISTRY}0/shop@sha256:00")]), BUNDLES, RELEASE, [REGISTRY]) == []


def test_images_of_a_registry_that_the_inventory_names_no_more_are_removed_with_their_slot() -> None:
    left = f"left.test/shop@sha256:{'7' * 64}"
    listing = json.dumps([image("left", left), image("of-others", "other.test/tool:1")])
    before = {"green": {"images": {"shop": left}}}
    assert unused(listing, BUNDLES, RELEASE, [REGISTRY], before) == ["left"]
    # As long as a slot runs it, it stays.
    assert unused(listing, BUNDLES | before, RELEASE, [REGISTRY], before) == []


@pytest.mark.parametrize("code", [0, 2])
def test_a_deploy_removes_them_and_does_not_fail_if_that_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/podman").write_text(PODMAN.replace("FOLDER", str(tmp_path)))
    (tmp_path / "bin/podman").chmod(0o755)
    for name, text in (("images", json.dumps(IMAGES)), ("rmi", "Deleted: old"), ("code", str(code))):
        (tmp_path / name).write_text(text)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    plays.configure(tmp_path)
    given = {
        **{"ansible_connection": "local", "ansible_python_interpreter": sys.executable},
        **{"slot_bundles": BUNDLES, "release": {"images": RELEASE}, "registry_address": REGISTRY},
        "environment_bundles": BEFORE,
    }
    plays.write_hosts(tmp_path, {"app": {"hosts": {"app1": {}}}}, given)
    call = {"ansible.builtin.import_role": {"name": "bundle", "tasks_from": "prune"}}
    (tmp_path / "play.yml").write_text(json.dumps([{"hosts": "app", "gather_facts": False, "tasks": [call]}]))
    done = plays.run(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    asked = (tmp_path / "log").read_text().splitlines()
    assert asked == ["images --format json"] + (["rmi of-a-former-registry old older"] if code == 0 else [])
