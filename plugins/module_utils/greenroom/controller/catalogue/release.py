# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""A release: the image digest of each service, and the ID that follows from the content."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
from jinja2 import nodes

from ...common.names import suggestion

DIGEST = re.compile(r"^sha256:[0-9a-f]{64}\Z")
_REPOSITORY = r"(?P<repository>[a-z0-9]+(?:[._/-][a-z0-9]+)*)"
_TAG_OR_DIGEST = r"(?::(?P<tag>[\w][\w.-]{0,127})|@(?P<digest>sha256:[0-9a-f]{64}))"
_REFERENCE = re.compile(f"^{_REPOSITORY}{_TAG_OR_DIGEST}$", re.ASCII)


@dataclass(frozen=True)
class Image:
    """One image in a registry: repository, tag or digest, and the source that names it."""

    repository: str
    reference: str
    source: str

    def __str__(self) -> str:
        """Return the usual notation of the image."""
        return f"{self.repository}{'@' if DIGEST.match(self.reference) else ':'}{self.reference}"


def parse_image(text: object, source: str) -> Image:
    """Parse `repository:tag` or `repository@sha256:...`. Raises ValueError."""
    match = _REFERENCE.match(text) if isinstance(text, str) and not text.startswith("sha256:") else None
    if match is None:
        raise ValueError(f'"{text}" is neither repository:tag nor repository@sha256:<64 digits>')
    return Image(match["repository"], match["tag"] or match["digest"], source)


def _listed(content: object, file: str) -> tuple[dict[str, Image], list[str]]:
    images = content.get("images") if isinstance(content, Mapping) else None
    if not isinstance(content, Mapping) or not isinstance(images, Mapping):
        return {}, [f"{file}: images: missing; list the images as in {{images: {{portal: repository:tag}}}}"]
    errors = [f"{file}: {key}: unknown key{suggestion(str(key), ['images'])}" for key in content if key != "images"]
    found = {}
    for name, text in images.items():
        try:
            found[str(name)] = parse_image(text, file)
        except ValueError as error:
            errors.append(f"{file}: images.{name}: {error}")
    return found, errors


def read_release(
    content: object, file: str, overrides: object, catalogue: Mapping[str, Mapping[str, Any]]
) -> tuple[dict[str, Image], list[str]]:
    """Return ({image name: image}, problems as one line each) of a release file's content.

    `overrides` = {image: digest, or repository with tag or digest} replaces single images of the file. Each service
    in `catalogue` must have its image in the release.
    """
    images, errors = _listed(content, file)
    if not isinstance(overrides, Mapping):
        errors.append("""release_images: expected a mapping, as in -e '{"release_images": {"portal": "sha256:..."}}'""")
        overrides = {}
    for name, text in overrides.items():
        if name not in images:
            errors.append(f"release_images.{name}: {file} has no such image{suggestion(str(name), images)}")
        elif isinstance(text, str) and DIGEST.match(text):
            images[name] = Image(images[name].repository, text, "release_images")
        else:
            try:
                images[name] = parse_image(text, "release_images")
            except ValueError as error:
                errors.append(f"release_images.{name}: {error}, nor sha256:<64 digits>")
    for service, item in catalogue.items():
        if item["image"] and item["image"] not in images:
            hint = suggestion(item["image"], images)
            errors.append(f'{file}: image "{item["image"]}" of service {service} is missing{hint}')
    return images, errors


# Keys of a service that no bundle contains: a change of one is no reason to deploy.
NOT_IN_BUNDLE = {"folder", "canary", "heads", "identities", "migrate", "prepare", "publishes", "queues", "seed"}
# Variables whose content depends on the slot or on the run, is secret, or is in the ID anyway.
_NOT_COUNTED = {
    "catalogue",
    "environment_toggles",
    "folder",
    "hostvars",
    "release",
    "secrets_values",
    "service",
    "slot",
}


def release_id(
    digests: Mapping[str, str],
    catalogue: Mapping[str, Mapping[str, Any]],
    toggles: Mapping[str, bool],
    sources: Mapping[str, str],
    values: Mapping[str, Any],
) -> str:
    """Return the SHA-256 of all that the release's bundles have in common (64 hex digits).

    These are image digests, services with the values of this environment, toggles, configuration files ({path: text}),
    and the variables that these use. It doesn't depend on the location of the checkout, on secrets, or on what no
    bundle contains.
    """
    services = {
        name: {key: value for key, value in item.items() if key not in NOT_IN_BUNDLE}
        | {"toggles": {toggle: its["variable"] for toggle, its in item["toggles"].items()}}
        for name, item in catalogue.items()
    }
    content = [dict(digests), services, dict(toggles), dict(sources), dict(values)]
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()


def config_sources(folders: Mapping[str, str]) -> dict[str, str]:
    """Return the files in some folders, {name: folder}, as {name/path in the folder: text}."""
    found = {}
    for name, folder in folders.items():
        for path in sorted(path for path in Path(folder).rglob("*") if path.is_file()):
            found[f"{name}/{path.relative_to(folder)}"] = path.read_bytes().decode(errors="surrogateescape")
    return found


def variables_of(sources: Mapping[str, str]) -> list[str]:
    """Return the names of the variables that templates (`.j2`) use, {path: text}, and of those that they set.

    Errors in a template are found when it is rendered.
    """
    parser = jinja2.Environment(extensions=["jinja2.ext.do", "jinja2.ext.loopcontrols"], autoescape=False)
    names: set[str] = set()
    for path, text in sources.items():
        if path.endswith(".j2"):
            with contextlib.suppress(jinja2.TemplateSyntaxError):
                # Jinja's own `meta` doesn't know Ansible's filters.
                names |= {node.name for node in parser.parse(text).find_all(nodes.Name)}
    return sorted(names - _NOT_COUNTED)
