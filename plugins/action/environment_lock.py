# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The environment's lock: one run at a time."""

from __future__ import annotations

import os
from typing import Any

from ansible import constants, context
from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure
from ansible.module_utils.greenroom.controller.lock import holder, lock
from ansible.plugins.action import ActionBase

TIMES = {name: {"type": "float", "required": True} for name in ("renew", "expire", "poll", "timeout", "reconnect")}

# On the lock's host: the lock, what its holder waits for, and the history of the runs.
FILES = {"path": {"type": "path", "required": True}, "pause": {"type": "path"}, "history": {"type": "path"}}
RUN = {"id": {"type": "str", "required": True}, "user": {"type": "str"}, "reason": {"type": "str"}}


class ActionModule(ActionBase):  # type: ignore[misc]
    """Starts the process on the controller that holds the lock, or ends it. The lock is on the task's host."""

    TRANSFERS_FILES = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Hold the lock (unless this run has it already), or release it."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _validated, args = self.validate_argument_spec(
            {
                "state": {"type": "str", "choices": ["held", "released"], "default": "held"},
                "environment_name": {"type": "str", "required": True},
                "run": {"type": "dict", "options": RUN},
                "files": {"type": "dict", "options": FILES},
                "summary": {"type": "dict", "default": {}},
                "seconds": {"type": "dict", "required": True, "options": TIMES},
            }
        )
        seconds = args["seconds"]
        # The process that holds the lock may wait for the lock's host before it answers.
        timeout = 2 * seconds["timeout"]
        name = args["environment_name"]
        result["changed"] = False
        if self._task.check_mode:
            return result | {"msg": "check mode takes no lock"}
        # The lock belongs to the run's main process, the parent of this one.
        run = os.getppid()
        address = lock.address(name, run)
        if args["state"] == "released":
            # Without a summary, the run goes on without the lock: it starts other runs.
            ended = {"result": "passed", "summary": args["summary"]} if args["summary"] else {"result": "released"}
            answer = holder.ask(address, "release", timeout, ended)
            return result | {"msg": f"the lock on {name} is {'released' if answer else 'not held'}"}
        # For the callback `run_record`.
        result["lock"] = name
        answer = holder.ask(address, "status", timeout)
        if answer is not None and answer["event"] == "held":
            return result | {"msg": holder.words({"event": "held"}, name)}
        me = lock.myself(args["run"]["id"], run, _playbook(), args["run"]["user"] or "", args["run"]["reason"] or "")
        files = {name: path or "" for name, path in args["files"].items()}
        return result | {"msg": self._acquire(name, me, files, seconds)}

    def _acquire(self, name: str, me: dict[str, Any], files: dict[str, str], seconds: dict[str, float]) -> str:
        """Take the lock and return the message about it."""
        password = self._connection.become and self._connection.become.get_option("become_pass")
        line = ""
        command = self._command(seconds["timeout"])
        scratch = constants.DEFAULT_LOCAL_TMP
        for event in lock.start(command, name, me, seconds=seconds, password=password, scratch=scratch, **files):
            line = holder.words(event, name)
            match event["event"]:
                case "waiting":
                    self._display.display(line)
                case "refused" | "failed":
                    raise AnsibleActionFail(line)
                case "unreachable":
                    raise AnsibleConnectionFailure(line)
        return line

    def _command(self, timeout: float) -> list[str]:
        """Return the command that runs the lock's program on its host, with Ansible's connection settings for it."""
        connection = self._connection
        remote = lock.remote_command()
        if connection.become:
            remote = connection.become.build_become_command(remote, connection._shell)
        if connection.transport == "local":
            return ["/bin/sh", "-c", remote]
        if connection.transport != "ssh":
            raise AnsibleActionFail(f"the lock needs the connection ssh or local, not {connection.transport}")
        connection.host = connection.get_option("host") or self._play_context.remote_addr
        command = connection._build_command(connection.get_option("ssh_executable"), "ssh", connection.host, remote)
        first, *others = (os.fsdecode(part) for part in command)
        return [first, *lock.ssh_options(timeout), *others]


def _playbook() -> str:
    return " ".join(os.path.basename(name) for name in context.CLIARGS.get("args", ()))
