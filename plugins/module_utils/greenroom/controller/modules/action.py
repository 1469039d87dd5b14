# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Calls a module through a program that hosts have compiled, or through Ansible where that isn't possible.

Ansible packs, sends and compiles a module for each call, half a second on each host.
"""

from __future__ import annotations

import copy
import json
from typing import Any, ClassVar

from ansible import constants
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.module_utils.common.json import Direction, get_module_encoder
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ...common.started import STARTED
from ...modules import logic
from ..common import opened

# As Ansible writes the arguments of a module.
ENCODER = get_module_encoder("legacy", Direction.CONTROLLER_TO_MODULE)


class CompiledModule(ActionBase):  # type: ignore[misc]  # Ansible has no types
    """The action of a module that hosts have compiled, with the arguments and their rules that the module has."""

    PROGRAM = "/usr/local/lib/greenroom/modules/greenroom-module"
    # Computed when Ansible loads the action, before it forks a process for each host.
    LOGIC = logic.digest()
    ARGUMENTS: ClassVar[dict[str, Any]]
    RULES: ClassVar[dict[str, Any]] = {}

    _supports_check_mode = True
    _supports_async = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the module's result."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        opened.require(self._task)
        variables = task_vars or {}
        arguments = self.arguments(variables)
        answer = self._answer(arguments, variables)
        if answer is None:
            wrap_async = bool(self._task.async_val)
            answer = self._execute_module(module_args=arguments, task_vars=variables, wrap_async=wrap_async)
        return {**result, **answer}

    def arguments(self, _variables: dict[str, Any]) -> dict[str, Any]:
        """Return the module's arguments: those of the task, unless an action makes its own."""
        arguments: dict[str, Any] = self._task.args
        return arguments

    def _answer(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any] | None:
        """Return the program's result; None if it has done nothing, so that the module must run."""
        interpreter = self._interpreter(task_vars)
        if not interpreter or self._only_by_module(task_vars):
            return None
        checked = ArgumentSpecValidator(copy.deepcopy(self.ARGUMENTS), **self.RULES).validate(arguments)
        given = checked.validated_parameters
        # The module says what is wrong with arguments, and the host must expand paths itself.
        if checked.error_messages or _expanded(self.ARGUMENTS, arguments, given):
            return None
        request = {
            "module": self._task.resolved_action.rpartition(".")[2],
            "logic": self.LOGIC,
            "arguments": given,
            "check": self._task.check_mode,
            "diff": self._task.diff,
        }
        command = f"{interpreter} -I {self.PROGRAM}"
        done = self._low_level_execute_command(command, in_data=json.dumps(request, cls=ENCODER).encode())
        reason, started, answer = done["stdout"].partition(f"{STARTED}\n")
        if not started:
            Display().vvv(f"the module runs, because {self.PROGRAM} doesn't: {reason or done['stderr']}")
            return None
        return self._parsed(answer, done)

    def _parsed(self, answer: str, done: dict[str, Any]) -> dict[str, Any]:
        """Return the result that the program printed, or a failure: the call may have changed the host."""
        try:
            result: dict[str, Any] = json.JSONDecoder().raw_decode(answer.lstrip())[0]
        except ValueError:
            return {
                "failed": True,
                "msg": f"{self.PROGRAM} ended without a result (exit code {done['rc']}). It may have changed the host.",
                "module_stdout": done["stdout"],
                "module_stderr": done["stderr"],
                "rc": done["rc"],
            }
        return result

    def _only_by_module(self, task_vars: dict[str, Any]) -> bool:
        """Whether the task asks for what only Ansible can do with a module."""
        config = constants.config.get_config_value
        become = self._connection.become
        return (
            bool(self._task.async_val)
            or bool(self._compute_environment_string().strip())
            or not self._connection.has_pipelining
            or bool(become and not become.pipelining)
            or config("INJECT_INVOCATION", variables=task_vars)
            or config("DISPLAY_TRACEBACK") != ["never"]
        )

    def _interpreter(self, task_vars: dict[str, Any]) -> str:
        """Return the path of the host's Python; empty if Ansible must find it first."""
        if self._task.delegate_to:
            task_vars = task_vars.get("ansible_delegated_vars", {}).get(self._task.delegate_to, {})
        found = constants.config.get_config_value("INTERPRETER_PYTHON", variables=task_vars)
        path = str(self._templar.template(found)).strip()
        return path if path.startswith("/") else ""


def _expanded(arguments: dict[str, Any], sent: Any, given: Any) -> bool:
    """Whether the validation changed a path: it expands `~` and variables. Also if that isn't plain to see."""
    for name, argument in arguments.items():
        before, after = sent.get(name), given.get(name)
        if before is None:
            continue
        if argument.get("type") == "path" and before != after:
            return True
        if "options" not in argument:
            continue
        if isinstance(before, list) != isinstance(after, list):
            return True
        pairs = zip(before, after, strict=True) if isinstance(after, list) else [(before, after)]
        if any(not isinstance(one, dict) or _expanded(argument["options"], one, two) for one, two in pairs):
            return True
    return False
