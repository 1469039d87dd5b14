# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The output of runs with fake hosts: with the project's callback and, for comparison, with Ansible's."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ansible_runner
import plays
import pytest
import yaml
from plays import DEAD, ROOT

PROGRAM = str(Path(sys.executable).with_name("ansible-playbook"))
HOSTS = {"edge": ["edge1"], "app": ["app1", "app2"], "ops": ["ops1"], "gone": ["gone1"]}
# As all who read a run's output do.
ERROR = re.compile(r"^\[ERROR\]: (.*?)\n(?:Origin: |\n|fatal: )", re.M | re.S)
RECAP = re.compile(r"^(\S+)\s+: ok=(\d+)\s+changed=(\d+)\s+unreachable=(\d+)\s+failed=(\d+)", re.M)
TREE = """#!/usr/bin/python
from ansible.module_utils.basic import AnsibleModule
module = AnsibleModule({"many": {"type": "bool"}}, supports_check_mode=True)
files = [f"/etc/a/rather/long/name/of/a/file/{number}" for number in range(7)] if module.params["many"] else ["/etc/a"]
module.exit_json(changed=True, changed_files=files, removed_files=[], units={"a.service": "restarted"})
"""
SITE_STEPS = (
    "open",
    "hosts",
    "data",
    "edge",
    "monitoring",
    "sandboxes",
    "deploy",
    "seed",
    "smoke",
    "cutover",
    "report",
)
FOREIGN = """
- name: Prepare {{ where }}
  hosts: app
  gather_facts: false
  vars: {where: app hosts}
  tasks:
    - name: See to {{ inventory_hostname }}
      ansible.builtin.set_fact: {a: 1}
      changed_when: true
      notify: Handle it
    - name: See to nothing
      ansible.builtin.set_fact: {a: 1}
    - name: See to a file
      ansible.builtin.copy: {content: "new\\n", dest: "{{ folder }}/file-{{ inventory_hostname }}", mode: "0644"}
    - name: See to some
      ansible.builtin.set_fact: {a: 1}
      loop: [one, two, three]
      changed_when: item != 'two'
    - name: See to it elsewhere
      ansible.builtin.set_fact: {a: 1}
      changed_when: true
      delegate_to: ops1
      run_once: true
    - name: Say the same
      ansible.builtin.debug: {msg: all say this}
    - name: Say one's own
      ansible.builtin.debug: {msg: "{{ inventory_hostname }} is at {{ item }}"}
      loop: [it]
    - name: Say much
      ansible.builtin.debug:
        msg: {"the second": "two\\nlines", "a first": [1, {"x": "y"}]}
      run_once: true
    - name: Keep a secret
      ansible.builtin.debug: {msg: hunter2}
      no_log: true
    - name: Change a secret
      ansible.builtin.set_fact: {a: "{{ item }}"}
      changed_when: true
      loop: [hunter2]
      no_log: true
    - name: Include more
      ansible.builtin.include_tasks: more.yml
      loop: [1, 2]
  handlers:
    - name: Handle it
      ansible.builtin.set_fact: {a: 1}
      changed_when: true

- name: Nobody's play
  hosts: edge:!all
  gather_facts: false
  tasks:
    - name: Say what nobody hears
      ansible.builtin.debug: {msg: unheard}

- name: Go free
  hosts: app
  gather_facts: false
  strategy: free
  tasks:
    - name: See to it in any order
      ansible.builtin.set_fact: {a: 1}
      changed_when: true
    - name: Stay silent
      ansible.builtin.set_fact: {a: 1}
"""
MORE = """
- name: See to number {{ item }}
  ansible.builtin.set_fact: {a: 1}
  changed_when: true
"""
ERRORS = """
- name: Go wrong
  hosts: app:gone
  gather_facts: false
  tasks:
    - name: Reach everybody
      ansible.builtin.ping:
    - name: Ignore what fails
      ansible.builtin.fail: {msg: of no importance}
      ignore_errors: true
    - name: Mend what fails
      block:
        - name: Fail for now
          ansible.builtin.fail: {msg: to be mended}
      rescue:
        - name: Mend it
          ansible.builtin.set_fact: {a: 1}
          changed_when: true
    - name: Fail in one item
      ansible.builtin.assert: {that: item != 'bad', fail_msg: "{{ item }} is bad", success_msg: fine}
      loop: [good, bad]
      ignore_errors: true
      changed_when: true
    - name: Warn
      ansible.builtin.set_fact: {a: "{{ lookup('ansible.builtin.file', '/nowhere', errors='warn') }}"}
    - name: Fail in several lines
      ansible.builtin.fail: {msg: "the first line\\nthe second line"}
      when: inventory_hostname == 'app1'
      any_errors_fatal: true
"""


class Project:
    """A temporary project with the callback of this one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.outputs: dict[tuple[Any, ...], subprocess.CompletedProcess[str]] = {}
        for name in ("plugins/callback", "playbooks/steps", "roles/report/tasks", "library", "connection"):
            (folder / name).mkdir(parents=True)
        # A copy, as the plugin takes for the project what it lies in.
        for name in ("greenroom.py", "run_record.py"):
            shutil.copy(ROOT / "plugins/callback" / name, folder / "plugins/callback")
        (folder / "plugins/module_utils").symlink_to(ROOT / "plugins/module_utils")
        (folder / "library/template_tree.py").write_text(TREE)
        (folder / "connection/dead.py").write_text(DEAD)
        self._site()
        for name, text in {"foreign": FOREIGN, "more": MORE, "errors": ERRORS}.items():
            (folder / f"{name}.yml").write_text(text)
        members: dict[str, Any] = {
            group: {"hosts": {host: {"ansible_connection": "dead"} if group == "gone" else {} for host in hosts}}
            for group, hosts in HOSTS.items()
        }
        variables = {"ansible_python_interpreter": sys.executable, "ansible_connection": "local", "folder": str(folder)}
        plays.write_hosts(folder, members, variables)
        settings = {"callback_plugins": "plugins/callback", "connection_plugins": "connection", "roles_path": "roles"}
        plays.configure(folder, **settings, stdout_callback="greenroom", callback_result_format="yaml")

    def _site(self) -> None:
        sometimes = "change | default(false) | bool"
        for step in SITE_STEPS:
            call: dict[str, Any] = {"ansible.builtin.set_fact": {"a": 1}, "changed_when": sometimes}
            tasks: list[dict[str, Any]] = [{"name": f"See to {step}", **call}]
            play = {"name": f"Take care of {step}", "hosts": "all:!gone", "gather_facts": False}
            content = [play | {"tasks": tasks}, play | {"name": "Do no more"}]
            match step:
                case "sandboxes":
                    content = [play | {"hosts": "all:!all", "tasks": tasks}]
                case "deploy":
                    for size in ("one", "many"):
                        call = {"template_tree": {"many": size == "many"}, "run_once": True, "when": sometimes}
                        tasks.append({"name": f"Apply {size}", **call})
                case "report":
                    content = [play | {"roles": ["report"]}]
            (self.folder / f"playbooks/steps/{step}.yml").write_text(yaml.safe_dump(content, sort_keys=False))
        said = {"environment": "staging", "live slot": "blue", "next": ["one playbook", "another one"], "seconds": 3}
        say = {"name": "Say what came of it", "ansible.builtin.debug": {"msg": said}, "run_once": True}
        # What follows it is no reason for it not to be the last thing that is said.
        after = {"name": "Say more", "ansible.builtin.debug": {"msg": "more"}, "run_once": True}
        (self.folder / "roles/report/tasks/main.yml").write_text(yaml.safe_dump([say, after], sort_keys=False))
        # A step that comes again, later, is a phase of its own.
        steps = [*SITE_STEPS[:-1], "smoke", SITE_STEPS[-1]]
        imports = [{"name": step, "ansible.builtin.import_playbook": f"playbooks/steps/{step}.yml"} for step in steps]
        (self.folder / "site.yml").write_text(yaml.safe_dump(imports, sort_keys=False))

    def play(self, *words: str, typed: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a playbook once for all tests. Standard output and error are merged, as on a terminal."""
        key = (words, typed, *sorted(variables.items()))
        if key not in self.outputs:
            self.outputs[key] = subprocess.run(
                [PROGRAM, "-i", "hosts.yml", *words],
                cwd=self.folder,
                env={**os.environ, "ANSIBLE_CONFIG": str(self.folder / "ansible.cfg"), **variables},
                input=typed,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=120,
                check=False,
            )
        return self.outputs[key]

    def lines(self, *words: str, **variables: str) -> list[str]:
        """The lines of a successful run."""
        done = self.play(*words, **variables)
        assert done.returncode == 0, done.stdout
        return done.stdout.splitlines()


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return Project(tmp_path_factory.mktemp("project"))


# A run of our own


def test_a_run_without_changes_prints_phases_hosts_and_summary(project: Project) -> None:
    lines = project.lines("site.yml")
    assert len(lines) < 60
    other = [line for line in lines if line and not line.startswith("Phase ") and not RECAP.match(line)]
    assert other[0] == "more"
    assert other[1].startswith("PLAY RECAP")
    assert re.match(r"Took \d+ s: open \d+ s, hosts \d+ s, ", other[2])
    assert other[other.index("environment  staging") :] == [
        *("environment  staging", "live slot    blue", "next         one playbook"),
        *("             another one", "seconds      3"),
    ]


def test_phases_are_numbered(project: Project) -> None:
    phases = [line for line in project.lines("site.yml") if line.startswith("Phase ")]
    names = [*SITE_STEPS[:5], "sandboxes: nothing to do", *SITE_STEPS[6:-1], "smoke", "report"]
    assert phases == [f"Phase {number} of 12: {name}" for number, name in enumerate(names, 1)]


def test_durations_are_printed_once_per_phase_with_tasks(project: Project) -> None:
    output = project.play("site.yml").stdout
    took = re.search(r"^Took .*(\n  .*)*", output, re.M)
    assert took
    names = re.findall(r"(\w+) \d+ s(?:,|$)", took[0].split(":")[1].replace("\n", " "))
    assert names == [*(step for step in SITE_STEPS if step != "sandboxes")]
    assert max(map(len, took[0].splitlines())) <= 100


def test_each_changed_task_is_one_line_with_its_hosts(project: Project) -> None:
    lines = project.lines("site.yml", "-e", "change=true")
    assert len(lines) < 200
    changed = [line for line in lines if line.startswith("changed: ")]
    assert changed[:2] == [f"changed: edge1, app1, app2, ops1  See to {step}" for step in SITE_STEPS[:2]]
    assert len(changed) == len(SITE_STEPS) - 2 + 1 + 2, "each step but two, one of them twice, and two trees"


def test_what_a_template_tree_changed_is_listed_or_counted(project: Project) -> None:
    lines = project.lines("site.yml", "-e", "change=true")
    assert "changed: edge1  Apply one (/etc/a; a.service restarted)" in lines
    assert "changed: edge1  Apply many (7 files; a.service restarted)" in lines


def test_check_mode_is_announced_and_lists_all_changes(project: Project) -> None:
    lines = project.lines("site.yml", "-e", "change=true", "--check")
    assert lines[0].startswith("CHECK MODE: nothing is changed")
    assert lines[-1] == lines[0]
    (tree,) = [line for line in lines if "Apply many" in line]
    assert tree.startswith("would change: edge1  Apply many (/etc/a/rather/long/name/of/a/file/0, ")
    assert "/etc/a/rather/long/name/of/a/file/6; a.service restarted)" in tree


# A foreign playbook


def test_each_foreign_play_is_a_phase(project: Project) -> None:
    phases = [line for line in project.lines("foreign.yml") if line.startswith("Phase ")]
    names = ["Prepare app hosts", "Nobody's play: nothing to do", "Go free"]
    assert phases == [f"Phase {number} of 3: {name}" for number, name in enumerate(names, 1)]


def test_loops_handlers_includes_and_delegated_tasks_are_printed(project: Project) -> None:
    changed = [line for line in project.lines("foreign.yml") if line.startswith("changed: ")]
    assert changed[-1] in {f"changed: {hosts}  See to it in any order" for hosts in ("app1, app2", "app2, app1")}
    assert [line for line in changed if "a file" not in line][:-1] == [
        # The name as Ansible gives it: the first host's.
        "changed: app1, app2  See to app1",
        "changed: app1, app2  See to some (one, three)",
        "changed: app1 -> ops1  See to it elsewhere",
        "changed: app1, app2  Change a secret",
        "changed: app1, app2  See to number 1",
        "changed: app1, app2  See to number 2",
        "changed: app1, app2  Handle it",
    ]


def test_messages_are_readable(project: Project) -> None:
    output = project.play("foreign.yml").stdout
    assert "\nall say this\napp1: app1 is at it\napp2: app2 is at it\n" in output
    assert "\nthe second: |-\n  two\n  lines\na first:\n- 1\n- x: y\n" in output
    assert "unheard" not in output


@pytest.mark.parametrize("options", [(), ("-v",)])
def test_no_secret_is_printed(project: Project, options: tuple[str, ...]) -> None:
    output = project.play("foreign.yml", *options).stdout
    assert "hidden due to the fact that" in output
    assert "hunter2" not in output


def comparable(lines: list[str]) -> list[str]:
    """Lines without parts that differ between runs: the order of hosts, and names of temporary files.

    A play with the strategy `free` names a task again each time that another host's result comes between. So its names
    count once, and empty lines and lines of asterisks, which belong to them, not at all.
    """
    same = [re.sub(r"ansible-tmp-\S+| for app\d, app\d", "", line) for line in lines]
    free = [line for line in same if line.startswith(("TASK [See to it in any order]", "TASK [Stay silent]"))]
    return sorted([line for line in same if line.strip("*") and line not in free] + [*set(free)])


def test_verbose_output_equals_that_of_ansible(project: Project) -> None:
    # Creates what neither of the next two runs has to create.
    project.play("foreign.yml")
    ours = project.lines("foreign.yml", "-v")
    theirs = project.lines("foreign.yml", "-v", ANSIBLE_STDOUT_CALLBACK="ansible.builtin.default")
    added = [line for line in ours if line.startswith(("Phase ", "Took "))]
    assert len(added) == 3 + 1
    assert comparable([line for line in ours if line not in added]) == comparable(theirs)


def test_diffs_are_printed_completely_with_their_host(project: Project) -> None:
    lines = project.lines("foreign.yml", "--check", "--diff", "-e", f"folder={project.folder}/plugins")
    text = "\n".join(lines)
    for host in HOSTS["app"]:
        shown = f"+++ after: {project.folder}/plugins/file-{host}\n@@ -0,0 +1 @@\n+new\n\nchanged: [{host}]"
        assert shown in text
    assert "TASK [See to a file] ***" in text
    assert "changed: app1, app2  See to a file" not in text
    assert "would change: app1, app2  See to some (one, three)" in text


# Errors


def errors_of(output: str) -> list[str]:
    """The lines about errors: all lines without those that the default callback prints about success."""
    shown = re.sub(r"^(ok|changed|skipping): .*\n(    .*\n)*|^(PLAY|TASK) .*\n", "", output, flags=re.M)
    return sorted(line for line in shown.splitlines() if line and not line.startswith(("Phase ", "Took ")))


def once(output: str) -> str:
    """An output of the default callback, but with the message of a failure only above its result."""
    return re.sub(r"^(fatal: \S+ FAILED! => ?\n(?:    .*\n)*?)    msg: .*\n(?:     .*\n)*", r"\1", output, flags=re.M)


def test_errors_and_warnings_are_as_complete_as_those_of_ansible(project: Project) -> None:
    ours = project.play("errors.yml")
    theirs = project.play("errors.yml", ANSIBLE_STDOUT_CALLBACK="ansible.builtin.default")
    assert ours.returncode == theirs.returncode != 0
    ended = "Failed in phase 1 of 1: Go wrong"
    assert [line for line in errors_of(ours.stdout) if line != ended] == errors_of(once(theirs.stdout))
    assert ended in ours.stdout
    # Each message, once.
    assert ours.stdout.count("the first line") == 1
    assert theirs.stdout.count("the first line") == 2
    assert "[WARNING]: " in ours.stdout
    assert ours.stdout.count("...ignoring") == 4


def test_errors_can_be_parsed_from_the_output(project: Project) -> None:
    output = project.play("errors.yml").stdout
    assert any("the first line\nthe second line" in error for error in ERROR.findall(output))
    assert any("no route to host" in error for error in ERROR.findall(output))
    counts = {host: tuple(map(int, numbers)) for host, *numbers in RECAP.findall(output)}
    assert counts["gone1"] == (0, 0, 1, 0)
    assert counts["app1"][3] == 1


def test_an_error_is_printed_below_its_task(project: Project) -> None:
    output = project.play("errors.yml").stdout
    for task in ("Reach everybody", "Ignore what fails", "Fail for now", "Fail in one item", "Fail in several lines"):
        assert f"TASK [{task}] ***" in output
    assert "TASK [Mend it]" not in output
    assert "changed: app1, app2  Mend it" in output
    assert "changed: app1, app2  Fail in one item (good)" in output


# Whatever asks for it


def test_colors_are_used_on_terminals_or_if_forced(project: Project) -> None:
    nobody = ("foreign.yml", "--limit", "ops")
    assert "\x1b[" in project.play(*nobody, ANSIBLE_FORCE_COLOR="1").stdout
    assert "\x1b[" not in project.play("foreign.yml").stdout
    shown = on_terminal(project, *nobody, ANSIBLE_NOCOLOR="1")
    assert shown.startswith("Phase 1 of 3: Prepare app hosts: nothing to do\r\n")
    assert "\x1b[" not in shown
    assert "\x1b[" in on_terminal(project, *nobody)


def on_terminal(project: Project, *words: str, **variables: str) -> str:
    """The output of a run on a terminal."""
    ours, theirs = pty.openpty()
    environment = os.environ | {"ANSIBLE_CONFIG": str(project.folder / "ansible.cfg"), "TERM": "xterm"} | variables
    command = [PROGRAM, "-i", "hosts.yml", *words]
    with subprocess.Popen(command, cwd=project.folder, env=environment, stdin=theirs, stdout=theirs) as process:
        os.close(theirs)
        shown = b""
        # The terminal ends with an error when nobody has it open any more.
        with contextlib.suppress(OSError):
            while part := os.read(ours, 65536):
                shown += part
        assert process.wait(60) == 0
    os.close(ours)
    return shown.decode()


def test_listing_tasks_prints_no_extra_output(project: Project) -> None:
    tasks = project.play("foreign.yml", "--list-tasks")
    assert tasks.returncode == 0
    assert "See to nothing" in tasks.stdout
    syntax = project.play("foreign.yml", "--syntax-check")
    assert syntax.returncode == 0
    assert "Phase " not in tasks.stdout + syntax.stdout


def test_a_run_can_start_at_a_task_and_go_step_by_step(project: Project) -> None:
    options = ("--start-at-task", "See to it elsewhere", "--step", "--limit", "app1")
    done = project.play("foreign.yml", *options, typed="y\ny\nc\nc\n")
    assert done.returncode == 0, done.stdout
    # What a task has to say stands before the question about the next one.
    for said, question in (("it elsewhere\n", "Say the same"), ("\nall say this\n", "Say one's own")):
        assert 0 < done.stdout.index(said) < done.stdout.index(f"Perform task: TASK: {question}")
    assert "changed: app1  See to number 2" in done.stdout
    assert "See to some" not in done.stdout


def until(true: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + 60
    while not true():
        assert time.monotonic() < end, f"not within 60 s: {what}"
        time.sleep(0.05)


def test_long_tasks_print_progress(project: Project, tmp_path: Path) -> None:
    """Also if the output is a file: it is flushed at once."""
    wait = {"ansible.builtin.set_fact": {"a": 1}, "until": "lookup('ansible.builtin.fileglob', go) | length > 0"}
    tasks = [
        {"name": "Wait for long", **wait, "retries": 1000, "delay": 0.2, "vars": {"go": str(tmp_path / "go")}},
        {"name": "Wait for no time", "ansible.builtin.set_fact": {"a": 1}},
    ]
    play = [{"name": "Wait", "hosts": "app", "gather_facts": False, "tasks": tasks}]
    (tmp_path / "wait.yml").write_text(json.dumps(play))
    output = tmp_path / "output"
    configuration = {"ANSIBLE_CONFIG": str(project.folder / "ansible.cfg"), "GREENROOM_PROGRESS_SECONDS": "1"}
    command = [PROGRAM, "-i", str(project.folder / "hosts.yml"), str(tmp_path / "wait.yml")]
    with (
        output.open("wb") as file,
        subprocess.Popen(command, cwd=project.folder, env=os.environ | configuration, stdout=file) as process,
    ):
        try:
            until(lambda: output.read_text().count("still running: ") >= 2, "it is told twice")
        finally:
            (tmp_path / "go").touch()
        assert process.wait(60) == 0
    lines = [line for line in output.read_text().splitlines() if line.startswith("still running: ")]
    seconds = [int(re.findall(r"\((\d+) s, try \d+ of 1001\)", line)[0]) for line in lines]
    assert lines[0].startswith("still running: app1, app2  Wait for long (")
    # Both are rounded.
    assert seconds[1] >= 2 * seconds[0] - 1, "later and later"
    assert "FAILED - RETRYING" not in output.read_text()
    assert "Wait for no time" not in output.read_text()


def test_another_callback_gets_the_summary_as_data(project: Project) -> None:
    """AWX and ansible-runner replace this callback with their own."""
    (project.folder / "runner").mkdir()
    runner = ansible_runner.run(
        private_data_dir=str(project.folder / "runner"),
        project_dir=str(project.folder),
        playbook="site.yml",
        inventory=str(project.folder / "hosts.yml"),
        envvars={
            "ANSIBLE_CONFIG": str(project.folder / "ansible.cfg"),
            "PATH": f"{Path(PROGRAM).parent}:{os.environ['PATH']}",
        },
        cmdline="--limit ops",
        quiet=True,
    )
    assert runner.status == "successful", runner.stdout.read()
    (said,) = [
        event["event_data"]["res"]["msg"]
        for event in runner.events
        if event["event"] == "runner_on_ok" and event["event_data"]["task"] == "Say what came of it"
    ]
    assert said["live slot"] == "blue"
    assert said["next"] == ["one playbook", "another one"]
