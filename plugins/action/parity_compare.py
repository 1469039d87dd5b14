# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Compares two snapshots on the controller, without any host, and writes the reports."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.module_utils.greenroom.controller.parity import allowances, document, report
from ansible.module_utils.greenroom.controller.parity.compare import compare
from ansible.module_utils.greenroom.controller.parity.result import judge
from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):  # type: ignore[misc]
    """Reads two snapshots and the allowances; writes parity.json, parity.html and parity.xml."""

    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the verdict, the lines for the terminal, and the page."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        path = {"type": "path", "required": True}
        text = {"type": "str", "required": True}
        _validated, args = self.validate_argument_spec(
            {"of": text, "with": text, "snapshots": path, "allowed": path, "report": path}
        )
        try:
            files = [document.newest(Path(args["snapshots"]), args[side]) for side in ("of", "with")]
            if files[0] == files[1]:
                raise document.DocumentError(f"{files[0]} can't be compared with itself.")
            first, second = (document.read(file) for file in files)
            allowed = allowances.read(Path(args["allowed"]))
            found = judge((first, second), compare(first, second), allowed, datetime.now(UTC).date())
            folder = Path(args["report"])
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "parity.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
            (folder / "parity.html").write_text(report.page(found), encoding="utf-8")
            (folder / "parity.xml").write_text(report.junit(found), encoding="utf-8")
        except (document.DocumentError, allowances.AllowanceError, OSError) as error:
            raise AnsibleActionFail(str(error)) from None
        return result | {
            "changed": False,
            "verdict": found["verdict"],
            "lines": report.lines(found),
            "summary": report.summary(found),
            "page": str(folder / "parity.html"),
        }
