"""Many users at once, with Locust."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from .settings import Settings

LOCUSTFILE = Path(__file__).with_name("locustfile.py")
VERDICT = "verdict.json"
STOP_SECONDS = 20
"""Seconds for users to finish their journeys at the end."""


def command(settings: Settings, reports: Path) -> list[str]:
    """Return Locust's command line; it writes report.html and report_*.csv into `reports`."""
    load = settings.load
    words = ["locust", "--locustfile", str(LOCUSTFILE), "--headless", "--only-summary", "--loglevel", "WARNING"]
    words += ["--host", settings.site.url, "--users", str(load.users)]
    words += ["--spawn-rate", f"{load.users / max(load.ramp, 1):.3f}"]
    words += ["--run-time", f"{load.duration}s", "--stop-timeout", f"{STOP_SECONDS}s"]
    return [*words, "--html", str(reports / "report.html"), "--csv", str(reports / "report")]


def run(settings: Settings, config: Path, reports: Path) -> int:
    """Replace this process with Locust, which writes `reports`/verdict.json when it has a verdict."""
    (reports / VERDICT).unlink(missing_ok=True)
    os.environ |= {"VISITORS_CONFIG": str(config), "VISITORS_VERDICT": str(reports / VERDICT)}
    words = command(settings, reports)
    os.execv(Path(sys.executable).with_name(words[0]), words)
