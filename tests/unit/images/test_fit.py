# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""What an image's own configuration says against its service.yml, with a podman that is a program of the tests."""

from __future__ import annotations

import json
import os
import platform
import sys
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.greenroom.images.fit import Names, names_of
from modules import run_module

HERE = {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]
IMAGE = "registry.test/shop@sha256:0a1b"
PODMAN = """#!PYTHON
import os, sys
folder = os.environ["FAKE_PODMAN"]
open(f"{folder}/calls", "a").write(sys.argv[2] + "\\n")
if not os.path.exists(f"{folder}/image.json"):
    sys.exit("Error: no such image")
print({"inspect": open(f"{folder}/image.json").read(), "mount": f"{folder}/root"}.get(sys.argv[2], ""))
"""


class Host:
    """A host that has pulled an image, or not."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        program = folder / "bin/podman"
        program.parent.mkdir()
        program.write_text(PODMAN.replace("PYTHON", sys.executable))
        program.chmod(0o755)
        (folder / "root/etc").mkdir(parents=True)
        (folder / "root/etc/group").write_text("root:x:0:\nmedia:x:44:mastodon\nbad\n")
        (folder / "root/etc/passwd").write_text("root:x:0:0::/:/bin/sh\nmastodon:x:991:990::/:/bin/sh\nbad\n")

    def judged(self, config: dict[str, Any], check: bool = False, **wanted: Any) -> tuple[str, list[str]]:
        """Why the module fails, and its notes."""
        image = {"Architecture": HERE, **config.pop("top", {}), "Config": config}
        (self.folder / "image.json").write_text(json.dumps([image]))
        return self.of(check, **wanted)

    def of(self, check: bool = False, **wanted: Any) -> tuple[str, list[str]]:
        given = {"name": "shop", "image": IMAGE, **wanted}
        result = run_module("image_fit", check, services=[given])
        return str(result.get("msg", "")), list(result.get("notes", []))


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    monkeypatch.setenv("FAKE_PODMAN", str(tmp_path))
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    return Host(tmp_path)


def test_an_image_that_fits_needs_no_word(host: Host) -> None:
    config = {"User": "1000:1000", "Cmd": ["x"], "ExposedPorts": {"8080/tcp": {}, "9000/tcp": {}}}
    assert host.judged(config, ports=[8080]) == ("", [])
    # Nothing was mounted.
    assert (host.folder / "calls").read_text().split() == ["inspect"]


def test_what_an_image_wants_is_one_line(host: Host) -> None:
    config = {"User": "mastodon", "Cmd": ["x"], "ExposedPorts": {"3000/tcp": {}, "53/udp": {}}}
    config |= {"Volumes": {"/app/tmp": {}, "/data/": {}, "/tmp/x": {}}}
    line = (
        'shop: the image wants user mastodon (991), and runs as 1000 (`user: "991:990"`); '
        "writes to volume /app/tmp, whose files are lost at each restart (`writable: {/app/tmp: 64M}`); "
        "exposes 3000, but no port of the service says so"
    )
    assert host.judged(config, ports=[8080], mounted=["/data"]) == ("", [line])
    assert (host.folder / "calls").read_text().split() == ["inspect", "mount", "unmount"]


@pytest.mark.parametrize(
    ("user", "wants"),
    [
        ("", "root (0), and runs as 1000 (`user: 0`)"),
        ("33", "33, and runs as 1000 (`user: 33`)"),
        ("33:4", '33, and runs as 1000 (`user: "33:4"`)'),
        ("nobody", "nobody, and runs as 1000 (`user: nobody`)"),
    ],
)
def test_another_user_than_the_default_is_named(host: Host, user: str, wants: str) -> None:
    assert host.judged({"User": user, "Cmd": ["x"]}) == ("", [f"shop: the image wants user {wants}"])
    # Who says it knows it.
    assert host.judged({"User": user, "Cmd": ["x"]}, user="1000", user_given=True) == ("", [])


def test_what_would_not_start_is_refused(host: Host) -> None:
    line = "shop: the image has neither an entry point nor a command; set `entrypoint` or `command`"
    assert host.judged({"User": "1000"}) == (f"Nothing was deployed: {line}", [])
    assert host.judged({"User": "1000"}, starts=True) == ("", [])
    other = next(name for name in ("arm64", "amd64") if name != HERE)
    line = f"shop: the image is for {other}, and this host is {HERE}; push an image for {HERE}, or one for both"
    assert host.judged({"User": "1000", "Cmd": ["x"], "top": {"Architecture": other}})[0].endswith(line)
    found = host.judged({"Cmd": ["x"]}, user="www-data:0", user_given=True)[0]
    assert found.endswith('shop: the image has no user "www-data" in /etc/passwd; set `user` to a number')
    assert host.judged({"Cmd": ["x"]}, user="mastodon", user_given=True) == ("", [])
    assert host.judged({"Cmd": ["x"]}, user="root:root", user_given=True) == ("", [])


@pytest.mark.parametrize("user", ["mastodon:mastodon", "991:mastodon"])
def test_a_group_that_the_image_lacks_is_refused(host: Host, user: str) -> None:
    line = 'shop: the image has no group "mastodon" in /etc/group; set the group in `user` to a number'
    assert host.judged({"Cmd": ["x"]}, user=user, user_given=True)[0].endswith(line)
    assert host.judged({"Cmd": ["x"]}, user=user.replace(":mastodon", ":media"), user_given=True) == ("", [])


def test_an_image_that_was_not_pulled_is_left_out_in_check_mode_only(host: Host) -> None:
    assert host.of(check=True) == ("", [])
    assert host.of() == (f"{IMAGE}: Error: no such image", [])


def test_a_link_in_an_image_does_not_lead_to_the_hosts_files(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    for name in ("passwd", "group"):
        (tmp_path / "etc" / name).symlink_to(f"/etc/{name}")
    assert names_of(tmp_path) == Names()
    (tmp_path / "one").mkdir()
    (tmp_path / "one/etc").symlink_to("/etc")
    assert names_of(tmp_path / "one") == Names()
    assert names_of(tmp_path / "none") == Names()
