# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Writes the duration of each area of the tests to tests/README.md, from the reports of `make test`.

python tests/minutes.py [reports/tests/hosts.xml ...]
"""

from __future__ import annotations

import sys
from pathlib import Path
from xml.etree import ElementTree

HERE = Path(__file__).resolve().parent
PAGE = HERE / "README.md"
REPORTS = HERE.parent / "reports/tests"
BEGIN, END = "<!-- minutes: begin -->\n", "<!-- minutes: end -->\n"


def area(name: str) -> str:
    """The area of a test: its file in real/ and loopback/, otherwise its folder."""
    _tests, folder, file, *_ = name.split(".")
    return f"{folder}/{file}.py" if folder in ("real", "loopback") else f"{folder}/"


def measured(reports: list[Path]) -> dict[str, tuple[int, float]]:
    """The tests and seconds of each area. A fixture counts for the first test that uses it."""
    found: dict[str, tuple[int, float]] = {}
    for report in reports:
        for case in ElementTree.parse(report).iter("testcase"):
            count, seconds = found.get(area(case.attrib["classname"]), (0, 0.0))
            found[area(case.attrib["classname"])] = count + 1, seconds + float(case.attrib["time"])
    return found


def table(areas: dict[str, tuple[int, float]]) -> str:
    """A table of all areas, longest first."""
    rows = [
        f"| {name} | {count} | {seconds:.0f} | {seconds / 60:.1f} |\n"
        for name, (count, seconds) in sorted(areas.items(), key=lambda item: -item[1][1])
    ]
    return "| area | tests | seconds | minutes |\n| --- | --- | --- | --- |\n" + "".join(rows)


def main(words: list[str]) -> int:
    """Write the table."""
    reports = [Path(word) for word in words] or sorted(REPORTS.glob("*.xml"))
    if not reports:
        print(f"There is no report in {REPORTS}. Run `make test` first.", file=sys.stderr)
        return 1
    before, _, rest = PAGE.read_text().partition(BEGIN)
    _old, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}{table(measured(reports))}{END}{after}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
