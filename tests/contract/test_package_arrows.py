"""Packages of module_utils import only lower ones, and roles copy every package that their programs need."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.module_utils.greenroom.modules import logic, program
from ansible.module_utils.greenroom.switch import module_call

ROOT = Path(__file__).resolve().parents[2]
LOGIC = ROOT / "plugins/module_utils/greenroom"
NAME = "ansible.module_utils.greenroom"
CONTROLLER = "controller"
MOST_LINES = 350
MOST_LINES_OF_A_MODULE = 100
DOCUMENTATION = {"DOCUMENTATION", "EXAMPLES", "RETURN"}

# From the bottom to the top. A package imports only packages of lower layers.
LAYERS = (
    {"common"},
    {
        "backups",
        "canary",
        "certificates",
        "data_stores",
        "drill",
        "history",
        "lock",
        "notify",
        "snapshot",
        "people/recipe",
        "smoke",
        "tree",
    },
    {"health", "people/invent", "status_page", "switch"},
    {"images", "modules", "people"},
    {"controller/common"},
    {
        "controller/audit",
        "controller/dashboards",
        "controller/drill",
        "controller/hosts",
        "controller/load",
        "controller/lock",
        "controller/logs",
        "controller/modules",
        "controller/parity",
        "controller/seeding",
        "controller/people",
        "controller/vault",
    },
    {"controller/catalogue"},
    {"controller/providers"},
    {"controller/bundle"},
    {"controller/canary", "controller/slots"},
    {"controller/output", "controller/validate"},
)
LAYER_OF = {package: number for number, layer in enumerate(LAYERS) for package in layer}
# These two have no modules, only packages.
FRAMES = {".", CONTROLLER}

FILES = sorted(LOGIC.rglob("*.py"))
MODULES = [path for path in FILES if path.name != "__init__.py"]
# What a role copies to hosts, and the program that runs there.
COPIES = {
    "base": ("modules", "vars/main.yml"),
    "certificates": ("certificates/renewal.py", "vars/main.yml"),
    "edge": ("switch/watchdog.py", "vars/main.yml"),
    "pgbackrest": ("backups/program.py", "vars/main.yml"),
    "slots": ("switch/slot_stop.py", "vars/main.yml"),
    "status_page": ("status_page/serve.py", "vars/main.yml"),
}


def package_of(path: Path) -> str:
    """The folder of a module below module_utils/greenroom, such as `controller/bundle`."""
    return path.parent.relative_to(LOGIC).as_posix()


def file_of(parts: list[str]) -> Path | None:
    """The file of a module or package, None for what a module defines."""
    path = LOGIC.joinpath(*parts)
    if (path / "__init__.py").is_file():
        return path / "__init__.py"
    return path.with_suffix(".py") if path.with_suffix(".py").is_file() else None


@cache
def imports(path: Path) -> frozenset[Path]:
    """The files of module_utils/greenroom that a file imports, anywhere in it."""
    return frozenset(_imports(path))


def _imports(path: Path) -> Iterator[Path]:
    here = list(path.parent.relative_to(LOGIC).parts) if path.is_relative_to(LOGIC) else []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names if f"{alias.name}.".startswith(f"{NAME}.")]
            found = [name.removeprefix(NAME).split(".")[1:] for name in names]
        elif isinstance(node, ast.ImportFrom):
            module = node.module.split(".") if node.module else []
            if node.level:
                module = here[: len(here) - node.level + 1] + module
            elif f"{node.module}.".startswith(f"{NAME}."):
                module = module[len(NAME.split(".")) :]
            else:
                continue
            found = [[*module, alias.name] if file_of([*module, alias.name]) else module for alias in node.names]
        else:
            continue
        for parts in found:
            file = file_of(parts)
            assert file, f"{path}: there is no module {'/'.join(parts)}"
            yield file


def needed(path: Path) -> set[Path]:
    """The files that a file imports, directly and through others."""
    seen: set[Path] = set()
    waiting = [path]
    while waiting:
        new = imports(waiting.pop()) - seen
        seen |= new
        waiting += new
    return seen


def sources(data: Any) -> Iterator[str]:
    """All values of `src` in a YAML document."""
    if isinstance(data, dict):
        yield from (str(value) for key, value in data.items() if key == "src")
        data = list(data.values())
    if isinstance(data, list):
        for item in data:
            yield from sources(item)


def test_every_package_has_a_layer() -> None:
    assert {package_of(path) for path in FILES} == LAYER_OF.keys() | FRAMES
    assert {package_of(path) for path in MODULES} == LAYER_OF.keys()
    assert sum(map(len, LAYERS)) == len(LAYER_OF)


def test_a_package_imports_only_lower_layers() -> None:
    upward = [
        f"{path.relative_to(LOGIC)} imports {used.relative_to(LOGIC)}"
        for path in MODULES
        for used in sorted(imports(path))
        if package_of(used) not in {package_of(path), *FRAMES}
        and LAYER_OF[package_of(used)] >= LAYER_OF[package_of(path)]
    ]
    assert upward == []


def test_modules_import_no_controller_package() -> None:
    for_hosts = [path for path in FILES if CONTROLLER not in path.relative_to(LOGIC).parts]
    wrong = [
        f"{path.relative_to(ROOT)} needs {used.relative_to(LOGIC)}"
        for path in [*for_hosts, *sorted((ROOT / "library").glob("*.py"))]
        for used in sorted(needed(path))
        if CONTROLLER in used.relative_to(LOGIC).parts
    ]
    assert wrong == []


def test_every_package_has_a_docstring_of_one_sentence() -> None:
    for folder in sorted({path.parent for path in FILES}):
        file = folder / "__init__.py"
        assert file.is_file(), f"{folder.relative_to(ROOT)} has no __init__.py"
        tree = ast.parse(file.read_text(encoding="utf-8"))
        text = ast.get_docstring(tree) or ""
        assert len(tree.body) == 1, f"{file.relative_to(ROOT)} has more than a docstring"
        assert text.endswith("."), f"{file.relative_to(ROOT)}: {text!r} is not a sentence"
        assert not re.search(r"[.?!] |\n", text), f"{file.relative_to(ROOT)}: {text!r} is more than one sentence"


def test_no_module_is_longer_than_350_lines() -> None:
    lengths = {path.relative_to(LOGIC).as_posix(): length(path) for path in FILES}
    assert {name: lines for name, lines in lengths.items() if lines > MOST_LINES} == {}


def length(path: Path) -> int:
    """The number of lines of a file."""
    return len(path.read_text("utf-8").splitlines())


def length_without_documentation(path: Path) -> int:
    """The number of lines of a file, without those of the texts that Ansible shows as its documentation."""
    documentation = [
        node.end_lineno - node.lineno + 1
        for node in ast.parse(path.read_text("utf-8")).body
        if isinstance(node, ast.Assign)
        and node.end_lineno
        and {ast.unparse(name) for name in node.targets} & DOCUMENTATION
    ]
    return length(path) - sum(documentation)


def test_a_module_of_the_library_has_at_most_100_lines_of_code() -> None:
    lengths = {path.name: length_without_documentation(path) for path in sorted((ROOT / "library").glob("*.py"))}
    assert lengths
    assert {name: lines for name, lines in lengths.items() if lines > MOST_LINES_OF_A_MODULE} == {}


def test_no_plugin_is_longer_than_350_lines() -> None:
    lengths = {path.relative_to(ROOT).as_posix(): length(path) for path in sorted((ROOT / "plugins").glob("*/*.py"))}
    assert lengths
    assert {name: lines for name, lines in lengths.items() if lines > MOST_LINES} == {}


@pytest.mark.parametrize("role", COPIES)
def test_a_role_copies_all_packages_that_its_program_imports(role: str) -> None:
    file = COPIES[role][1]
    start = f"{{{{ __{role}_logic }}}}/"
    document = yaml.safe_load((ROOT / "roles" / role / file).read_text(encoding="utf-8"))
    copied = {source.removeprefix(start) for source in sources(document) if source.startswith(start)}
    assert "__init__.py" in copied
    assert packages_of(role) == copied - {"__init__.py"}


def packages_of(role: str) -> set[str]:
    """The packages that the program of a role, a file or all files of a folder, needs."""
    start = LOGIC / COPIES[role][0]
    files = [path for path in MODULES if start in (path, path.parent)]
    return {package_of(path) for file in files for path in [file, *needed(file)]}


def test_the_hash_of_the_edges_logic_covers_all_packages_that_it_gets() -> None:
    assert packages_of("edge") == set(module_call.PACKAGES)


def test_the_hash_of_the_modules_logic_covers_all_packages_that_hosts_get() -> None:
    assert packages_of("base") == set(logic.PACKAGES)


@pytest.mark.parametrize("name", program.MODULES)
def test_a_module_that_hosts_have_compiled_runs_the_same_call_both_ways(name: str) -> None:
    call = LOGIC / "modules" / f"{name}.py"
    assert call in imports(ROOT / "library" / f"{name}.py")
    assert call in imports(ROOT / "plugins/action" / f"{name}.py")
