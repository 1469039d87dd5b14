# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The module canary_traffic, with a journal that a script plays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from edge_log import entry
from modules import run_module


@pytest.fixture
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with what the journal says (`lines`), how journalctl ends (`code`), and what it was asked (`asked`)."""
    program = tmp_path / "journalctl"
    program.write_text(f'#!/bin/sh\necho "$@" >{tmp_path}/asked\ncat {tmp_path}/lines\nexit $(cat {tmp_path}/code)\n')
    program.chmod(0o755)
    (tmp_path / "code").write_text("0")
    (tmp_path / "lines").write_text("")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    return tmp_path


def traffic(**given: Any) -> dict[str, Any]:
    return run_module("canary_traffic", **{"since": 1000.25, "until": 1010.5, **given})


@pytest.mark.parametrize("check", [False, True])
def test_lines_are_counted_by_slot(journal: Path, check: bool) -> None:
    lines = [entry(), entry(slot="blue", chosen="live", status=500), entry(chosen="tester"), "Server app1 is UP", "{"]
    (journal / "lines").write_text("\n".join(lines) + "\n")
    result = traffic(check=check)
    assert not result.get("failed")
    assert (result["changed"], result["lines"], result["complete"], result["until"]) == (False, 5, True, 1010.5)
    counts = {slot: (figures["requests"], figures["failed"]) for slot, figures in result["slots"].items()}
    assert counts == {"green": (1, 0), "blue": (1, 1)}
    asked = (journal / "asked").read_text()
    assert "--identifier=haproxy --since=@1000.250 --until=@1010.500" in asked


def test_the_default_end_is_now_and_returned(journal: Path) -> None:
    assert traffic(until=None)["until"] > 1_700_000_000


def test_lines_above_the_limit_are_skipped_and_that_is_reported(journal: Path) -> None:
    (journal / "lines").write_text((entry() + "\n") * 5000)
    result = traffic(limit=100)
    assert (result["lines"], result["complete"]) == (100, False)
    assert result["slots"]["green"]["requests"] == 100


def test_a_journal_that_can_not_be_read_is_an_error(journal: Path) -> None:
    (journal / "code").write_text("1")
    result = traffic()
    assert result["failed"]
    assert "can't read the journal" in result["msg"]
