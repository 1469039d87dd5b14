# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""A release: the image digest of each service, and the ID that follows from the content."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jinja2
from jinja2 import nodes

from ...common.names import suggestion

DIGEST = re.compile(r"^sha256:[0-9a-f]{64}\Z")
# As Docker and Podman read it: what has a dot or a port before the first / is a registry.
_HOST = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
REGISTRY = rf"(?:{_HOST}(?:\.{_HOST})+(?::\d{{1,5}})?|{_HOST}:\d{{1,5}}|\[[0-9a-fA-F:]+\](?::\d{{1,5}})?|localhost)"
_PART = r"[a-z0-9]+(?:(?:\.|__?|-+)[a-z0-9]+)*"
_REPOSITORY = rf"(?:(?P<registry>{REGISTRY})/)?(?P<repository>{_PART}(?:/{_PART})*)"
# What a repository may be called, perhaps with its registry, but without tag and digest.
PLACE = re.compile(_REPOSITORY, re.ASCII)
_TAG_AND_DIGEST = r"(?::(?P<tag>\w[\w.-]{0,127}))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
_REFERENCE = re.compile(rf"{_REPOSITORY}{_TAG_AND_DIGEST}", re.ASCII)


@dataclass(frozen=True)
class Image:
    """One image in a registry: repository, tag or digest, the source that names it, and the registry.

    An empty registry is the environment's own (`registry_address`). `locked` is the digest in the release's lock file.
    """

    repository: str
    reference: str
    source: str
    registry: str = ""
    locked: str = ""

    def __str__(self) -> str:
        """Return the usual notation of the image."""
        return f"{self.repository}{'@' if DIGEST.match(self.reference) else ':'}{self.reference}"


def parse_image(text: object, source: str) -> Image:
    """Parse `repository:tag`, `repository@sha256:...` or both, with or without a registry. Raises ValueError.

    A digest counts more than a tag, which then only tells readers what it is.
    """
    match = _REFERENCE.fullmatch(text) if isinstance(text, str) and not text.startswith("sha256:") else None
    if match is None or not (match["tag"] or match["digest"]):
        raise ValueError(f'"{text}" is neither repository:tag nor repository@sha256:<64 digits>')
    return Image(match["repository"], match["digest"] or match["tag"], source, match["registry"] or "")


def _allowed(image: Image, registries: Collection[str]) -> Image:
    """Return the image if it is in one of the registries, or in the first, the environment's own, which it may omit."""
    if image.registry in ("", *list(registries)[:1]):
        return replace(image, registry="")
    if image.registry not in registries:
        hint = suggestion(image.registry, registries)
        hint = hint if "did you mean" in hint else "; add it there to allow it"
        raise ValueError(f'registry "{image.registry}" is not in registry_others{hint}')
    return image


def _listed(content: object, file: str, registries: Collection[str]) -> tuple[dict[str, Image], list[str]]:
    images = content.get("images") if isinstance(content, Mapping) else None
    if not isinstance(content, Mapping) or not isinstance(images, Mapping):
        return {}, [f"{file}: images: missing; list the images as in {{images: {{portal: repository:tag}}}}"]
    errors = [f"{file}: {key}: unknown key{suggestion(str(key), ['images'])}" for key in content if key != "images"]
    found = {}
    for name, text in images.items():
        try:
            found[str(name)] = _allowed(parse_image(text, file), registries)
        except ValueError as error:
            errors.append(f"{file}: images.{name}: {error}")
    return found, errors


def read_release(
    content: object,
    file: str,
    overrides: object,
    catalogue: Mapping[str, Mapping[str, Any]],
    registries: Collection[str] = (),
) -> tuple[dict[str, Image], list[str]]:
    """Return ({image name: image}, problems as one line each) of a release file's content.

    `overrides` = {image: digest, or repository with tag or digest} replaces single images of the file. Each service
    in `catalogue` must have its image in the release. `registries` are those that images may come from, the
    environment's own first.
    """
    images, errors = _listed(content, file, registries)
    if not isinstance(overrides, Mapping):
        errors.append("""release_images: expected a mapping, as in -e '{"release_images": {"portal": "sha256:..."}}'""")
        overrides = {}
    for name, text in overrides.items():
        if name not in images:
            errors.append(f"release_images.{name}: {file} has no such image{suggestion(str(name), images)}")
        elif isinstance(text, str) and DIGEST.match(text):
            images[name] = replace(images[name], reference=text, source="release_images")
        else:
            try:
                images[name] = _allowed(parse_image(text, "release_images"), registries)
            except ValueError as error:
                more = ", nor sha256:<64 digits>" if "neither" in str(error) else ""
                errors.append(f"release_images.{name}: {error}{more}")
    for service, item in catalogue.items():
        if item["image"] and item["image"] not in images:
            hint = suggestion(item["image"], images)
            errors.append(f'{file}: image "{item["image"]}" of service {service} is missing{hint}')
    return images, errors


# Keys of a service that no bundle contains: a change of one is no reason to deploy.
NOT_IN_BUNDLE = {"folder", "canary", "heads", "identities", "migrate", "prepare", "publishes", "queues", "seed"}
NOT_IN_BUNDLE |= {"user_given", "ids_of", "providers"}
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
