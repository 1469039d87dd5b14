"""Puts the verdict of a load on top of Locust's report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

BODY = "<body>"
STYLE = """
.verdict { font: 16px/1.5 system-ui, sans-serif; margin: 0; padding: 16px 24px; background: #fff; color: #222; }
.verdict h1 { font-size: 24px; margin: 0 0 8px; }
.verdict.passed { border-left: 12px solid #18794e; }
.verdict.failed { border-left: 12px solid #b42318; }
.verdict th, .verdict td { padding: 2px 24px 2px 0; text-align: left; }
"""


def with_verdict(page: str, found: Mapping[str, Any]) -> str:
    """Return Locust's report with the verdict, the thresholds and the reasons of failures before its own content."""
    before, body, after = page.rpartition(BODY)
    return f"{before}{body}{_section(found)}{after}" if body else f"{page}{_section(found)}"


def _section(found: Mapping[str, Any]) -> str:
    kind = "passed" if found["passed"] else "failed"
    rows = "".join(
        f"<tr><td>{escape(row['name'])}</td><td>{escape(row['wanted'])}</td><td>{escape(row['measured'])}</td>"
        f"<td>{'held' if row['held'] else 'not held'}</td></tr>"
        for row in found["thresholds"]
    )
    return (
        f'<style>{STYLE}</style><section class="verdict {kind}"><h1>The load test {kind}</h1>'
        f"<p>{found['requests']} requests by {found['users']} users in {found['seconds']} s.</p>"
        f"{_list('Why', found['problems'])}"
        f"<table><thead><tr><th>Threshold</th><th>Wanted</th><th>Measured</th><th>Verdict</th></tr></thead>"
        f"<tbody>{rows}</tbody></table>{_list('Most frequent failures', found['reasons'])}</section>"
    )


def _list(title: str, lines: Sequence[str]) -> str:
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return f"<p>{title}:</p><ul>{items}</ul>" if lines else ""
