# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The templates of a drill's report: Jinja files beside this module, in which every value is escaped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined


def render(name: str, **values: Any) -> str:
    """Return the text of the template `name` with these values; raises UndefinedError if it uses others."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template(name).render(values)
