# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Pulls images with Podman in systemd units, which go on without the run that started them."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..common import durable

Run = Callable[[list[str]], tuple[int, str, str]]
Policy = Mapping[str, Sequence[Mapping[str, Any]]]

_TICK = 0.2
_PROXIES = ("http_proxy", "https_proxy", "no_proxy")


class PullError(Exception):
    """An image can't be pulled; the message says why, how far the pull got, and what to do."""


@dataclass(frozen=True)
class Places:
    """The paths on a host that a pull uses."""

    records: Path = Path("/run/greenroom/pulls")
    downloads: Path = Path("/var/tmp")
    storage: Path = Path("/var/lib/containers")
    policy: Path = Path("/etc/containers/policy.json")
    logins: Path = Path("/etc/containers/auth.json")


@dataclass
class Puller:
    """Pulls images by digest. `seconds` is the timeout for each, `policy` what policy.json must require of images."""

    run: Run
    seconds: int
    policy: Policy = field(default_factory=dict)
    places: Places = Places()

    def missing(self, images: Sequence[str]) -> list[str]:
        """Return the images that this host doesn't have."""
        return [image for image in images if self.run(["podman", "image", "exists", image])[0] != 0]

    def signed(self, image: str) -> bool:
        """Return whether the image must have a signature."""
        return any(image.startswith((f"{scope}/", f"{scope}@")) for scope in self.policy)

    def check_policy(self) -> None:
        """Raise PullError if this host's policy.json doesn't require the signatures: it may be older than they are."""
        if not self.policy:
            return
        try:
            scopes = json.loads(self.places.policy.read_text(encoding="utf-8"))["transports"]["docker"]
        except (OSError, ValueError, KeyError):
            scopes = {}
        if late := [scope for scope, required in self.policy.items() if scopes.get(scope) != list(required)]:
            raise PullError(
                f"{self.places.policy} doesn't require the signatures of {', '.join(late)} yet (image_signatures); "
                "run site.yml, which writes it"
            )

    def pull(self, images: Sequence[str], wait: float, continued: bool) -> tuple[list[str], str]:
        """Pull images one after the other; return the pulled ones, and if `wait` ends before, how far the next one is.

        `continued` is whether this run has called before: it reports a failure in between. Raises PullError.
        """
        self.check_policy()
        end = time.monotonic() + wait
        pulled: list[str] = []
        missing = self.missing(images)
        for image in images:
            # What is here was perhaps pulled before it needed a signature: Podman checks it without a new download.
            pull = _Pull(self, image)
            if image not in missing and not self.signed(image):
                # A run that started the pull may not have seen its end.
                if pull.record.exists():
                    pull.forget()
                continue
            if not pull.finished(end, continued):
                return pulled, pull.progress()
            if image in missing:
                pulled.append(image)
        return pulled, ""


class _Pull:
    """The pull of one image, in a unit of its own."""

    def __init__(self, puller: Puller, image: str) -> None:
        self.puller, self.image, self.run, self.places = puller, image, puller.run, puller.places
        name = f"greenroom-pull-{hashlib.sha256(image.encode()).hexdigest()[:12]}"
        self.unit = f"{name}.service"
        self.folder = self.places.downloads / name
        self.errors = self.places.records / f"{name}.log"
        self.record = self.places.records / f"{name}.json"
        self.known: dict[str, float] = {}

    def finished(self, end: float, continued: bool) -> bool:
        """Start the pull unless an earlier run did; return whether it has ended by then. Raises PullError."""
        state = self._state()
        # An earlier run's failure is told already, and its success may have been checked against an older policy.
        if state in ("active", "failed") and not continued:
            self.forget()
            state = "inactive"
        if state == "inactive":
            self._start()
        self._load()
        while (state := self._state()) not in ("active", "failed") and time.monotonic() < end:
            self._measure()
            time.sleep(_TICK)
        self._measure()
        if state not in ("active", "failed"):
            return False
        words = self.errors.read_text(encoding="utf-8", errors="replace") if self.errors.is_file() else ""
        result = self._show("Result")
        self.forget()
        if state == "failed":
            raise PullError(self._failure(words, result == "timeout"))
        return True

    def progress(self) -> str:
        """Return how far the pull is."""
        total = self._size()
        of = f" of at most {_bytes(total)}" if total else ""
        return f"{self.image.partition('@')[0]}: {_bytes(self.known['received'])}{of}, {self._rate()}, {self._free()}"

    def _start(self) -> None:
        self.places.records.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(self.folder, ignore_errors=True)
        # Everyone may write there, so the name may be a link of another user.
        if self.folder.is_symlink():
            self.folder.unlink()
        self.folder.mkdir(mode=0o700)
        self.errors.unlink(missing_ok=True)
        durable.write(str(self.record), json.dumps({"started": time.time(), "received": 0}).encode(), forced=False)
        names = [name for key in _PROXIES for name in (key, key.upper()) if name in os.environ]
        variables = {"TMPDIR": str(self.folder), "REGISTRY_AUTH_FILE": str(self.places.logins)}
        variables |= {name: os.environ[name] for name in names}
        code, _out, error = self.run(
            [
                *("systemd-run", "--quiet", "--no-block", f"--unit={self.unit}", f"--description=Pull {self.image}"),
                *("--property=Type=oneshot", "--property=RemainAfterExit=yes"),
                *(f"--property=TimeoutStartSec={self.puller.seconds}", f"--property=StandardError=file:{self.errors}"),
                *(f"--setenv={name}={value}" for name, value in variables.items()),
                *("podman", "pull", "--quiet", self.image),
            ]
        )
        if code != 0:
            raise PullError(f"can't start a pull of {self.image}: {error.strip()}")

    def _state(self) -> str:
        return self._show("ActiveState") or "inactive"

    def _show(self, name: str) -> str:
        return self.run(["systemctl", "show", "--value", f"--property={name}", self.unit])[1].strip()

    def forget(self) -> None:
        """Remove the unit and its files."""
        self.run(["systemctl", "stop", self.unit])
        self.run(["systemctl", "reset-failed", self.unit])
        shutil.rmtree(self.folder, ignore_errors=True)
        self.errors.unlink(missing_ok=True)
        self.record.unlink(missing_ok=True)

    def _load(self) -> None:
        try:
            self.known = json.loads(self.record.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            self.known = {"started": time.time(), "received": 0}

    def _measure(self) -> None:
        """Record how much has arrived: Podman removes its files at the end."""
        found = sum(_size_of(Path(folder, name)) for folder, _, names in os.walk(self.folder) for name in names)
        if found > self.known["received"]:
            self.known["received"] = found
            durable.write(str(self.record), json.dumps(self.known).encode(), forced=False)

    def _size(self) -> int:
        """Return the size of the image's layers as the registry has them, 0 if it doesn't say."""
        manifest = self._manifest(self.image)
        if "manifests" in manifest:
            code, out, _error = self.run(["podman", "version", "--format", "{{.Client.OsArch}}"])
            here = out.strip() if code == 0 else ""
            for each in manifest["manifests"]:
                platform = each.get("platform") or {}
                if f"{platform.get('os')}/{platform.get('architecture')}" == here:
                    manifest = self._manifest(f"{self.image.partition('@')[0]}@{each['digest']}")
                    break
        return sum(int(layer.get("size") or 0) for layer in manifest.get("layers") or [])

    def _manifest(self, image: str) -> dict[str, Any]:
        code, out, _error = self.run(
            ["podman", "manifest", "inspect", f"--authfile={self.places.logins}", f"docker://{image}"]
        )
        try:
            found = json.loads(out) if code == 0 else {}
        except ValueError:
            found = {}
        return found if isinstance(found, dict) else {}

    def _rate(self) -> str:
        seconds = max(time.time() - self.known["started"], 0.1)
        return f"{_bytes(self.known['received'] / seconds)}/s"

    def _free(self) -> str:
        places = [self.places.storage, self.places.downloads]
        found = {place.stat().st_dev: (place, shutil.disk_usage(place).free) for place in places if place.exists()}
        return " and ".join(f"{_bytes(free)} free in {place}" for place, free in found.values())

    def _failure(self, words: str, late: bool) -> str:
        lines = [line.removeprefix("Error: ").strip() for line in words.splitlines() if line.strip()]
        if late:
            why = f"the pull took longer than bundle_pull_seconds ({self.puller.seconds} s)"
        else:
            why = lines[-1] if lines else "podman says nothing; see the journal of the host"
        got = f"{_bytes(self.known['received'])} arrived, {self._rate()}; {self._free()}"
        return f"can't pull {self.image}: {why}. {got}. {next(self._advice(words, late))}"

    def _advice(self, words: str, late: bool) -> Iterator[str]:
        if late:
            yield "Set bundle_pull_seconds higher, or run again: complete layers stay on the host."
        for pieces, advice in _ADVICE:
            if any(piece in words.lower() for piece in pieces):
                yield advice
        yield "Run again: complete layers stay on the host."


def _size_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # Podman has just removed it.
        return 0


def _bytes(number: float) -> str:
    for unit in ("B", "kB", "MB"):
        if number < 1000:
            return f"{number:.0f} {unit}" if unit == "B" or number >= 10 else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:.1f} GB"


# What Podman's words mean, in small letters, and what to do.
_ADVICE = (
    (
        ("no space left on device", "disk quota exceeded"),
        "Make room there (images that nothing uses: `sudo podman image prune --all`), and run again. An image needs "
        "about three times the space that it takes in the registry.",
    ),
    (
        ("a signature was required", "no signature exists"),
        "The image has no signature, and image_signatures requires one. Sign it (docs/push-image.md), each platform of "
        "an index, too; or take one that is signed.",
    ),
    (
        ("signature for identity", "is not accepted"),
        "The image was signed under another name: it may have been copied. Sign it where it is, or set `signed_as` in "
        "image_signatures.",
    ),
    (
        ("cryptographic signature verification failed", "invalid signature", "source image rejected"),
        "No key in image_signatures has made the signature. Don't deploy the image unless you know who signed it; then "
        "add the public key.",
    ),
    (
        ("unauthorized", "authentication required", "access denied", "denied:", "403 (forbidden)"),
        "Check the login in the secret environment/registry, or the `login` in registry_others; site.yml writes it to "
        "the hosts.",
    ),
    (("toomanyrequests", "429"), "The registry limits requests. Wait, or set a login for it, and run again."),
    (("manifest unknown", "name unknown"), "The registry doesn't have the image any more. Push it again."),
    (("x509:",), "Check the registry's CA: environment_ca_file, or `ca_file` in registry_others; then run site.yml."),
)
