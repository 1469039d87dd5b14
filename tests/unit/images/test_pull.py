# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Pulls: they go on in a unit of systemd, say how far they are, and why they failed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from ansible.module_utils.greenroom.images import pull
from ansible.module_utils.greenroom.images.pull import Places, Puller, PullError

SHOP, MAIL = (f"registry.test/{name}@sha256:{digit * 64}" for name, digit in (("shop", "1"), ("mail", "2")))
SIGNED = {"registry.test/shop": [{"type": "sigstoreSigned", "keyPath": "/key.pub"}]}


class Host:
    """A host with systemd and Podman: units by name, and the images that are there."""

    def __init__(self, folder: Path) -> None:
        self.places = Places(*(folder / name for name in ("records", "downloads", "storage", "policy", "logins")))
        for place in (self.places.downloads, self.places.storage):
            place.mkdir()
        self.images: set[str] = set()
        self.units: dict[str, str] = {}
        self.started: list[list[str]] = []
        # What happens to a unit each time that it is asked for its state.
        self.happens: Callable[[str], None] = self.succeed
        self.errors = ""
        self.result = "exit-code"

    def puller(self, policy: pull.Policy | None = None) -> Puller:
        return Puller(self.run, 600, policy or {}, self.places)

    def pull(self, *images: str, wait: float = 0, continued: bool = False) -> tuple[list[str], str]:
        found: tuple[list[str], str] = self.puller().pull(images or (SHOP,), wait, continued)
        return found

    def run(self, words: list[str]) -> tuple[int, str, str]:
        match words:
            case ["podman", "image", "exists", image]:
                return int(image not in self.images), "", ""
            case ["podman", "version", *_]:
                return 0, "linux/amd64\n", ""
            case ["podman", "manifest", "inspect", _, image]:
                listed = {"manifests": [{"digest": "sha256:5", "platform": {"os": "linux", "architecture": "amd64"}}]}
                own = {"layers": [{"size": 600_000_000}, {"size": 230_000_000}]}
                return 0, json.dumps(own if image.endswith("@sha256:5") else listed), ""
            case ["systemd-run", *_]:
                self.started.append(words)
                self.units[self.unit(words[-1])] = "inactive"
            case ["systemctl", "show", "--value", "--property=ActiveState", unit]:
                if unit in self.units:
                    self.happens(unit)
                return 0, f"{self.units.get(unit, 'inactive')}\n", ""
            case ["systemctl", "show", *_]:
                return 0, f"{self.result}\n", ""
            case ["systemctl", "stop" | "reset-failed", unit]:
                self.units.pop(unit, None)
        return 0, "", ""

    def unit(self, image: str) -> str:
        return next(
            word.removeprefix("--unit=")
            for words in self.started
            if words[-1] == image
            for word in words
            if "--unit=" in word
        )

    def succeed(self, unit: str) -> None:
        self.units[unit] = "active"
        self.images.update(words[-1] for words in self.started if f"--unit={unit}" in words)

    def go_on(self, unit: str) -> None:
        self.units[unit] = "activating"
        folder = self.places.downloads / unit.removesuffix(".service")
        (folder / "storage1").mkdir(exist_ok=True)
        with (folder / "storage1/2").open("wb") as file:
            file.truncate(312_000_000)

    def fail(self, unit: str) -> None:
        self.units[unit] = "failed"
        (self.places.records / f"{unit.removesuffix('.service')}.log").write_text(self.errors)


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_missing_images_are_pulled_each_in_a_unit_that_outlives_the_run(host: Host) -> None:
    host.images.add(MAIL)
    assert host.pull(SHOP, MAIL) == ([SHOP], "")
    assert [words[-4:] for words in host.started] == [["podman", "pull", "--quiet", SHOP]]
    assert "--property=TimeoutStartSec=600" in host.started[0]
    assert f"--setenv=REGISTRY_AUTH_FILE={host.places.logins}" in host.started[0]
    assert host.units == {}
    assert [*host.places.downloads.iterdir(), *host.places.records.iterdir()] == []
    assert host.pull(SHOP, MAIL) == ([], "")


def test_a_long_pull_says_how_far_it_is_and_a_later_run_waits_for_the_same_one(host: Host) -> None:
    host.happens = host.go_on
    pulled, progress = host.pull(wait=0.5)
    assert pulled == []
    assert progress.startswith("registry.test/shop: 312 MB of at most 830 MB, ")
    assert "/s, " in progress
    assert " free in " in progress
    # The run is gone; the next one finds the pull.
    assert host.pull()[1].startswith("registry.test/shop: 312 MB")
    assert len(host.started) == 1
    host.happens = host.succeed
    assert host.pull(continued=True) == ([SHOP], "")


def test_a_pull_that_ended_unseen_leaves_nothing_behind(host: Host) -> None:
    host.happens = host.go_on
    host.pull()
    host.succeed(host.unit(SHOP))
    assert host.pull() == ([], "")
    assert (host.units, [*host.places.records.iterdir()]) == ({}, [])


@pytest.mark.parametrize(
    ("words", "advice"),
    [
        ("writing blob: storing blob: write /x: no space left on device", "Make room there"),
        ("Source image rejected: A signature was required, but no signature exists", "The image has no signature"),
        ("Source image rejected: cryptographic signature verification failed", "No key in image_signatures has made"),
        (
            'Source image rejected: Signature for identity "a.test/x" is not accepted',
            "was signed under another name",
        ),
        ("unable to retrieve auth token: invalid username/password: unauthorized", "Check the login in the secret"),
        ("reading manifest sha256:1 in registry.test/shop: manifest unknown", "doesn't have the image any more"),
        ("tls: failed to verify certificate: x509: certificate signed by unknown authority", "Check the registry's CA"),
        ("read tcp 10.0.0.1:443: connection reset by peer", "Run again: complete layers stay"),
    ],
)
def test_a_failure_says_why_how_far_and_what_to_do(host: Host, words: str, advice: str) -> None:
    host.happens = host.go_on
    host.pull()
    host.happens, host.errors = host.fail, f"Trying to pull...\nError: {words}\n"
    with pytest.raises(PullError) as error:
        host.pull(continued=True)
    start, _, rest = str(error.value).partition(". 312 MB arrived, ")
    assert start == f"can't pull {SHOP}: {words}"
    assert " free in " in rest
    assert advice in rest
    # The next run tries again.
    host.happens = host.succeed
    assert host.pull() == ([SHOP], "")


def test_a_failure_that_nobody_saw_is_tried_again_and_a_timeout_names_its_variable(host: Host) -> None:
    host.happens = host.go_on
    host.pull()
    host.fail(host.unit(SHOP))
    # It stays as it is.
    host.happens, host.result = lambda unit: None, "timeout"
    assert host.pull()[1]
    assert len(host.started) == 2
    host.happens = host.fail
    with pytest.raises(PullError, match=r"took longer than bundle_pull_seconds \(600 s\).*Set bundle_pull_seconds"):
        host.pull(continued=True)


def test_an_image_that_must_be_signed_is_checked_even_if_it_is_there(host: Host) -> None:
    host.images |= {SHOP, MAIL}
    host.places.policy.write_text(json.dumps({"transports": {"docker": SIGNED}}))
    assert host.puller(SIGNED).pull([SHOP, MAIL], 0, continued=False) == ([], "")
    assert [words[-1] for words in host.started] == [SHOP]
    # What begins in the same way is another repository.
    other = SHOP.replace("shop@", "shop2@")
    assert not host.puller(SIGNED).signed(other)


@pytest.mark.parametrize("text", ["", "{}", '{"transports": {"docker": {"registry.test/shop": []}}}'])
def test_nothing_is_pulled_while_the_host_checks_no_signatures(host: Host, text: str) -> None:
    host.places.policy.write_text(text)
    with pytest.raises(PullError, match=r"doesn't require the signatures of registry.test/shop yet.*run site.yml"):
        host.puller(SIGNED).pull([MAIL], 0, continued=False)
    assert host.started == []


def test_a_link_in_the_place_of_a_download_is_removed(tmp_path: Path) -> None:
    """Everyone may write to /var/tmp, so another user may have made it."""
    host = Host(tmp_path)
    host.pull()
    name = host.unit(SHOP).removesuffix(".service")
    host.images.clear()
    (tmp_path / "elsewhere").mkdir()
    (host.places.downloads / name).symlink_to(tmp_path / "elsewhere")
    assert host.pull() == ([SHOP], "")
    assert (tmp_path / "elsewhere").is_dir()
