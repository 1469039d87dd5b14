# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The verdict of a drill, and its report on the controller."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.module_utils.greenroom.controller.drill import drill, page, playbook_process
from ansible.plugins.action import ActionBase

RUNS = ("cutover", drill.EARLY_ROLLBACK, "abort", "rollback")


class ActionModule(ActionBase):  # type: ignore[misc]
    """Reads the output of the load and the playbooks in a folder; writes report.html and result.json there."""

    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the verdict, the missed expectations and the figures; result.json has the complete result."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _validated, args = self.validate_argument_spec(
            {"folder": {"type": "path", "required": True}, "record": {"type": "dict", "required": True}}
        )
        folder = Path(args["folder"])
        runs = [found for name in RUNS if (found := playbook_process.read(folder, name)) is not None]
        try:
            folder.mkdir(parents=True, exist_ok=True)
            judged = drill.judge(args["record"] | {"children": runs}, _requests(folder))
            (folder / "report.html").write_text(page.page(judged), encoding="utf-8")
            (folder / "result.json").write_text(json.dumps(judged, indent=1) + "\n", encoding="utf-8")
        except (OSError, ValueError) as error:
            raise AnsibleActionFail(f"can't write the report to {folder}: {error}") from None
        missed = [one for one in judged["expectations"] if not one["ok"]]
        return result | {
            "changed": True,
            "verdict": judged["verdict"],
            "missed": [f"{one['what']}: expected {one['wanted']}, found {one['found']}" for one in missed],
            "figures": judged["figures"],
            "report": str(folder / "report.html"),
        }


def _requests(folder: Path) -> list[dict[str, Any]]:
    """Return the load's requests in the order in which it sent them; none if there was no load."""
    try:
        text = (folder / "requests.jsonl").read_text(encoding="utf-8")
    except FileNotFoundError:
        return []
    # If the load was killed, the last line may be incomplete.
    lines = text.rpartition("\n")[0].splitlines()
    return sorted((json.loads(line) for line in lines), key=lambda request: float(request["sent_at"]))
