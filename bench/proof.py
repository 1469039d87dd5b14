# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Runs the long proof section by section, and continues after an interruption.

    make proof              all sections that have not passed yet for this state of the code (WITHOUT=stage skips one)
    make proof-killed       the sections with this name, whether they have passed or not: killed-1, killed-2, ...
    make proof-status       which sections have passed, when, at which commit; which are open, and why

The result of a section is in reports/proof/, by its name and by a hash of all files that it covers, including
uncommitted changes: a change reopens it. The timeout of a section is an hour. After that, or at Ctrl-C, its programs
get SIGTERM, so that they can undo their faults; a second Ctrl-C kills them.

Needs only Python and git.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import fcntl
import hashlib
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType
from typing import IO, Any

from bench.common import ROOT, descendants
from bench.proof_sections import SECTIONS, Section

LIMIT_SECONDS = 3600.0
"""The timeout of a section."""
GRACE_SECONDS = 300.0
"""The time to end after SIGTERM, which includes converging staging."""
TICK_SECONDS = 0.1
NAMED = 3
"""Number of changed files to name."""
COMMANDS = "(its commands)"
"""Stands for a section's own commands in the list of its files."""


@dataclass(frozen=True)
class Record:
    """The result of a section: passed or failed, and why; when it ended (UTC), how long it took, at which commit.

    `files` has the files that it covered, each with a hash of its content.
    """

    passed: bool
    why: str
    ended: str
    seconds: float
    commit: str
    files: dict[str, str]


@dataclass(frozen=True)
class Standing:
    """The status of a section for this state of the code: passed, failed or open, why, and the record behind it."""

    state: str
    why: str
    record: Record | None


class Proof:
    """The sections of one checkout, and their results."""

    def __init__(
        self,
        root: Path,
        sections: Sequence[Section],
        limit: float = LIMIT_SECONDS,
        grace: float = GRACE_SECONDS,
    ) -> None:
        self.root = root
        self.sections = sections
        self.limit = limit
        self.grace = grace
        self.folder = root / "reports/proof"
        self._signals: list[int] = []
        self._hashes: dict[str, tuple[tuple[int, ...], str]] = {}

    # Commands

    def chosen(self, names: Sequence[str]) -> list[Section]:
        """Return the sections with these names or families (`killed` is killed-1, killed-2). Exits if there is none."""
        found = []
        for name in names:
            own = [section for section in self.sections if f"{section.name}-".startswith(f"{name}-")]
            if not own:
                known = ", ".join(section.name for section in self.sections)
                sys.exit(f"There is no section {name}. There are: {known}")
            found += [section for section in own if section not in found]
        return found

    def run(self, names: Sequence[str] = ()) -> int:
        """Run the named sections, or all that have not passed.

        Returns 0 if all of them have passed for this state of the code, 1 if not, 128 and more after a signal.
        """
        asked = self.chosen(names) or list(self.sections)
        todo = asked if names else [section for section in asked if self.standing(section).state != "passed"]
        with self._alone() as lock, self._listening():
            for section in todo:
                self._announce(section)
                self._run(section, lock)
                if self._signals:
                    _say(f"\nproof: interrupted in {section.name}. To continue: make proof")
                    return 128 + self._signals[0]
        left = [section.name for section in asked if self.standing(section).state != "passed"]
        self.status()
        _say(f"\nproof: not passed: {', '.join(left)}" if left else "\nproof: passed")
        return 1 if left else 0

    def status(self) -> None:
        """Print the status of each section."""
        _say("")
        width = max(len(section.name) for section in self.sections)
        for section in self.sections:
            standing = self.standing(section)
            record = standing.record
            line = f"{section.name:{width}}  {standing.state:6}  "
            if standing.state == "passed" and record:
                line += f"{record.ended}  {_minutes(record.seconds)}  at {record.commit}"
            else:
                line += f"{standing.why}; about {_minutes(self._expected(section))}"
            _say(line)
        if text := self._under_way():
            _say(f"\n{text}")

    def standing(self, section: Section) -> Standing:
        """Return the status of a section."""
        files = self.files(section)
        own = self._record(section, files)
        if own and own.passed:
            return Standing("passed", "", own)
        if own:
            return Standing("failed", f"{own.ended}: {own.why}; see {self._log(section)}", own)
        last = self._last(section)
        if not last:
            return Standing("open", "has not been run yet", None)
        verb = "passed" if last.passed else "failed"
        return Standing(
            "open", f"changed since it {verb} at {last.commit}: {_named(_differing(last.files, files))}", last
        )

    def files(self, section: Section) -> dict[str, str]:
        """Return the files that a section covers, each with a hash of its content, and its own commands."""
        found = {path: self._hash(path) for path in self._listed("--cached", "--others") if section.is_about(path)}
        found[COMMANDS] = _short("\n".join(section.steps).encode())
        return {path: value for path, value in sorted(found.items()) if value}

    # Running

    def _run(self, section: Section, lock: IO[str]) -> None:
        """Run a section's commands, and write the result, unless a signal ended it."""
        files, commit, began = self.files(section), self._commit(section), time.monotonic()
        why = self._steps(section, files, began + self.limit, lock)
        _note(lock, {})
        if self._signals:
            return
        if changed := _differing(files, self.files(section)):
            why = why or f"changed while it ran: {_named(changed)}"
        record = Record(not why, why, _now(), time.monotonic() - began, commit, files)
        path = self._place(section) / f"{_key(files)}.json"
        # Atomic: if this process is killed here, the section has not passed.
        path.with_suffix(".new").write_text(json.dumps(asdict(record), indent=1) + "\n")
        path.with_suffix(".new").replace(path)
        said = (
            f"passed after {_minutes(record.seconds)}" if record.passed else f"FAILED: {why}; see {self._log(section)}"
        )
        _say(f"\nproof: {section.name} {said}")

    def _steps(self, section: Section, files: dict[str, str], deadline: float, lock: IO[str]) -> str:
        """Run a section's commands until one fails, and return why; empty if none did."""
        # Parts of a family differ in their commands and cover the same files.
        kept = self.folder / "kept" / f"{section.family}-{_key({**files, COMMANDS: ''})}"
        place = self._place(section)
        place.mkdir(parents=True, exist_ok=True)
        with (self.root / self._log(section)).open("wb") as log:
            for step in section.steps:
                _say(f"proof: {step}")
                words = [word.replace("{kept}", str(kept)) for word in shlex.split(step)]
                note = {"section": section.name, "began": _now()}
                if why := self._step(words, log, deadline, lock, note):
                    return f"`{step}` {why}"
        return ""

    def _step(self, words: Sequence[str], log: IO[bytes], deadline: float, lock: IO[str], note: dict[str, Any]) -> str:
        """Run a command in its own process group; return why it failed, or an empty string."""
        shown = Path(log.name).stat().st_size
        _note(lock, note)
        # It writes to a file, not to a pipe: if this process is killed, it can still undo its faults.
        try:
            process = subprocess.Popen(
                words,
                cwd=self.root,
                env={**os.environ, "PATH": f"{self.root / '.venv/bin'}{os.pathsep}{os.environ['PATH']}"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                # It holds the lock as long as it runs, even without this process.
                pass_fds=[lock.fileno()],
            )
        except OSError as error:
            return f"could not be started: {error}"
        _note(lock, {**note, "process": process.pid})
        with open(log.name, "rb") as told:
            told.seek(shown)
            try:
                while (code := process.poll()) is None and not self._signals and time.monotonic() < deadline:
                    _copy(told)
                    time.sleep(TICK_SECONDS)
                if code is not None:
                    return f"ended with exit code {code}" if code else ""
                reason = "was interrupted" if self._signals else f"was not done within {_minutes(self.limit)}"
                _say(f"\nproof: the command {reason}; sent SIGTERM, waiting up to {self.grace:.0f} s for its end")
                return f"{reason}; {self._end(process, told)}"
            finally:
                # Leave no process behind, even after an exception here.
                if process.poll() is None:
                    _kill(process)
                _copy(told)

    def _end(self, process: subprocess.Popen[bytes], told: IO[bytes]) -> str:
        """Send SIGTERM to a process group, kill it if it doesn't end or at another signal; return how it ended."""
        began, signals = time.monotonic(), len(self._signals)
        os.killpg(process.pid, signal.SIGTERM)
        while process.poll() is None:
            _copy(told)
            if len(self._signals) > max(signals, 1) or time.monotonic() > began + self.grace:
                seconds = time.monotonic() - began
                _kill(process)
                return f"did not end within {seconds:.0f} s after SIGTERM, and was killed (SIGKILL)"
            time.sleep(TICK_SECONDS)
        seconds = time.monotonic() - began
        _kill(process)
        return f"ended {seconds:.0f} s after SIGTERM"

    def _announce(self, section: Section) -> None:
        """Print the section's number, purpose and expected duration, and which sections are done."""
        passed = [each.name for each in self.sections if self.standing(each).state == "passed"]
        _say(
            f"\nproof: section {self.sections.index(section) + 1} of {len(self.sections)}, {section.name}: "
            f"{section.proves}\n"
            f"proof: takes about {_minutes(self._expected(section))}, {_minutes(self.limit)} at most; "
            f"done: {', '.join(passed) or 'none'}"
        )

    @contextlib.contextmanager
    def _alone(self) -> Iterator[IO[str]]:
        """Hold the lock. Exits if another proof, or a process that it left running, holds it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "lock").open("a+") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                sys.exit(f"{self._under_way() or 'Another proof is running.'} Wait for it, or stop it.")
            if text := self._noted():
                _say(f"proof: {text['section']}, begun {text['began']}, was interrupted, and is open")
            _note(lock, {})
            yield lock

    @contextlib.contextmanager
    def _listening(self) -> Iterator[None]:
        """Record signals instead of ending at once."""

        def note(number: int, _: FrameType | None) -> None:
            self._signals.append(number)

        numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        # Signals that are already ignored (nohup) stay ignored.
        before = {number: signal.getsignal(number) for number in numbers if signal.getsignal(number) != signal.SIG_IGN}
        for number in before:
            signal.signal(number, note)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    # Files

    def _place(self, section: Section) -> Path:
        return self.folder / section.name

    def _log(self, section: Section) -> Path:
        """Return the path of a section's output, relative to the checkout."""
        return (self._place(section) / "log").relative_to(self.root)

    def _record(self, section: Section, files: dict[str, str]) -> Record | None:
        path = self._place(section) / f"{_key(files)}.json"
        return Record(**json.loads(path.read_text())) if path.exists() else None

    def _last(self, section: Section) -> Record | None:
        """Return the record of the last pass, or else of the last failure."""
        records = [Record(**json.loads(path.read_text())) for path in self._place(section).glob("*.json")]
        return max(records, key=lambda record: (record.passed, record.ended), default=None)

    def _expected(self, section: Section) -> float:
        """Return the expected seconds of a section: those of its last pass, or else its estimate."""
        last = self._last(section)
        return last.seconds if last and last.passed else section.minutes * 60.0

    def _noted(self) -> dict[str, Any]:
        # The file may be missing, empty, or incomplete.
        with contextlib.suppress(FileNotFoundError, ValueError):
            noted: dict[str, Any] = json.loads((self.folder / "lock").read_text())
            return noted
        return {}

    def _under_way(self) -> str:
        """Describe the section that runs now, or that ran when its proof was killed; empty if there is none."""
        noted = self._noted()
        if not noted:
            return ""
        what = f"{noted['section']}, begun {noted['began']} (process {noted.get('process', 'unknown')}),"
        with (self.folder / "lock").open() as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return f"{what} is running."
        return f"{what} was interrupted."

    def _listed(self, *options: str) -> list[str]:
        """Return the checkout's files, except ignored ones. Exits if git fails."""
        command = ["git", "ls-files", "-z", "--exclude-standard", *options]
        done = subprocess.run(command, cwd=self.root, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"git can't list the files of this checkout: {done.stderr.strip()}")
        return sorted(set(done.stdout.split("\0")) - {""})

    def _hash(self, path: str) -> str:
        """Return a short hash of a file's content and its executable bit; empty for a removed file."""
        place = self.root / path
        if place.is_symlink():
            return _short(b"link " + os.readlink(place).encode())
        if not place.is_file():
            return ""
        found = place.stat()
        seen = (found.st_ino, found.st_size, found.st_mtime_ns, found.st_mode)
        if path not in self._hashes or self._hashes[path][0] != seen:
            kind = b"program " if found.st_mode & 0o100 else b"file "
            self._hashes[path] = (seen, _short(kind + place.read_bytes()))
        return self._hashes[path][1]

    def _commit(self, section: Section) -> str:
        """Return the commit's short hash, marked if files of the section have uncommitted changes."""
        head = subprocess.run(
            ["git", "rev-parse", "--short", "HEAD"], cwd=self.root, capture_output=True, text=True, check=False
        ).stdout.strip()
        changed = self._listed("--modified", "--others")
        return f"{head} and changes" if any(map(section.is_about, changed)) else head


def _say(text: str) -> None:
    _write(f"{text}\n".encode())


def _note(lock: IO[str], what: dict[str, Any]) -> None:
    """Write the current section to the lock file, or empty it."""
    lock.seek(0)
    lock.truncate()
    if what:
        json.dump(what, lock)
    lock.flush()


def _copy(told: IO[bytes]) -> None:
    """Print new output of a command."""
    if text := told.read():
        _write(text)


def _write(text: bytes) -> None:
    """Write to standard output. If its reader has ended (`| tee`, Ctrl-C), that must not stop a section."""
    try:
        sys.stdout.buffer.write(text)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill the rest of a process group, and children with their own sessions, such as Ansible's."""
    children = descendants(process.pid) if process.poll() is None else []
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    for child in children:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
    process.wait()


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"


def _short(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:12]


def _key(files: dict[str, str]) -> str:
    return _short(json.dumps(files, sort_keys=True).encode())


def _differing(before: dict[str, str], now: dict[str, str]) -> list[str]:
    return sorted(path for path in before.keys() | now.keys() if before.get(path) != now.get(path))


def _named(paths: Sequence[str]) -> str:
    more = len(paths) - NAMED
    return ", ".join(paths[:NAMED]) + (f" and {more} more" if more > 0 else "")


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sections", nargs="*", help="run these, whether they have passed or not")
    parser.add_argument("--without", action="append", default=[], help="skip this section")
    parser.add_argument("--status", action="store_true", help="only print the status of all sections")
    options = parser.parse_args()
    proof = Proof(ROOT, SECTIONS)
    skipped = proof.chosen(options.without)
    proof.sections = [section for section in SECTIONS if section not in skipped]
    if options.status:
        proof.status()
        return 0
    return proof.run(options.sections)


if __name__ == "__main__":
    sys.exit(main())
