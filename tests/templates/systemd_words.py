# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""How systemd reads a command line of a unit: quotes and escapes, then specifiers, then variables.

See systemd.syntax(7), "Quoting", and systemd.service(5), "Command lines".
"""

from __future__ import annotations

import re

BLANKS = " \t\n\r"
ESCAPE = re.compile(r"""\\(?:(?P<letter>[abfnrtvs\\"'])|x(?P<hex>[0-9a-f]{2})|(?P<octal>[0-7]{3}))""", re.I)
LETTERS = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "s": " "}


def commands(line: str) -> list[list[str]]:
    """The commands of a line, each as the arguments that its program gets; fails for what systemd refuses."""
    found: list[list[str]] = [[]]
    rest = line.lstrip(BLANKS)
    while rest:
        if re.match(rf";(?:[{BLANKS}]|\Z)", rest):
            found.append([])
            rest = rest[1:].lstrip(BLANKS)
        elif re.match(rf"\\;(?:[{BLANKS}]|\Z)", rest):
            found[-1].append(";")
            rest = rest[2:].lstrip(BLANKS)
        else:
            word, rest = first(rest)
            found[-1].append(without_variables(without_specifiers(word)))
    return found


def first(text: str) -> tuple[str, str]:
    """The first word, without its quotes and escapes, and what follows it."""
    word, quote, place = "", "", 0
    while place < len(text):
        character = text[place]
        if character == "\\":
            escape = ESCAPE.match(text, place)
            assert escape, f"unknown escape: {text[place : place + 4]!r}"
            word += character_of(escape)
            place = escape.end()
            continue
        if quote:
            if character == quote:
                quote = ""
            else:
                word += character
        elif character in "\"'":
            quote = character
        elif character in BLANKS:
            break
        else:
            word += character
        place += 1
    assert not quote, "a quote is not closed"
    return word, text[place:].lstrip(BLANKS)


def character_of(escape: re.Match[str]) -> str:
    """The character that an escape stands for."""
    if escape["letter"]:
        return LETTERS.get(escape["letter"], escape["letter"])
    code = int(escape["hex"], 16) if escape["hex"] else int(escape["octal"], 8)
    assert 0 < code < 128, "more than one byte, or a zero byte"
    return chr(code)


def without_specifiers(word: str) -> str:
    """A word in which `%%` is `%`; any other specifier would be another text."""
    assert not re.search(r"%(?!%)", word.replace("%%", "")), f"a specifier in {word!r}"
    return word.replace("%%", "%")


def without_variables(word: str) -> str:
    """A word in which `$$` is `$`; a variable would be another text."""
    assert not re.match(r"\$[^${]", word), f"a variable in {word!r}"
    assert "${" not in word.replace("$$", ""), f"a variable in {word!r}"
    return word.replace("$$", "$")
