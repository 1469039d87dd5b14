# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Whether a run was opened: its input is checked, and a protected environment is confirmed.

The mark is a file in the temporary folder that Ansible makes for each run, and removes at its end. No variable can set
it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible import constants
from ansible.errors import AnsibleActionFail

PROJECT = Path(__file__).resolve().parents[5]
MARK = "greenroom-opened"
WHOLE = "Run the whole playbook: it changes only what isn't converged yet"


def mark() -> None:
    """Mark the run as opened."""
    Path(constants.DEFAULT_LOCAL_TMP, MARK).touch()


def require(task: Any) -> None:
    """Fail a task of one of the project's roles unless the run was opened. Other tasks may use the modules freely."""
    role = task._role
    if role is None or Path(role._role_path).resolve().parent != PROJECT / "roles":
        return
    if not Path(constants.DEFAULT_LOCAL_TMP, MARK).exists():
        raise AnsibleActionFail(
            "this run was not opened: nothing has checked its input, asked for confirmation or taken the lock. Import "
            "playbooks/steps/open.yml before all other plays, and let no option skip it"
        )


def option_problem(options: Mapping[str, Any]) -> str:
    """Return why a run of the project's playbooks can't have these options of ansible-playbook, or ""."""
    places = [Path(name).resolve().parent for name in options.get("args") or ()]
    if PROJECT / "playbooks/steps" in places:
        return (
            "playbooks/steps has parts of playbooks, which don't check the input, ask for confirmation or take the "
            "lock. Run one of the playbooks that import them: see playbooks/"
        )
    if not {PROJECT, PROJECT / "playbooks"}.intersection(places):
        return ""
    if options.get("start_at_task"):
        return f"--start-at-task would skip the checks of the input, the confirmation and the lock. {WHOLE}"
    if options.get("step"):
        return f"--step could skip the checks of the input, the confirmation and the lock. {WHOLE}"
    if list(options.get("tags") or ["all"]) != ["all"]:
        return "--tags would skip everything: no task has tags. Run the playbook of a single phase: see playbooks/"
    return ""
