# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The lock file beside a release: written by an action, used by a run, refused if it is out of date."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import plays
import pytest
import yaml
from ansible.module_utils.greenroom.controller.catalogue import release_lock
from ansible.module_utils.greenroom.controller.catalogue.release import Image
from ansible.module_utils.greenroom.controller.validate.release import release_problems
from webserver import Asked, Authority, Reply, serve

OLD, NEW = (f"sha256:{digit * 64}" for digit in "12")
AGAIN = "lock the release again (playbooks/lock.yml -e release_name=1.2)"
IMAGES = {"shop": Image("team/my__app", "1.2", "releases/1.2.yml"), "db": Image("db", "17", "x", "hub.test")}
LOCK = {
    "images": {
        "shop": {"image": "team/my__app:1.2", "digest": OLD, "platforms": {"linux/amd64": OLD}},
        "db": {"image": "hub.test/db:17", "digest": NEW, "platforms": {}},
    }
}


def test_a_lock_file_has_what_was_found() -> None:
    found = {key: {"digest": item["digest"], "platforms": item["platforms"]} for key, item in LOCK["images"].items()}
    text = release_lock.text_of("1.2", IMAGES, found)
    assert yaml.safe_load(text) == LOCK
    assert list(release_lock.problems(LOCK, "f", IMAGES, "1.2")) == []
    assert {key: image.locked for key, image in release_lock.locked(IMAGES, LOCK).items()} == {"shop": OLD, "db": NEW}


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (None, f"f: is not a lock file; {AGAIN}"),
        ({"images": []}, f"f: is not a lock file; {AGAIN}"),
        (
            {"images": {"shop": LOCK["images"]["shop"]}},
            f"f: images.db: missing, because the release has changed; {AGAIN}",
        ),
        ({"images": LOCK["images"] | {"db": {"image": "hub.test/db:17"}}}, f"f: images.db: has no digest; {AGAIN}"),
        (
            {"images": LOCK["images"] | {"shop": {"image": "team/my__app:1.1", "digest": OLD}}},
            f"f: images.shop: is locked for team/my__app:1.1, and releases/1.2.yml says team/my__app:1.2; {AGAIN}",
        ),
    ],
)
def test_a_lock_file_that_is_out_of_date_is_refused(content: Any, line: str) -> None:
    assert list(release_lock.problems(content, "f", IMAGES, "1.2")) == [line]


def test_a_moved_tag_is_told_with_both_digests() -> None:
    images = release_lock.locked(IMAGES, LOCK)
    assert release_lock.moved("1.2", "f", images, {"shop": NEW, "db": ""}) == [
        f"f: shop: team/my__app:1.2 is {NEW} in the registry now. This run uses {OLD}, as locked. To use the new one, "
        f"{AGAIN}.",
        f"f: db: hub.test/db:17 is not in the registry any more. This run uses {NEW}, as locked.",
    ]


def test_what_a_new_lock_changes_is_told() -> None:
    found = {"shop": {"digest": NEW}, "mail": {"digest": OLD}}
    assert release_lock.changes(LOCK, found) == [
        f"shop: {NEW}, was {OLD}",
        f"mail: {OLD}",
        "db: is not in the release any more",
    ]
    assert release_lock.changes(release_lock.parsed("{damaged"), {"shop": {"digest": NEW}}) == [f"shop: {NEW}"]


def problems(folder: Path, locks: bool = False, name: str = "1.2", **given: Any) -> list[str]:
    values = {"release_name": name, "registry_address": "own.test", "registry_others": {"hub.test": {}}, **given}
    return list(release_problems(values.get, folder, lambda path: yaml.safe_load(path.read_text()), {}, locks))


def test_a_run_refuses_a_stale_lock_file_before_it_asks_anything(tmp_path: Path) -> None:
    folder = tmp_path / "releases"
    folder.mkdir()
    (folder / "1.2.yml").write_text("images: {shop: 'team/my__app:1.2', db: 'hub.test/db:17'}\n")
    (folder / "1.2.lock.yml").write_text(yaml.safe_dump(LOCK))
    assert problems(folder) == []
    (folder / "1.2.yml").write_text("images: {shop: 'team/my__app:1.3', db: 'hub.test/db:17'}\n")
    assert problems(folder) == [
        "releases/1.2.lock.yml: images.shop: is locked for team/my__app:1.2, and releases/1.2.yml says "
        f"team/my__app:1.3; {AGAIN}"
    ]
    # What this run replaces needs no lock, and a new lock doesn't need the old one.
    assert problems(folder, release_images={"shop": OLD}) == []
    assert problems(folder, locks=True) == []
    assert problems(folder, locks=True, release_images={"shop": OLD}) == [
        "release_images: a lock file has the images of the release file; write them into releases/1.2.yml"
    ]
    # A lock file is no release.
    assert problems(folder, name="1.2.lock") == ["release_name: there is no releases/1.2.lock.yml; known: 1.2"]


PLAY = """
- hosts: all
  gather_facts: false
  tasks:
    - release_lock: {name: "1.2", registry: "{{ registry }}", ca_file: "{{ ca }}"}
      register: done
    - ansible.builtin.debug: {msg: "LINES={{ done.lines | to_json }} CHANGED={{ done.changed }}"}
"""


class Hub:
    """A registry with an image for two platforms and one for one, whose tags can move."""

    def __init__(self) -> None:
        self.content: dict[str, bytes] = {}
        config = self.put({"os": "linux", "architecture": "arm64", "variant": "v8"})
        self.arm = self.put({"config": {"digest": config}, "layers": []})
        self.amd = self.put({"config": {"digest": config}, "layers": [{"size": 1}]})
        platforms = [(self.amd, "linux", "amd64"), (self.arm, "linux", "arm64"), (NEW, "unknown", "unknown")]
        listed = [
            {"digest": digest, "platform": {"os": system, "architecture": kind}} for digest, system, kind in platforms
        ]
        self.index = self.put({"manifests": listed})
        self.tags = {"both": self.index, "one": self.arm}

    def put(self, content: Any) -> str:
        text = json.dumps(content).encode()
        digest = f"sha256:{hashlib.sha256(text).hexdigest()}"
        self.content[digest] = text
        return digest

    def respond(self, asked: Asked) -> Reply:
        name = asked.path.rpartition("/")[2]
        digest = self.tags.get(name, name)
        if digest not in self.content:
            return Reply(404)
        body = "" if asked.method == "HEAD" else self.content[digest].decode()
        return Reply(200, body, [("Docker-Content-Digest", digest)])


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[tuple[Hub, str]]:
    found = Hub()
    (tmp_path / "ca").mkdir()
    with serve(found.respond, Authority(tmp_path / "ca").context("127.0.0.1")) as site:
        yield found, f"127.0.0.1:{site.port}"


def test_the_action_writes_the_file_beside_the_release_and_tells_what_changes(
    tmp_path: Path, hub: tuple[Hub, str]
) -> None:
    registry, address = hub
    releases = tmp_path / "elsewhere"
    releases.mkdir()
    (releases / "1.2.yml").write_text("images: {shop: 'team/my__app:both', arm: 'x/arm:one'}\n")
    (tmp_path / "play.yml").write_text(PLAY)
    plays.configure(tmp_path, action_plugins=plays.ROOT / "plugins/action")
    host = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    given = {"registry": address, "ca": str(tmp_path / "ca/ca.crt"), "releases_path": str(releases)}
    plays.write_hosts(tmp_path, {"app": {"hosts": {"a": host}}}, given)
    lock = releases / "1.2.lock.yml"

    def run(*arguments: str) -> str:
        done = plays.run(tmp_path, "-e", json.dumps(given), *arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.replace('\\"', '"')

    shown = run("--check", "--diff")
    assert not lock.exists()
    assert "would be written, 2 digests changed" in shown
    assert f"+    digest: {registry.index}" in shown
    run()
    locked = yaml.safe_load(lock.read_text())["images"]
    assert locked == {
        "shop": {
            "image": "team/my__app:both",
            "digest": registry.index,
            "platforms": {"linux/amd64": registry.amd, "linux/arm64": registry.arm},
        },
        "arm": {"image": "x/arm:one", "digest": registry.arm, "platforms": {"linux/arm64/v8": registry.arm}},
    }
    assert "is up to date" in run()
    registry.tags["one"] = registry.amd
    assert f"arm: {registry.amd}, was {registry.arm}" in run()
