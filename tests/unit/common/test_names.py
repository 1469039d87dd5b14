"""The right name beside a misspelt one."""

from __future__ import annotations

from ansible.module_utils.greenroom.common.names import nearest, suggestion
from hypothesis import given
from hypothesis import strategies as st


def test_the_nearest_name_is_suggested() -> None:
    assert suggestion("prt", ["path", "port", "limit"]) == '; did you mean "port"?'


def test_without_a_similar_name_all_names_are_listed() -> None:
    assert suggestion("zzz", ["b", "a"]) == "; known: a, b"
    assert suggestion("zzz", []) == ""


@given(st.sets(st.text(min_size=1), min_size=1))
def test_a_correct_name_is_its_own_nearest(names: set[str]) -> None:
    for name in names:
        assert nearest(name, names) == name
