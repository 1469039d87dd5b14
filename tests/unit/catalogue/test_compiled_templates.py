# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Templates are compiled once and cached; a changed template or option is compiled again."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible.module_utils.greenroom.controller.common.compiled_templates import CompiledTemplates, wrap
from jinja2 import Environment, TemplateSyntaxError
from jinja2.bccache import FileSystemBytecodeCache


class Kept:
    """A class of environments with a cache folder, and the number of actual compilations."""

    def __init__(self, folder: Path) -> None:
        self.compiled = 0
        outer = self

        class Counted(Environment):
            def _compile(self, source: str, filename: str):  # type: ignore[no-untyped-def]
                outer.compiled += 1
                return super()._compile(source, filename)

        wrap(Counted, CompiledTemplates(FileSystemBytecodeCache(str(folder)), lambda each: each.trim_blocks))
        self.environment_class = Counted

    def render(self, text: str, trim: bool = False, **variables: object) -> str:
        return self.environment_class(trim_blocks=trim).from_string(text).render(variables)

    def evaluate(self, text: str, **variables: object) -> object:
        return self.environment_class().compile_expression(text)(**variables)


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    return Kept(tmp_path)


def test_a_template_is_compiled_once(kept: Kept) -> None:
    assert [kept.render("{{ a }}!", a=number) for number in (1, 2)] == ["1!", "2!"]
    assert kept.compiled == 1


def test_another_process_uses_the_compiled_template(kept: Kept, tmp_path: Path) -> None:
    kept.render("{{ a }}!", a=1)
    kept.evaluate("a + 1", a=1)
    later = Kept(tmp_path)
    assert later.render("{{ a }}!", a=3) == "3!"
    assert later.evaluate("a + 1", a=3) == 4
    assert later.compiled == 0


def test_a_changed_template_is_compiled(kept: Kept) -> None:
    assert [kept.render(text, a=1) for text in ("{{ a }}!", "{{ a }}?")] == ["1!", "1?"]
    assert kept.compiled == 2


def test_changed_options_are_compiled(kept: Kept) -> None:
    text = "{% if a %}\nyes{% endif %}"
    assert [kept.render(text, trim, a=1) for trim in (False, True)] == ["\nyes", "yes"]


def test_an_expression_and_a_template_differ(kept: Kept) -> None:
    assert kept.render("a", a=1) == "a"
    assert kept.evaluate("a", a=1) == 1
    assert kept.render("a", a=1) == "a"


def test_an_invalid_template_fails_each_time(kept: Kept) -> None:
    for _ in range(2):
        with pytest.raises(TemplateSyntaxError):
            kept.render("{{ a")
        with pytest.raises(TemplateSyntaxError):
            kept.evaluate("a +")
    assert kept.evaluate("a", a=1) == 1


@pytest.mark.parametrize("damage", [b"", b"x" * 100])
def test_a_damaged_file_is_compiled_again(kept: Kept, tmp_path: Path, damage: bytes) -> None:
    kept.render("{{ a }}!", a=1)
    (file,) = tmp_path.iterdir()
    file.write_bytes(damage)
    assert Kept(tmp_path).render("{{ a }}!", a=2) == "2!"


def test_a_missing_folder_only_costs_time(tmp_path: Path) -> None:
    gone = Kept(tmp_path / "gone")
    assert gone.render("{{ a }}!", a=1) == "1!"
    assert gone.compiled == 1
