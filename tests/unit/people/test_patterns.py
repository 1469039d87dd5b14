"""Strings for the patterns of a schema."""

from __future__ import annotations

import re

import pytest
from ansible.module_utils.greenroom.people.invent.patterns import Pattern, PatternError, compiled
from ansible.module_utils.greenroom.people.invent.randomness import Stream
from hypothesis import given, settings
from hypothesis import strategies as st


def make(pattern: str, shortest: int = 0, longest: int | None = None, seed: int = 1) -> str:
    stream = Stream()
    stream.start(seed)
    found: str = Pattern(pattern, shortest, longest).make(stream)
    return found


@pytest.mark.parametrize(
    "pattern",
    [
        r"^[a-z]+$",
        r"^\d{5}(-\d{4})?$",
        r"^(Mr|Mrs|Dr\.)$",
        r"^\+[1-9]\d{6,14}$",
        r"^[^@\s]+@[^@\s]+\.[a-z]{2,}$",
        r"^(?=.*\d)(?=.*[A-Z])[A-Za-z\d]{8,}$",
        r"^(?!x)[a-z]{2}$",
        r"^(?:ab)*?c{2}\x41\u0042\x{43}$",
        r"^(?P<year>\d{4})-(?<month>\d\d)$",
        r"(?i)^(?i:abc)D$",
        r"^[\w.-]{3,}\z",
        r"\bword\b",
        r"^[[:alpha:]]{3}[[:digit:]$]\.$",
        r"^[\p{L} '-]+$",
        r"^\p{Lu}\p{Ll}+$",
        r"^\S+ \W\D$",
        r"^[^\W_]+\t\/\-$",
        r"^[\]a^-]+[-x][\b]?$",
        r"^a|b$",
        r".",
        "",
    ],
)
def test_generated_strings_match(pattern: str) -> None:
    for seed in range(20):
        assert compiled(pattern).search(make(pattern, seed=seed))


@pytest.mark.parametrize(
    ("pattern", "shortest", "longest"), [("^[a-z]+$", 30, 40), ("^[a-z ]*$", 0, 1), (r"\d", 200, 260)]
)
def test_lengths_are_respected(pattern: str, shortest: int, longest: int) -> None:
    for seed in range(20):
        assert shortest <= len(make(pattern, shortest, longest, seed)) <= longest


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("(", "can't be parsed"),
        ("[z-a]", "can't be parsed"),
        ("a)", "can't be parsed"),
        (r"(a)\1", "backreferences are not supported"),
        ("^a{5}b$", "found no text of 0 to 3 characters for the pattern ^a{5}b$"),
        ("x(?!y)y", "no text of 0 to 3 characters"),
        (r"^\p{Xx}$", "unknown Unicode category \\p{Xx}"),
        (r"\q", "can't be parsed"),
        ("(?>a)", "unknown kind of group"),
        ("[^\\x00-\\U0010ffff]", "unknown escape"),
    ],
)
def test_an_impossible_pattern_is_explained(pattern: str, text: str) -> None:
    with pytest.raises(PatternError) as caught:
        make(pattern, 0, 3)
    assert text in str(caught.value)
    assert pattern in str(caught.value)


def test_dollar_matches_only_at_the_end() -> None:
    assert not compiled("^a$").search("a\n")


LITERALS = st.text("abcXYZ019 _-", min_size=1, max_size=3).map(re.escape)
CLASSES = st.sampled_from(["[a-f]", "[^0-9]", r"\d", r"\w", "[A-Z0-9_-]", "."])
PATTERNS = st.recursive(
    LITERALS | CLASSES,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["?", "*", "+", "{2}", "{1,3}", "{2,}"])).map(
            lambda two: f"(?:{two[0]}){two[1]}"
        ),
        st.lists(inner, min_size=1, max_size=3).map("".join),
        st.lists(inner, min_size=2, max_size=3).map(lambda several: "(" + "|".join(several) + ")"),
    ),
    max_leaves=6,
)


@settings(deadline=None, max_examples=60)
@given(PATTERNS, st.integers(0, 2**64 - 1))
def test_combined_patterns_match_completely(pattern: str, seed: int) -> None:
    assert re.fullmatch(pattern, make(f"^{pattern}$", seed=seed))
    assert make(pattern, seed=seed) == make(pattern, seed=seed)
