# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The documentation of modules matches their options and results."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import ansible.module_utils.basic
import pytest
import yaml
from ansible.plugins.loader import fragment_loader
from ansible.utils.plugin_docs import get_docstring
from modules import LIBRARY, load

MODULES = sorted(path.stem for path in LIBRARY.glob("*.py"))
COMPARED = ("type", "elements", "required", "choices", "default")


class _CapturedError(Exception):
    pass


def spec_of(name: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Return the argument spec of a module."""
    captured: list[dict[str, Any]] = []

    def start(argument_spec: dict[str, Any], **_more: Any) -> None:
        captured.append(argument_spec)
        raise _CapturedError

    monkeypatch.setattr(ansible.module_utils.basic, "AnsibleModule", start)
    with pytest.raises(_CapturedError):
        load(name).main()
    return captured[0]


def documentation_of(name: str) -> dict[str, Any]:
    """Return the documentation of a module, with what it shares with others."""
    fragment_loader.add_directory(str(LIBRARY.parent / "plugins" / "doc_fragments"))
    documentation: dict[str, Any] = get_docstring(str(LIBRARY / f"{name}.py"), fragment_loader)[0]
    return documentation


def differences(documented: dict[str, Any], spec: dict[str, Any], where: str = "") -> Iterator[str]:
    # An option with an underscore is between a module and its action plugin: it need not be documented.
    spec = {option: taken for option, taken in spec.items() if not option.startswith("_") or option in documented}
    for option in sorted(set(documented) ^ set(spec)):
        yield f"{where}{option} is only {'documented' if option in documented else 'in the argument spec'}"
    for option in sorted(set(documented) & set(spec)):
        said, taken = documented[option], spec[option]
        defaults: dict[str, Any] = {"type": "str", "required": False}
        for key in COMPARED:
            if said.get(key, defaults.get(key)) != taken.get(key, defaults.get(key)):
                yield f"{where}{option}: {key} is {said.get(key)} in the documentation, {taken.get(key)} in the spec"
        if not said.get("description"):
            yield f"{where}{option} has no description"
        yield from differences(said.get("suboptions") or {}, taken.get("options") or {}, f"{where}{option}.")


@pytest.mark.parametrize("name", MODULES)
def test_documentation_and_argument_spec_agree(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    documentation = documentation_of(name)
    assert documentation["module"] == name
    assert list(differences(documentation["options"], spec_of(name, monkeypatch))) == []


@pytest.mark.parametrize("name", MODULES)
def test_examples_and_results_are_documented(name: str) -> None:
    module = load(name)
    for task in yaml.safe_load(module.EXAMPLES):
        usual = {"register", "become", "become_user", "when", "delegate_to", "run_once", "no_log"}
        assert set(task) - usual == {"name", name}
    for key, described in yaml.safe_load(module.RETURN).items():
        assert described.get("description"), key
        assert described.get("returned"), key
        assert described.get("type"), key


def secret_options(spec: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for option, taken in spec.items():
        if any(word in option for word in ("password", "secret", "token")):
            yield option, taken
        yield from secret_options(taken.get("options") or {})


@pytest.mark.parametrize("name", MODULES)
def test_secret_options_are_never_logged_or_converted(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for option, taken in secret_options(spec_of(name, monkeypatch)):
        # A switch and the name of a file are no secrets.
        if taken.get("type") in ("bool", "path"):
            continue
        assert taken.get("no_log") is True, option
        # A number's failed conversion would print the value.
        assert taken.get("type") in ("str", "dict", "list"), option
