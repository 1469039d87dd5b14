"""Rules that every role, playbook and template keeps."""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.module_utils.greenroom.controller.validate.renamed_variables import RENAMED
from trees import HELD, OTHERS

ROOT = Path(__file__).resolve().parents[2]
ROLES = sorted(path for path in (ROOT / "roles").iterdir() if path.is_dir())
PLAYBOOKS = sorted((ROOT / "playbooks").glob("*.yml"))
STEPS = sorted((ROOT / "playbooks/steps").glob("*.yml"))
TASK_FILES = sorted((ROOT / "roles").glob("*/tasks/*.yml"))
TEMPLATES = sorted(path for path in (ROOT / "roles").glob("*/templates/**/*") if path.is_file())


@functools.cache
def load(path: Path) -> Any:
    """The content of a file, which no test changes."""
    return yaml.load(path.read_text(), Loader=yaml.CSafeLoader) if path.exists() else None


def options_of(role: Path) -> dict[str, dict[str, Any]]:
    """The options that a role declares.

    They stand under `options`, not under `main`: the run checks all of them at once before it touches a host, and
    Ansible would otherwise check them again in each play.
    """
    specs = load(role / "meta/argument_specs.yml")["argument_specs"]
    assert list(specs) == ["options"], role.name
    assert specs["options"]["short_description"], role.name
    options: dict[str, dict[str, Any]] = specs["options"].get("options") or {}
    return options


def entry_points(role: Path) -> dict[str, dict[str, Any]]:
    """What others may call of a role besides its main tasks: {name: {"description", "parameters": {name: meaning}}}."""
    found: dict[str, dict[str, Any]] = (load(role / "meta/entry_points.yml") or {}).get("entry_points", {})
    return found


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def tasks_of(path: Path) -> list[dict[str, Any]]:
    """All tasks of a file, those in blocks included."""
    found: list[dict[str, Any]] = []
    queue = list(load(path) or [])
    while queue:
        task = queue.pop(0)
        found.append(task)
        for section in ("block", "rescue", "always"):
            queue += task.get(section, [])
    return found


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_a_roles_defaults_are_the_ones_it_declares(role: Path) -> None:
    declared = {name: option["default"] for name, option in options_of(role).items() if "default" in option}
    assert declared == (load(role / "defaults/main.yml") or {})


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_every_option_says_what_it_is(role: Path) -> None:
    for name, option in options_of(role).items():
        assert option.get("description"), name
        assert option.get("type"), name


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_a_switch_that_comes_from_a_command_line_is_read_as_one(role: Path) -> None:
    # With -e it is the text "false", which a template takes for true, and which a condition refuses.
    own = [name for name, option in options_of(role).items() if option["type"] == "bool" and name.startswith(role.name)]
    bare = [re.compile(rf"\b{name}\b(?!:)(?!( \| default\(\w+\))? \| bool)") for name in own]
    files = [path for folder in ("tasks", "vars", "templates") for path in (role / folder).rglob("*") if path.is_file()]
    lines = [line.strip() for path in files for line in path.read_text().splitlines()]
    read = [line for line in lines if re.search(r"^- |when:|{{|{%", line) and "_msg:" not in line]
    assert [line for line in read if any(found.search(line) for found in bare)] == []


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_every_variable_of_a_role_is_declared(role: Path) -> None:
    declared = set(options_of(role))
    # Registered results and facts are the role's own doing, not an option.
    made = {task["register"] for file in role.glob("tasks/*.yml") for task in tasks_of(file) if "register" in task}
    made |= {
        key
        for file in role.glob("tasks/*.yml")
        for task in tasks_of(file)
        for key in task.get("ansible.builtin.set_fact", {})
    }
    given = {name for entry in entry_points(role).values() for name in entry.get("parameters", {})}
    filters = set(re.findall(r'"(\w+)":', "".join(f.read_text() for f in (ROOT / "plugins/filter").glob("*.py"))))
    text = "\n".join(
        path.read_text(errors="replace")
        for folder in ("tasks", "templates", "vars", "defaults")
        for path in role.glob(f"{folder}/**/*")
        if path.is_file()
    )
    expressions = "\n".join(re.findall(r"\{\{.*?\}\}|\{%.*?%\}|^\s*when:[^\n]*", text, re.S | re.M))
    used = set(re.findall(rf"(?<![\w.'\"/-]){role.name}_\w+", expressions))
    assert used - declared - made - given - filters == set()


def calls(path: Path) -> list[tuple[str, str, dict[str, Any]]]:
    """The roles that a playbook or a task file calls by an entry point: (role, entry point, variables)."""
    blocks = tasks_of(path) if path in TASK_FILES else [task for play in load(path) for task in play.get("tasks", [])]
    found = []
    for task in blocks:
        for module in ("ansible.builtin.include_role", "ansible.builtin.import_role"):
            if module in task and "tasks_from" in task[module]:
                each = task.get("loop_control", {}).get("loop_var")
                given = {**task.get("vars", {}), **({each: None} if each else {})}
                found.append((task[module]["name"], task[module]["tasks_from"], given))
    return found


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_an_entry_point_is_a_task_file_that_somebody_else_calls(role: Path) -> None:
    declared = entry_points(role)
    others = [path for path in [*PLAYBOOKS, *STEPS, *TASK_FILES] if role not in path.parents]
    called = {entry for path in others for name, entry, _ in calls(path) if name == role.name}
    assert called == set(declared)
    for name, entry in declared.items():
        assert (role / f"tasks/{name}.yml").exists(), name
        assert entry["description"].endswith("."), name
        assert set(entry) <= {"description", "parameters"}, name
        text = (role / f"tasks/{name}.yml").read_text()
        assert all(parameter in text for parameter in entry.get("parameters", {})), name


@pytest.mark.parametrize("path", [*PLAYBOOKS, *STEPS, *TASK_FILES], ids=name_of)
def test_a_call_of_an_entry_point_gives_what_it_declares(path: Path) -> None:
    for name, entry, given in calls(path):
        role = ROOT / "roles" / name
        declared = entry_points(role)[entry].get("parameters", {})
        assert set(given) <= set(declared) | set(options_of(role)), f"{name}: {entry}"
        required = {parameter for parameter, meaning in declared.items() if "Optional." not in meaning}
        assert required <= set(given), f"{name}: {entry}"


def test_a_renamed_variable_has_its_new_name_in_code_and_changelog() -> None:
    declared = {name for role in ROLES for name in options_of(role)}
    assert set(RENAMED.values()) <= declared
    assert not set(RENAMED) & declared
    changelog = (ROOT / "CHANGELOG.md").read_text()
    assert [old for old, new in RENAMED.items() if f"| `{old}` | `{new}` |" not in changelog] == []


INTERNAL = re.compile(r"(?<![\w.])__([a-z]\w*)")


@pytest.mark.parametrize(
    "path",
    [path for role in ROLES for path in sorted(role.rglob("*")) if path.is_file()]
    + [path for path in sorted((ROOT / "playbooks").rglob("*.yml")) if path.is_file()],
    ids=name_of,
)
def test_a_role_keeps_its_internal_variables_to_itself(path: Path) -> None:
    own = path.relative_to(ROOT / "roles").parts[0] if ROOT / "roles" in path.parents else None
    names = {name for name in INTERNAL.findall(path.read_text(errors="replace")) if not name.endswith("__")}
    assert [name for name in names if own is None or not name.startswith(f"{own}_")] == []


@pytest.mark.parametrize("path", [*PLAYBOOKS, *STEPS, ROOT / "site.yml"], ids=name_of)
def test_a_play_lists_roles_and_stops_for_all_hosts(path: Path) -> None:
    for play in load(path):
        if "ansible.builtin.import_playbook" in play:
            continue
        assert play["any_errors_fatal"] is True, play["name"]
        # Ansible counts an unreachable host twice then, takes the play for a good one, and goes on with other plays.
        assert play["max_fail_percentage"] == 0, play["name"]
        assert play["gather_facts"] is False, play["name"]
        assert not {"pre_tasks", "post_tasks", "handlers"} & set(play), play["name"]
        # Either roles, or one role by another entry point than its main tasks.
        assert ("roles" in play) != ("tasks" in play), play["name"]
        for task in play.get("tasks", []):
            assert "ansible.builtin.import_role" in task, task["name"]


# What a run goes on without, by the task's name, and why.
IGNORED = {
    "Ask each edge host which slot is live": "a dead one keeps no one from moving the public with those that are left",
    "Send no new requests to the host, and wait until its open ones have ended": "a lost one must not leave it drained",
    "Install pending updates": "a host without its updates gets its traffic again, then the run fails",
}


@pytest.mark.parametrize("path", TASK_FILES, ids=name_of)
def test_tasks_keep_the_house_rules(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 80, "a task file fits on a screen"
    for task in tasks_of(path):
        if task["name"] not in IGNORED:
            assert "ignore_errors" not in task, task["name"]
        assert "ansible.builtin.shell" not in task, task["name"]
        # Every run waits for these files, and a module takes twice as long to read them.
        if not task["name"].startswith("Read each slot's bundle"):
            assert "ansible.builtin.raw" not in task, task["name"]
        assert not ({"ansible.builtin.template"} & set(task) and "loop" in task), task["name"]
        conditions = str(task.get("when", ""))
        assert not re.search(r"environment_name|production|staging", conditions), task["name"]


def test_what_the_load_balancer_reads_is_tried_before_it_is_written() -> None:
    described: dict[str, Any] = {}
    for path in (ROOT / "roles").glob("edge*/vars/main.yml"):
        for tree in load(path)[f"__{path.parts[-3]}_trees"]:
            # An expression names certificates only.
            files = tree.get("files", [])
            listed = {file["dest"]: file for file in files} if isinstance(files, list) else {}
            described |= listed | tree.get("attributes", {})
    read = {dest: str(file.get("validate")) for dest, file in described.items() if dest.endswith(".cfg")}
    assert len(read) == 3, read
    assert [dest for dest, command in read.items() if not command.startswith("haproxy -c ")] == []


@pytest.mark.parametrize("path", TASK_FILES + TEMPLATES, ids=name_of)
def test_no_task_and_no_template_names_an_environment(path: Path) -> None:
    assert not re.search(r"\b(production|staging)\b", path.read_text(errors="replace"))


def test_nothing_outside_the_catalogue_names_a_service() -> None:
    services = {path.parent.name for path in (ROOT / "services").glob("*/service.yml")}
    places = [path for folder in ("roles", "playbooks") for path in (ROOT / folder).rglob("*") if path.is_file()]
    named = {
        (name_of(path), service)
        for path in [*places, ROOT / "site.yml"]
        for service in services
        # Nor one of its metrics or variables, such as portal_orders_total.
        if re.search(rf"(?<![a-z0-9]){service}(?![a-z0-9])", path.read_text(errors="replace"))
    }
    assert named == set()


def test_the_lab_is_known_to_nothing_outside_it() -> None:
    places = [
        path
        for folder in ("roles", "playbooks", "plugins", "library", "services", "inventories")
        for path in (ROOT / folder).glob("**/*")
        if path.is_file() and path.suffix in {".yml", ".py", ".j2"}
    ]
    assert [name_of(path) for path in places if re.search(r"\blab\b", path.read_text())] == []


@pytest.mark.parametrize("path", PLAYBOOKS, ids=name_of)
def test_every_playbook_has_a_page(path: Path) -> None:
    pages = "\n".join(page.read_text() for page in (ROOT / "docs").glob("**/*.md"))
    assert f"playbooks/{path.name}" in pages


def test_it_is_known_of_each_tree_of_files_whether_site_yml_holds_it() -> None:
    """A new one is in tests/real/trees.py, so that edits by hand in it are tried."""
    calls = [task["template_tree"] for path in TASK_FILES for task in tasks_of(path) if "template_tree" in task]
    kept = [load(role / "vars/main.yml") or {} for role in ROLES]
    trees = [tree for found in kept for name, value in found.items() if name.endswith("_trees") for tree in value]
    names = [call["name"] for call in (*calls, *trees) if "name" in call]
    # Slots and environments by any name.
    used, known = ({re.sub(r"{+[^}]*}+|blue|green", "*", name) for name in of} for of in (names, HELD | OTHERS.keys()))
    assert used == known


def test_facts_of_a_host_come_from_a_registered_result() -> None:
    """After a set_fact with run_once, Ansible has one `ansible_facts` for all hosts: those of the last one."""
    places = [
        path
        for folder in ("roles", "playbooks")
        for path in (ROOT / folder).rglob("*")
        if path.suffix in {".yml", ".j2"} and path.is_file()
    ]
    read = re.compile(r"^(?!\s*#).*(?:(?<![\w.])ansible_facts\b|hostvars\S*\.ansible_facts\b)", re.M)
    assert [name_of(path) for path in places if read.search(path.read_text(errors="replace"))] == []
