# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The page that adopts a program: tests/adoption/run.py does what it says, so it must be complete and short."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from ansible.module_utils.greenroom.controller.catalogue.catalogue import normalise
from ansible.module_utils.greenroom.controller.catalogue.service_checks import problems
from ansible.module_utils.greenroom.controller.catalogue.service_schema import structure_errors

from tests.adoption import page, programs, run

ROOT = Path(__file__).resolve().parents[3]
SAMPLE = """\
# A page

    before any section

## First

`a/service.yml`:

```yaml
image: a
environment:
    B: "indented, and no command"
```

    make new ENV=a \\
      HOSTS='b c'

    export D=e

Text of a paragraph,
    continued.

```sh
other/program
```

## Second

- a list

    ansible-playbook site.yml
"""
GROUPS = {"all": ["e", "a"], "edge": ["e"], "app": ["a"], "ops": ["e"], "data": ["d"], "files": ["a"]}


def test_files_and_commands_come_in_the_order_of_the_page() -> None:
    text = SAMPLE.replace("    before any section\n", "").replace("    continued.", "continued.")
    found = page.steps(text)
    assert [(each.section, each.words) for each in found] == [
        ("First", "a/service.yml"),
        ("First", "make new ENV=a HOSTS='b c'"),
        ("First", "export D=e"),
        ("Second", "ansible-playbook site.yml"),
    ]
    assert found[0].content == 'image: a\nenvironment:\n    B: "indented, and no command"\n'
    assert [each.lines for each in found] == [3, 1, 1, 1]


def test_the_first_program_needs_few_lines() -> None:
    own = [each for each in page.steps() if each.section in run.FIRST]
    assert 0 < sum(each.lines for each in own) <= run.AIM_LINES
    assert {each.section for each in own} == set(run.FIRST)


@pytest.mark.parametrize("section", run.FIRST[1:])
def test_the_services_on_the_page_are_valid(section: str) -> None:
    files = {each.words: each.content for each in page.steps() if each.section == section and each.content}
    services = {}
    for name, content in files.items():
        if name.endswith("/service.yml"):
            raw = yaml.safe_load(content)
            assert structure_errors(raw) == [], name
            service = name.split("/")[1]
            services[service] = normalise(service, raw, f"/srv/{service}")
    assert services
    # Their image is in the release, and tests/adoption builds it.
    images = yaml.safe_load(files["releases/acme.yml"])["images"]
    assert {each["image"] for each in services.values()} <= set(images)
    assert set(images.values()) <= {f"adopt/miniflux:{programs.MINIFLUX}", f"adopt/radicale:{programs.RADICALE}"}
    # Its checks are not in a folder here.
    found = [(name, line) for name, line in problems(services, GROUPS) if "checks.yml" not in line]
    assert found == []


def test_the_playbooks_on_the_page_exist() -> None:
    named = [word for each in page.steps() for word in re.findall(r"[\w/.-]+\.yml", each.words) if not each.content]
    playbooks = {word for word in named if word == "site.yml" or word.startswith("playbooks/")}
    assert playbooks
    assert [name for name in playbooks if not (ROOT / name).is_file()] == []
