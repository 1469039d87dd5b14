# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""A journalctl with a journal of its own, which answers as that of systemd 257 does."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

PROGRAM = """#!{python} -IS
import json, sys
from pathlib import Path
folder = Path(__file__).parent
given = dict(word.partition("=")[::2] for word in sys.argv[1:] if word.startswith("--"))
with (folder / "asked").open("a") as asked:
    asked.write(" ".join(sys.argv[1:]) + "\\n")
code = int((folder / "code").read_text())
entries = [json.loads(line) for line in (folder / "entries").read_text().splitlines()]
number = {{entry["cursor"]: int(entry["cursor"][1:]) for entry in entries}}
place = int(given.get("--cursor", given.get("--after-cursor", "c-1"))[1:])
first = place + 1 if "--after-cursor" in given else place
since, until = float(given.get("--since", "@0")[1:]), float(given.get("--until", "@inf")[1:])
shown = [entry for entry in entries if number[entry["cursor"]] >= first and since <= entry["time"] <= until]
if "+" in sys.argv:
    kinds = [word for word in sys.argv if word.startswith(("SYSLOG_IDENTIFIER=", "MESSAGE_ID="))]
    shown = [entry for entry in shown if entry["kind"] in kinds]
if given.get("--lines") == "1":
    shown = shown[-1:]
if given.get("--lines") == "+1":
    shown = shown[:1]
if given["--output"] == "json":
    for entry in shown:
        print(json.dumps({{"__CURSOR": entry["cursor"], "__REALTIME_TIMESTAMP": str(int(entry["time"] * 1e6))}}))
else:
    for entry in shown:
        print(entry["text"])
    if "--show-cursor" in given and (shown or place >= 0):
        print("-- cursor: " + (shown[-1]["cursor"] if shown else f"c{{place}}"))
sys.exit(code)
"""
HAPROXY = "SYSLOG_IDENTIFIER=haproxy"
SUPPRESSED = "MESSAGE_ID=a596d6fe7bfa4994828e72309e95d61e"


class FakeJournal:
    """The program and its journal in `folder`; `asked` are the calls, `code` is the exit code of each."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._number = 0
        program = folder / "journalctl"
        program.write_text(PROGRAM.format(python=sys.executable))
        program.chmod(0o755)
        self.code = 0
        for name in ("entries", "asked"):
            (folder / name).write_text("")

    @property
    def asked(self) -> list[str]:
        return (self.folder / "asked").read_text().splitlines()

    @property
    def code(self) -> int:
        return int((self.folder / "code").read_text())

    @code.setter
    def code(self, code: int) -> None:
        (self.folder / "code").write_text(str(code))

    def write(self, *lines: str, kind: str = HAPROXY, ago: float = 0.0) -> None:
        """Add lines, written `ago` seconds before now."""
        with (self.folder / "entries").open("a") as entries:
            for line in lines:
                entry = {"cursor": f"c{self._number}", "time": time.time() - ago, "kind": kind, "text": line}
                entries.write(json.dumps(entry) + "\n")
                self._number += 1

    def vacuum(self) -> None:
        """Forget all entries."""
        (self.folder / "entries").write_text("")
