# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Any argument and any environment variable arrives as it is, or is refused.

Arguments go through the hosts' Quadlet and systemd's rules for command lines, variables through the hosts' Podman.
"""

from __future__ import annotations

import json
import random
import re
import shlex
import string
from collections.abc import Sequence
from pathlib import Path

import pytest
from ansible.module_utils.greenroom.controller.bundle.arguments import argument_problem, exec_line
from ansible.module_utils.greenroom.controller.bundle.environment_file import environment_lines, variable_problem
from greenroom_lab import cache, images, podman
from systemd_words import commands

IMAGE = "registry.test/image"
UNIT = f"[Container]\nContainerName=a-blue\nImage={IMAGE}\nExec={{}}\n"
QUADLET = "QUADLET_UNIT_DIRS=/given /usr/libexec/podman/quadlet -dryrun 2>&1"
# A container that never runs, to see what Podman read.
PODMAN = "podman --root=/tmp/storage --runroot=/tmp/run --storage-driver=vfs"
CREATE = f"mkdir /tmp/root && {PODMAN} create --network=none --env-file=/given/environment --rootfs /tmp/root true"
READ = f"id=$({CREATE}) && {PODMAN} inspect $id"
LISTS = 500
VALUES = 500
# What has a meaning to a shell, to systemd, to Quadlet, or to Podman.
PIECES = (
    *("\\", "\\n", "\\x41", "\\q", "\\;", "\\\\", "'", '"', "''", '""', "$", "$$", "$HOME", "${HOME}", "%", "%%", "%h"),
    *(
        "%n",
        ";",
        ";;",
        " ",
        "  ",
        "\t",
        "\n",
        "\r\n",
        "\x01",
        "\x7f",
        "#",
        "=",
        "-",
        "--",
        "*",
        "?",
        "~",
        "`id`",
        "$(id)",
    ),
    *("|", "&", "<", ">", "(", ")", "{", "}", "{{ x }}", "[", "]", "!", "@", ":", "+", ",", "/", ".", "ä", "€", "😀"),
    *("\x85", "\xa0", "\u2028", "\ufeff", "-----BEGIN KEY-----\nMIIE\n-----END KEY-----\n"),
)


CHANCE = random.Random("values")


def text() -> str:
    """A text by chance, empty now and then."""
    return "".join(CHANCE.choice([CHANCE.choice(PIECES), CHANCE.choice(string.printable)]) for _ in range(size()))


def size() -> int:
    """How many pieces a text has."""
    return max(0, CHANCE.randrange(-1, 15) // 2)


def lists() -> list[list[str]]:
    """Lists of arguments: each piece alone, a long one, then chance."""
    found = [[piece] for piece in PIECES] + [["a" * 60_000, "end"]]
    return found + [[text() for _ in range(CHANCE.randrange(1, 5))] for _ in range(LISTS - len(found))]


def values() -> list[str]:
    """Values of variables: each piece alone, a long one, then chance."""
    found = [*PIECES, "", "a" * 60_000]
    return found + [text() for _ in range(VALUES - len(found))]


def on_a_host(shell: str, folder: Path) -> str:
    """The output of a command in a container of the hosts' image, with a folder as /given."""
    podman.setup()
    with cache.only_one():
        image = images.host()
    options = ("--rm", "--privileged", "--network=none", f"--volume={folder}:/given:ro")
    return podman.call("run", *options, image, "sh", "-c", shell)


def through_quadlet(lines: Sequence[str], folder: Path) -> dict[int, str]:
    """What Quadlet makes of each value of `Exec=`: the rest of `ExecStart=` after the image, by index."""
    for index, line in enumerate(lines):
        (folder / f"unit{index}.container").write_text(UNIT.format(line), encoding="utf-8", newline="")
    found = {}
    for part in re.split(r"^---unit(?=\d+\.service---$)", on_a_host(QUADLET, folder), flags=re.M)[1:]:
        start = re.search(rf"^ExecStart=.* {re.escape(IMAGE)}(.*)$", part, re.M)
        assert start, part
        found[int(part.partition(".")[0])] = start[1]
    return found


def through_podman(content: str, folder: Path) -> dict[str, str]:
    """The variables that Podman reads from an environment file, without its own."""
    (folder / "environment").write_text(content, encoding="utf-8", newline="")
    (container,) = json.loads(on_a_host(READ, folder))
    found = dict(entry.split("=", 1) for entry in container["Config"]["Env"])
    return {
        name: value for name, value in found.items() if name not in ("PATH", "HOME", "container", "HOSTNAME", "TERM")
    }


def test_any_argument_arrives_or_is_refused(tmp_path: Path) -> None:
    wanted = [words for words in lists() if not any(argument_problem(word, in_unit=True) for word in words)]
    assert len(wanted) > LISTS // 2
    found = through_quadlet([exec_line(words) for words in wanted], tmp_path)
    wrong = [words for index, words in enumerate(wanted) if commands(found[index]) != [words]]
    assert wrong == []


def test_the_quotes_of_a_shell_lose_arguments(tmp_path: Path) -> None:
    """The control: the test sees what gets lost."""
    wanted = [["a\\q", "end"], ["50%%"], ["$$"], ["", "end"], ["a", ";", "end"]]
    found = through_quadlet([shlex.join(words) for words in wanted], tmp_path)
    assert [words for index, words in enumerate(wanted) if commands(found[index]) == [words]] == []


def test_any_variable_arrives_or_is_refused(tmp_path: Path) -> None:
    wanted = {f"V{index}": value for index, value in enumerate(values())}
    wanted = {name: value for name, value in wanted.items() if not variable_problem(name, value)}
    assert len(wanted) > VALUES // 2
    assert through_podman(environment_lines(wanted), tmp_path) == wanted


def test_a_line_break_would_be_another_variable(tmp_path: Path) -> None:
    """The control: the test sees what gets lost."""
    assert through_podman("A=first\nB=another\n", tmp_path) != {"A": "first\nB=another"}


@pytest.mark.parametrize("word", ["", ";", "a\0b", "\ud800", "a" * 70_000])
def test_what_no_quoting_brings_through_is_refused(word: str) -> None:
    with pytest.raises(ValueError, match=r"^command\[1\]: ") as refused:
        exec_line(["first", word])
    assert len(str(refused.value)) < 200


@pytest.mark.parametrize("value", ["first\nB=another", "a\r", "\n", "a\0b", "\ud800", "a" * 70_000])
def test_what_no_line_brings_through_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match=r"^KEY has |^KEY is ") as refused:
        environment_lines({"KEY": value})
    assert len(str(refused.value)) < 200
    assert "another" not in str(refused.value)
