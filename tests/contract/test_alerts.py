# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Each alert says how bad it is and where to read what to do, and has a case in which it fires."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
CASES = ROOT / "tests/templates/alerts"


def rules() -> list[tuple[str, dict[str, Any]]]:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs/generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return list(module.alert_rules())


RULES = rules()


@pytest.mark.parametrize(("part", "rule"), RULES, ids=[rule["alert"] for _, rule in RULES])
def test_an_alert_leads_to_what_to_do_and_is_tried(part: str, rule: dict[str, Any]) -> None:
    anchor = rule["alert"].lower()
    assert rule["labels"]["severity"] in {"critical", "warning", "info", "none"}
    assert rule["annotations"]["runbook"] == f"monitoring_runbook_url#{anchor}"
    assert f'<a id="{anchor}"></a>{rule["alert"]} |' in (ROOT / "docs/alerts.md").read_text()
    assert re.search(rf"\b{rule['alert']}\b", (CASES / f"{part}.yml").read_text())


def test_each_part_has_a_case_in_which_nothing_fires() -> None:
    quiet = re.compile(r"- \{expr: '[^']*ALERTS[^']*', eval_time: \w+\}")
    # The monitoring's own alert always fires.
    parts = {part for part, _ in RULES} - {"monitoring", "jobs"}
    assert [part for part in sorted(parts) if not quiet.search((CASES / f"{part}.yml").read_text())] == []


def test_what_can_be_down_is_told_within_a_minute() -> None:
    """With two scrapes of 15 s and the time in which alerts are collected."""
    late = {rule["alert"]: rule["for"] for _, rule in RULES if rule["alert"].endswith("Down") and "for" in rule}
    assert {name for name, time in late.items() if time != "15s"} == {"MetricsDown", "TargetDown"}
