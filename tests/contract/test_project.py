# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Rules for the checkout as a whole: what is in it, what each variable is, and what must not stand in it."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.module_utils.greenroom.controller.drill.scenarios import SCENARIOS

ROOT = Path(__file__).resolve().parents[2]
ROLES = sorted(path.name for path in (ROOT / "roles").iterdir() if path.is_dir())
REQUIREMENTS = [path for path in ROOT.glob("**/requirements.txt") if ".venv" not in path.parts]


def tracked(*patterns: str) -> list[Path]:
    """The checkout's files, the new ones included and the ignored ones not."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *patterns]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return [ROOT / name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]


def text_of(path: Path) -> str:
    return path.read_text(errors="replace")


def lines_with(pattern: str, *places: str) -> list[str]:
    return [
        f"{path.relative_to(ROOT)}: {line.strip()[:120]}"
        for path in tracked(*places)
        for line in text_of(path).splitlines()
        if re.search(pattern, line)
    ]


# Nothing here says where it was made, and from where packages come is the machine's own setting.


def test_no_index_or_image_hub_is_named() -> None:
    hosts = [
        r"py" + r"pi\.org",
        r"pythonho" + r"sted\.org",
        r"np" + r"mjs\.org",
        r"\bdocker\." + r"io\b",
        r"gh" + r"cr\.io",
        r"qu" + r"ay\.io",
        r"proxy\.go" + r"lang\.org",
        r"deb\.deb" + r"ian\.org",
    ]
    assert lines_with("|".join(hosts)) == []


def test_no_path_of_somebodys_machine_is_named() -> None:
    folders = "|".join((re.escape(str(ROOT)) + "/", "/ro" + r"ot/\w", "/us" + r"r/local/lib/python"))
    assert lines_with(rf"(?<!\w)({folders})") == []


@pytest.mark.parametrize("path", REQUIREMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_python_packages_are_pinned_with_hashes_and_without_addresses(path: Path) -> None:
    text = re.sub(r"^\s*#.*$", "", path.read_text(), flags=re.M)
    blocks = re.findall(r"^(\S+==\S+)(.*?)(?=^\S|\Z)", text, re.M | re.S)
    assert blocks
    assert [name for name, rest in blocks if "--hash=sha256:" not in rest] == []
    assert re.findall(r"^(?!\s|\S+==\S+).+$", text, re.M) == [], "each line is a pinned package"
    assert "://" not in text


def test_what_is_asked_for_is_what_is_pinned() -> None:
    names = re.findall(r"^([\w.-]+)", (ROOT / "requirements.in").read_text(), re.M)
    pinned = {name.lower() for name in re.findall(r"^([\w.-]+)==", (ROOT / "requirements.txt").read_text(), re.M)}
    assert {name.lower() for name in names} - pinned == set()


# What a newcomer reads first.


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 80


def test_every_link_between_pages_leads_somewhere() -> None:
    broken = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in tracked("*.md")
        for target in re.findall(r"\]\(([^)#\s]+)", page.read_text())
        if "://" not in target and not (page.parent / target).exists()
    ]
    assert broken == []


def test_the_makefile_explains_each_target() -> None:
    text = (ROOT / "Makefile").read_text()
    phony = set(re.findall(r"^\.PHONY: (.*)$", text, re.M))
    explained = set(re.findall(r"^([a-z-]+):.*## ", text, re.M))
    assert phony == explained


def test_python_files_that_hosts_run_carry_the_licence() -> None:
    for path in tracked("library/*.py", "plugins/*.py"):
        assert "GNU General Public License v3.0 or later" in text_of(path), path


# Variables


def expressions(path: Path) -> str:
    """What Ansible evaluates in a file."""
    found = re.findall(r"\{\{.*?\}\}|\{%.*?%\}", text_of(path), re.S)
    return "\n".join([*found, *re.findall(r"^\s*(?:when|that|changed_when|failed_when):.*$", text_of(path), re.M)])


def results() -> set[str]:
    """Names that tasks give to results and facts."""
    found = set()
    for path in tracked("roles/*/tasks/*.yml"):
        found |= set(re.findall(r"register: (\w+)", text_of(path)))
        # A fact's value may be folded over several lines.
        for indent, block in re.findall(r"^( *)ansible\.builtin\.set_fact:\n((?:\1 +.*\n)+)", text_of(path), re.M):
            found |= set(re.findall(rf"^{indent}  (\w+):", block, re.M))
    return found


def declared() -> set[str]:
    """Options of roles, and parameters of their entry points."""
    specs = [yaml.safe_load(path.read_text())["argument_specs"] for path in tracked("roles/*/meta/argument_specs.yml")]
    found = {name for spec in specs for name in spec["options"].get("options") or {}}
    for path in tracked("roles/*/meta/entry_points.yml"):
        for entry in yaml.safe_load(path.read_text())["entry_points"].values():
            found |= set(entry.get("parameters", {}))
    return found


def plugins() -> set[str]:
    """Names of the project's filters and lookups."""
    filters = {name for path in tracked("plugins/filter/*.py") for name in re.findall(r'"(\w+)":', text_of(path))}
    return filters | {path.stem for path in tracked("plugins/lookup/*.py")}


def test_every_roles_variable_that_is_used_anywhere_is_declared() -> None:
    known = declared() | results() | plugins()
    names = "|".join(sorted(ROLES, key=len, reverse=True))
    used = {
        (str(path.relative_to(ROOT)), name)
        for path in tracked("roles/*", "playbooks/*", "services/*", "inventories/*", "site.yml")
        if path.suffix in {".yml", ".j2"}
        for name in re.findall(rf"(?<![\w.'\"/-])((?:{names})_\w+)", expressions(path))
    }
    assert {(path, name) for path, name in used if name not in known} == set()


def test_every_variable_that_environments_share_or_differ_in_is_declared() -> None:
    given = {
        name
        for path in tracked("playbooks/group_vars/*", "inventories/*/group_vars/*")
        for name in yaml.safe_load(path.read_text()) or {}
    }
    # What a service's own templates ask for is that service's affair.
    services = "\n".join(expressions(path) for path in tracked("services/*"))
    unknown = {name for name in given - declared() if not re.search(rf"\b{name}\b", services)}
    assert {name for name in unknown if not name.startswith("ansible_")} == set()


def test_every_option_that_pages_and_messages_name_is_declared() -> None:
    named = {
        (str(path.relative_to(ROOT)), name)
        for path in tracked("*.md", "docs/*", "roles/*", "playbooks/*", "Makefile")
        for name in re.findall(r"-e '?\{?\"?([a-z]\w+)(?:=|\":)", text_of(path))
    }
    known = declared()
    services = tuple(f"{path.parent.name.replace('-', '_')}_" for path in tracked("services/*/service.yml"))
    assert len(named) > 30
    assert {(path, name) for path, name in named if name not in known and not name.startswith(services)} == set()


def test_an_operator_can_choose_each_scenario_of_a_drill() -> None:
    specs = yaml.safe_load((ROOT / "roles/environment/meta/argument_specs.yml").read_text())["argument_specs"]
    assert specs["options"]["options"]["fault"]["choices"] == list(SCENARIOS)


# Tasks


def calls(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    queue = list(yaml.safe_load(path.read_text()) or [])
    while queue:
        task = queue.pop(0)
        yield task.get("name", ""), task
        for section in ("block", "rescue", "always"):
            queue += task.get(section, [])


TASK_FILES = tracked("roles/*/tasks/*.yml")
OWN_MODULES = {path.stem for path in tracked("library/*.py", "plugins/action/*.py")}
# Modules that take a list: one call does.
TAKE_LISTS = {
    "ansible.builtin.apt",
    "ansible.builtin.package",
    "ansible.builtin.template",
    "template_tree",
    "smoke_check",
    "slot_ready",
}


@pytest.mark.parametrize("path", TASK_FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_takes_a_list_is_not_looped_over(path: Path) -> None:
    looped = [name for name, task in calls(path) if TAKE_LISTS & set(task) and {"loop", "with_items"} & set(task)]
    assert looped == []


@pytest.mark.parametrize("path", TASK_FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_secret_is_never_passed_to_a_module_that_would_show_it(path: Path) -> None:
    """Greenroom's own hide what is secret; another one needs `no_log`."""
    shown = [
        name
        for name, task in calls(path)
        if "secrets_values[" in str({key: value for key, value in task.items() if key not in {"when", "vars"}})
        and not task.get("no_log")
        and not OWN_MODULES & set(task)
    ]
    assert shown == []


@pytest.mark.parametrize("path", TASK_FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_foreign_module_gets_a_secret_that_its_failure_would_show(path: Path) -> None:
    """Ansible prints the message of a failed task in spite of `no_log`, and modules put their arguments into it."""
    never_quote = OWN_MODULES | {"ansible.builtin.set_fact"}
    assert [name for name, task in calls(path) if task.get("no_log") and not never_quote & set(task)] == []


@pytest.mark.parametrize("path", TASK_FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_task_has_a_name_of_its_own(path: Path) -> None:
    names = [name for name, _task in calls(path)]
    assert all(re.match(r"[A-Z][a-z]+ ", name) for name in names), names
    assert len(names) == len(set(names))
