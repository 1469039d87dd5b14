# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Documentation that several modules share. A module extends `greenroom.<attribute>`, in lower case."""

from __future__ import annotations


class ModuleDocFragment:
    """Each attribute is one fragment."""

    NO_DIFF = r"""
attributes:
  diff_mode:
    description: Changes nothing itself, so there is no difference.
    support: none
"""

    REQUEST = r"""
options:
  timeout:
    description: Timeout of a request in seconds.
    type: float
"""

    SERVER = r"""
attributes:
  check_mode:
    description: Reads the server's state and reports what would change.
    support: full
"""
