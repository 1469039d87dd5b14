# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""One call of the module `template_tree` on a host."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..tree import changes, commands, converge, debian_packages, options, undo, units
from ..tree.files import TreeError, decompress

ARGUMENTS: dict[str, Any] = {**options.OPTIONS, **options.TRANSPORT}
RULES = options.CHOICES
"""Rules between arguments, as AnsibleModule takes them."""


def carry_out(given: Mapping[str, Any], check: bool, diff: bool, label: changes.Label | None = None) -> dict[str, Any]:
    """Apply the files that the action rendered, or with `check`, predict it. Returns the module's result.

    `label` sets a file's SELinux context; None on a host without SELinux.
    """
    host = converge.Host(commands.run, label, check, diff)
    result: dict[str, Any] = {"changed": False}
    try:
        if given["roles"] is None:
            converge.converge(host, dict(given), result)
        else:
            missing = debian_packages.missing(given["packages"])
            converge.converge_all(host, [] if missing else decompress(given["_trees"]), result)
            result["missing_packages"] = missing
    except units.UnitError as error:
        return failure(given, result, str(error), unit=error.unit)
    except TreeError as error:
        return failure(given, result, str(error))
    except OSError as error:
        return failure(given, result, f"{error.filename or 'template_tree'}: {error.strerror or error}")
    finally:
        for name in result.get("armed", ()):
            undo.Undo(name, commands.run).wait()
    return result


def failure(given: Mapping[str, Any], result: dict[str, Any], message: str, **more: Any) -> dict[str, Any]:
    """Return a failed result with a message without secrets, and with the changes made so far."""
    changed = result["changed"] or bool(result.get("units"))
    msg = converge.secret_words(dict(given)).clean(message)
    return {**result, **more, "changed": changed, "failed": True, "msg": msg}
