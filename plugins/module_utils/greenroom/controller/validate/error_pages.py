# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""What is wrong with the operator's own pages of the edge."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ...common.names import suggestion

MOST_BYTES = 8192
"""HAProxy keeps a page, in base64, in one of its buffers."""
NAMES = ("400", "401", "403", "404", "408", "413", "421", "429", "500", "502", "503", "504", "maintenance")


def page_problems(pages: object) -> Iterator[str]:
    """Yield what is wrong with `edge_error_pages`; the check of types reports another type."""
    for name, page in pages.items() if isinstance(pages, Mapping) else ():
        where = f"edge_error_pages.{name}"
        if str(name) not in NAMES:
            yield f"{where}: the edge has no page for it{suggestion(str(name), NAMES)}"
        elif not isinstance(page, str) or not page.strip():
            yield f"{where}: expected the text of a page"
        elif (size := len(page.encode())) > MOST_BYTES:
            yield f"{where}: the page has {size} bytes; the maximum is {MOST_BYTES}"
