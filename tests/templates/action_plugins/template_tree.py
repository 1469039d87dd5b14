# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The action `template_tree` without a host: it writes the files to a folder of the test."""

from __future__ import annotations

import importlib.util
import json
import os
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]
OUTPUT = Path(os.environ["GREENROOM_RENDERED"])

_spec = importlib.util.spec_from_file_location("real_template_tree", ROOT / "plugins/action/template_tree.py")
assert _spec is not None
assert _spec.loader is not None
_real = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_real)


class ActionModule(_real.ActionModule):  # type: ignore[misc, name-defined]
    """Renders as the real action does, and records the source and destination of each file."""

    def _arguments(self, options: dict[str, Any], variables: dict[str, Any]) -> Any:
        # Also render trees that an environment removes.
        return super()._arguments({**options, "state": "present"}, variables)

    def _file(self, item: Any, layers: Any, source: str | None, options: Any, variables: dict[str, Any]) -> Any:
        file = super()._file(item, layers, source, options, variables)
        host = OUTPUT / variables["inventory_hostname"]
        place = host / file.dest.lstrip("/")
        if not file.force and place.exists():
            return file
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(file.content)
        place.chmod(file.attributes.mode | 0o600)
        record = {
            "source": os.path.realpath(source) if source else None,
            "dest": file.dest,
            "host": host.name,
            "secret": file.secret,
        }
        with (OUTPUT / f"{host.name}.jsonl").open("a") as log:
            log.write(json.dumps(record) + "\n")
        return file

    def _answer(self, *_arguments: Any, **_options: Any) -> dict[str, Any]:
        return {"changed": False}
