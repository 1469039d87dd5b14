# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The action `template_tree`, run by ansible-playbook on this machine: renders as ansible.builtin.template does.

Two playbooks in a temporary folder do all the work; the tests look at what they left.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from tests import warm_start

ROOT = Path(__file__).resolve().parents[3]
SECRET = "correct-horse-battery-staple-7"

# Templates that go through both, with the options that both know.
SAME: dict[str, tuple[str, dict[str, Any]]] = {
    "loop": ("{% for n in numbers %}\n n={{ n }}\n{% endfor %}\nend", {}),
    "no_trim": ("{% for n in numbers %}\n n={{ n }}\n{% endfor %}\n", {"trim_blocks": False}),
    "lstrip": ("  {% if true %}\n  yes\n  {% endif %}\n", {"lstrip_blocks": True}),
    "windows": ("one\ntwo {{ plain }}\n", {"newline_sequence": "\\r\\n"}),
    "header": (
        "#jinja2: variable_start_string:'[%', variable_end_string:'%]', trim_blocks: False\n[% plain %] {{ x }}\n",
        {},
    ),
    "delimiters": (
        "((* if true *))((= plain =))((* endif *))((# note #)) {{ }}\n",
        {
            "block_start_string": "((*",
            "block_end_string": "*))",
            "variable_start_string": "((=",
            "variable_end_string": "=))",
            "comment_start_string": "((#",
            "comment_end_string": "#))",
        },
    ),
    "latin": ("größe {{ umlaut }}\n", {"output_encoding": "latin-1"}),
    "include": ("{% include 'part.j2' %}\n{% include 'sub/part.j2' %}", {}),
    "macro": ("{% import 'macros.j2' as m with context %}{{ m.twice(plain) }}", {}),
    "managed": ("# {{ ansible_managed }}\n{{ template_path | basename }} {{ template_fullpath | basename }}\n", {}),
    "lazy": ("{{ nested }} {{ deep.list[1] }} {{ deep.dict | to_json }}\n", {}),
    "untrusted": ("{{ from_outside }}\n", {}),
    "backslashes": ("a\\nb {{ 'c\\\\d' }} {{ backslash }}\n", {}),
    "types": ("{{ numbers }} {{ none }} {{ true }} {{ 1.50 }} {{ {'a': [1]} }}\n", {}),
    "only_a_value": ("{{ numbers }}", {}),
    "nothing": ("", {}),
    "none_at_all": ("{{ none }}", {}),
    "newlines_at_the_end": ("x\n\n\n", {}),
    "raw": ("{% raw %}{{ not }}{% endraw %} {# gone #}\n", {}),
    "filters": (
        "{{ numbers | map('string') | join(',') }} {{ plain | b64encode }} {{ lookup('pipe', 'echo hi') }}\n",
        {},
    ),
    "defaults": ("{{ missing | default('d') }} {{ (missing is defined) | ternary(1, 2) }}\n", {}),
    "host": ("{{ inventory_hostname }} {{ hostvars.localhost.inventory_hostname_short }} {{ role_default }}\n", {}),
    "unicode": ("日本 {{ '€' }}\n", {}),
}
VARIABLES = {
    "numbers": [1, 2, 3],
    "plain": "text",
    "umlaut": "ü",
    "nested": "{{ plain }}-{{ numbers | length }}",
    "deep": {"list": [0, "{{ plain }}"], "dict": {"k": "{{ nested }}"}},
    "backslash": "x\\ty",
    "secret": SECRET,
}
BAD: dict[str, tuple[dict[str, Any], str]] = {
    "undefined": (
        {"files": [{"src": "bad.j2", "dest": "{out}/x"}]},
        "bad.j2, for {out}/x: 'no_such_thing' is undefined",
    ),
    "missing": ({"trees": [{"src": "no_such_folder"}]}, "Could not find or access 'no_such_folder'"),
    "tree_is_file": ({"trees": [{"src": "bad.j2"}]}, "is not a directory: list single templates in `files`"),
    "file_is_tree": ({"files": [{"src": "sub", "dest": "/x"}]}, "is a directory: list it in `trees`"),
    "option": ({"files": [{"content": "", "dest": "/x", "mod": "0644"}]}, "files.mod"),
    "attribute": (
        {"attributes": {"/x": {"mod": "0644"}}},
        "attributes of '/x': unknown mod (known: mode, owner, group",
    ),
    "rule": ({"attributes": {"/x": "0644"}}, "attributes of '/x' must be a dictionary"),
    "number": ({"files": [{"content": "", "dest": "/x", "mode": 420}]}, "/x: mode must be quoted octal digits"),
    "relative": ({"files": [{"content": "", "dest": "x"}]}, "'x' must be an absolute path"),
    "neither": ({"files": [{"dest": "/x"}]}, "one of the following is required: src, content"),
    "both": ({"files": [{"dest": "/x", "src": "part.j2", "content": ""}]}, "mutually exclusive"),
    "data": ({"files": [{"dest": "/x", "content": {"a": 1}}]}, "content must be text"),
    "validate": ({"files": [{"dest": "/x", "content": "", "validate": "true"}]}, "validate must contain %s"),
    "newline": (
        {"files": [{"dest": "/x", "src": "part.j2", "newline_sequence": "x"}]},
        "newline_sequence must be one",
    ),
    "twice": ({"files": [{"dest": "{out}/x", "content": ""}, {"dest": "{out}//x", "content": ""}]}, "is listed twice"),
    "secret": (
        {"files": [{"dest": "/x", "src": "bad_secret.j2", "secret": True}]},
        "can't be rendered (hidden: secret)",
    ),
    "syntax": ({"files": [{"dest": "/x", "src": "bad_syntax.j2"}]}, "bad_syntax.j2, for /x: "),
}


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("tree_action", ROOT / "plugins" / "action" / "template_tree.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Run:
    """A playbook that ran: its folder, what it said and the results of its tasks."""

    def __init__(self, root: Path, tasks: list[dict[str, Any]], *options: str) -> None:
        self.root = root
        names = [task["register"] for task in tasks if "register" in task]
        keep = "{{ {" + ", ".join(f"'{name}': {name}" for name in names) + "} | to_json }}"
        tasks.append({"ansible.builtin.copy": {"content": keep, "dest": f"{root}/results.json"}, "diff": False})
        tasks.append({"ansible.builtin.assert": {"that": ["true"]}})
        play = {
            "hosts": "localhost",
            "gather_facts": False,
            "vars": VARIABLES,
            "tasks": tasks,
            "roles": [{"role": "stuff"}],
        }
        settings = [f"{name} = {value}" for name, value in warm_start.SETTINGS.items()]
        (root / "ansible.cfg").write_text("\n".join(["[defaults]", *settings, ""]))
        (root / "play.yml").write_text(yaml.safe_dump([play], sort_keys=False))
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")},
            "ANSIBLE_CONFIG": str(root / "ansible.cfg"),
            "ANSIBLE_LIBRARY": str(ROOT / "library"),
            "ANSIBLE_ACTION_PLUGINS": str(ROOT / "plugins" / "action"),
            "ANSIBLE_MODULE_UTILS": str(ROOT / "plugins" / "module_utils"),
            "ANSIBLE_VARS_PLUGINS": str(ROOT / "plugins" / "vars"),
            "ANSIBLE_VARS_ENABLED": "host_group_vars,catalogue",
            "ANSIBLE_PIPELINING": "true",
            "ANSIBLE_INJECT_INVOCATION": "true",
            "ANSIBLE_LOCAL_TEMP": str(root / "tmp"),
            "ANSIBLE_NOCOLOR": "true",
        }
        interpreter = ["-e", f"ansible_python_interpreter={sys.executable}"]
        words = ["-i", "localhost,", "-c", "local", *interpreter, *options, "play.yml"]
        done = warm_start.run(words, root, environment)
        self.said = done.stdout + done.stderr
        assert done.returncode == 0, self.said
        self.results: dict[str, dict[str, Any]] = json.loads((root / "results.json").read_text())


def prepare(root: Path) -> Path:
    templates = root / "templates"
    (templates / "sub").mkdir(parents=True)
    for name, (text, _options) in SAME.items():
        (templates / f"{name}.j2").write_text(text, newline="")
    (templates / "part.j2").write_text("part {{ plain }}\n")
    (templates / "sub" / "part.j2").write_text("sub {{ numbers }}\n")
    (templates / "macros.j2").write_text("{% macro twice(x) %}{{ x }}{{ x }}{{ nested }}{% endmacro %}")
    (templates / "bad.j2").write_text("{{ no_such_thing }}\n")
    (templates / "bad_secret.j2").write_text("{{ secret | from_json }}\n")
    (templates / "bad_syntax.j2").write_text("{% if %}\n")
    (root / "roles" / "stuff" / "defaults").mkdir(parents=True)
    (root / "roles" / "stuff" / "defaults" / "main.yml").write_text("role_default: r\n")
    (root / "roles" / "stuff" / "templates" / "tree" / "etc").mkdir(parents=True)
    (root / "roles" / "stuff" / "templates" / "tree" / "etc" / "in_role.conf.j2").write_text("{{ role_default }}\n")
    (root / "roles" / "stuff" / "tasks").mkdir()
    call = {"name": "role", "manifest": f"{root}/role.json", "trees": [{"src": "tree", "dest": f"{root}/role"}]}
    (root / "roles" / "stuff" / "tasks" / "main.yml").write_text(yaml.safe_dump([{"template_tree": call}]))
    return root


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A playbook that renders everything twice, once by each of the two."""
    root = prepare(tmp_path_factory.mktemp("run"))
    (root / "usual").mkdir()
    files = root / "templates" / "verbatim"
    files.mkdir()
    (files / "image").write_bytes(b"\x00\xff{{ no }}")
    (files / "script.sh").write_text("#!/bin/sh\necho {{ not_rendered }}\n")
    (files / "script.sh").chmod(0o755)
    (files / "unit.service.j2").write_text("[Unit]\nDescription={{ item_says }} {{ plain }}\n")
    tree_of_files = {
        "src": "verbatim",
        "dest": f"{root}/tree",
        "mode": "preserve",
        "vars": {"item_says": "{{ plain }}!"},
    }
    tasks: list[dict[str, Any]] = [
        {"ansible.builtin.set_fact": {"from_outside": "{{ '{{' }} danger {{ '}}' }}"}},
        *(
            {"ansible.builtin.template": {"src": f"{name}.j2", "dest": f"{root}/usual/{name}", **options}}
            for name, (_text, options) in SAME.items()
        ),
        {
            "template_tree": {
                "name": "same",
                "manifest": f"{root}/same.json",
                "marker": "",
                "files": [
                    {"src": f"{name}.j2", "dest": f"{root}/ours/{name}", **options}
                    for name, (_text, options) in SAME.items()
                ],
            },
            "register": "same",
        },
        {
            "template_tree": {
                "name": "items",
                "manifest": f"{root}/items.json",
                "trees": [tree_of_files],
                "files": [
                    {"src": "part.j2", "dest": f"{root}/items/one.conf", "vars": {"plain": "one"}},
                    {"src": "part.j2", "dest": f"{root}/items/{{{{ plain }}}}.json", "vars": {"plain": "two"}},
                    {"content": "text {{ plain }}", "dest": f"{root}/items/content.conf", "mode": "0600"},
                    {"src": "part.j2", "dest": f"{root}/items/three.conf", "comment": "//"},
                ],
                "attributes": {
                    f"{root}/items/*": {"mode": "0640"},
                    f"{root}/items/one*": {"mode": "0604"},
                    f"{root}/tree/unit*": {"mode": "0611", "comment": ""},
                },
            },
            "register": "items",
        },
        {
            "template_tree": {"name": "l{{ item }}", "manifest": f"{root}/l{{{{ item }}}}.json", "files": [
                {"content": "{{ item }}", "dest": f"{root}/loop/{{{{ item }}}}"}
            ]},
            "loop": [1, 2],
            "register": "looped",
        },
        {
            "template_tree": {"name": "d", "manifest": f"{root}/d.json", "files": [
                {"content": "{{ inventory_hostname }}", "dest": f"{root}/delegated"}
            ]},
            "delegate_to": "localhost",
            "register": "delegated",
        },
    ]  # fmt: skip
    for name, (arguments, _message) in BAD.items():
        text = json.dumps({"name": "bad", "manifest": f"{root}/bad.json", **arguments}).replace("{out}", str(root))
        tasks.append({"template_tree": json.loads(text), "register": f"bad_{name}", "ignore_errors": True})
    return Run(root, tasks)


@pytest.mark.parametrize("name", SAME)
def test_rendering_equals_ansible_builtin_template(ran: Run, name: str) -> None:
    assert (ran.root / "ours" / name).read_bytes() == (ran.root / "usual" / name).read_bytes()


def test_a_folder_in_a_role_is_found(ran: Run) -> None:
    marker = "# Managed by Greenroom; change it there, not here.\n"
    assert (ran.root / "role" / "etc" / "in_role.conf").read_text() == f"{marker}r\n"


def test_items_have_variables_marks_and_modes_of_their_own(ran: Run) -> None:
    marker = "Managed by Greenroom; change it there, not here.\n"
    items = ran.root / "items"
    assert (items / "one.conf").read_text() == f"# {marker}part one\n"
    assert (items / "text.json").read_text() == "part two\n"
    assert (items / "content.conf").read_text() == "text text"
    assert (items / "three.conf").read_text() == f"// {marker}part text\n"
    modes = {path.name: f"{path.stat().st_mode & 0o777:o}" for path in items.iterdir()}
    assert modes == {"one.conf": "604", "text.json": "640", "content.conf": "600", "three.conf": "640"}


def test_a_folder_is_mirrored_with_what_is_not_a_template_as_it_is(ran: Run) -> None:
    mirrored = ran.root / "tree"
    assert (mirrored / "image").read_bytes() == b"\x00\xff{{ no }}"
    assert (mirrored / "script.sh").read_text() == "#!/bin/sh\necho {{ not_rendered }}\n"
    assert (mirrored / "script.sh").stat().st_mode & 0o777 == 0o755
    assert (mirrored / "unit.service").read_text() == "[Unit]\nDescription=text! text\n"
    assert (mirrored / "unit.service").stat().st_mode & 0o777 == 0o611


def test_loops_and_delegation(ran: Run) -> None:
    assert [(ran.root / "loop" / name).read_text() for name in ("1", "2")] == ["1", "2"]
    assert all(result["changed"] for result in ran.results["looped"]["results"])
    assert (ran.root / "delegated").read_text() == "localhost"


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_one_clear_message(ran: Run, name: str) -> None:
    result = ran.results[f"bad_{name}"]
    assert result["failed"]
    assert BAD[name][1].replace("{out}", str(ran.root)) in result["msg"]
    assert SECRET not in json.dumps(result)
    assert not (ran.root / "bad.json").exists()


def test_secrets_stay_secret_and_one_process_does_it_all(tmp_path: Path) -> None:
    root = prepare(tmp_path)
    (root / "templates" / "env.j2").write_text("PASSWORD={{ password }}\n")
    out = str(root / "out")
    call = {
        "name": "secret",
        "manifest": f"{root}/secret.json",
        "files": [
            {"src": "env.j2", "dest": f"{out}/env", "vars": {"password": "{{ secret }}"}, "secret": True},
            {"content": "{{ secret }}", "dest": f"{out}/content", "secret": True},
            {"content": "plain", "dest": f"{out}/plain"},
        ],
    }
    tasks: list[dict[str, Any]] = [
        {"name": "First", "template_tree": call, "register": "first"},
        {"name": "Second", "template_tree": call, "register": "second"},
        {"name": "Fail", "template_tree": {**call, "units": [{"name": "no/unit"}]}, "register": "third",
         "ignore_errors": True},
    ]  # fmt: skip
    run = Run(root, tasks, "-vvv", "--diff")
    assert (root / "out" / "env").read_text().endswith(f"PASSWORD={SECRET}\n")
    assert (root / "out" / "env").stat().st_mode & 0o777 == 0o600
    assert SECRET not in run.said.replace(f"'secret': '{SECRET}'", "")
    assert SECRET not in json.dumps(run.results)
    assert SECRET not in (root / "secret.json").read_text()
    assert f"{out}/env: created (content is secret)" in run.said
    assert "+plain" in run.said
    assert run.results["third"]["failed"]
    assert not run.results["second"]["changed"]
    first = run.said.split("TASK [First]")[1].split("TASK [Second]")[0]
    assert first.count("<localhost> EXEC ") == 1
    assert "<localhost> PUT " not in first


MARKER = "Managed by Greenroom; change it there, not here."


@pytest.mark.parametrize(
    ("dest", "text", "expected"),
    [
        ("/a.conf", "x\n", f"# {MARKER}\nx\n"),
        ("/etc/hosts", "x\n", f"# {MARKER}\nx\n"),
        ("/a.container", "[Container]\n", f"# {MARKER}\n[Container]\n"),
        ("/a.json", "{}\n", "{}\n"),
        ("/a.txt", "x\n", "x\n"),
        ("/a.unknown", "x\n", "x\n"),
        ("/a.js", "x\n", f"// {MARKER}\nx\n"),
        ("/a.lua", "x\n", f"-- {MARKER}\nx\n"),
        ("/a.zone", "x\n", f"; {MARKER}\nx\n"),
        ("/a.html", "<p>\n", f"<!-- {MARKER} -->\n<p>\n"),
        ("/a.css", "x\n", f"/* {MARKER} */\nx\n"),
        ("/a.xml", "<?xml?>\n<a/>\n", f"<?xml?>\n<!-- {MARKER} -->\n<a/>\n"),
        ("/a.sh", "#!/bin/sh\nx\n", f"#!/bin/sh\n# {MARKER}\nx\n"),
        ("/a", "#!/bin/sh", f"#!/bin/sh\n# {MARKER}\n"),
        ("/a.conf", f"x\n# {MARKER}\n", f"x\n# {MARKER}\n"),
        ("/a.conf", "", f"# {MARKER}\n"),
    ],
)
def test_the_marker_fits_the_file(dest: str, text: str, expected: str) -> None:
    assert load().add_marker(text, dest, MARKER, None) == expected


def test_the_marker_can_be_chosen() -> None:
    add_marker = load().add_marker
    assert add_marker("x\n", "/a.conf", "", None) == "x\n"
    assert add_marker("x\n", "/a.conf", MARKER, "") == "x\n"
    assert add_marker("x\n", "/a.json", MARKER, "//") == f"// {MARKER}\nx\n"
    assert add_marker("#!/x\r\ny\r\n", "/a", MARKER, None, "\r\n") == f"#!/x\r\n# {MARKER}\r\ny\r\n"
