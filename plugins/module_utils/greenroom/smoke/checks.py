# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Smoke checks: send requests to an environment as its users would, in parallel, and end by a deadline.

A check is data (a dict with the keys of the module smoke_check). `validate` returns its errors without sending a
request, `run` runs checks, `junit` returns a report of the verdicts. Plain Python, standard library only.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any
from xml.etree import ElementTree

from ..common import web
from .attempt import PAUSES, VARIABLE, Attempt, Settings, UnmetError, steps_of
from .expectations import listed

TYPES = ("http", "tcp", "tls")
TEXT_LIMIT = 200
"""Characters of `expected` and `got`."""
SOURCES = ("json", "header", "cookie", "input", "form", "regex")


@dataclass(frozen=True)
class Verdict:
    """The result of a check. A skipped check is `ok`, and `got` has the reason.

    With `unreadable`, it was skipped because it uses a secret that can't be read; otherwise because it changes data.
    """

    name: str
    ok: bool
    expected: str
    got: str
    seconds: float
    skipped: bool = False
    unreadable: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Return the verdict as data."""
        return asdict(self)


def validate(checks: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the errors in `checks`, one line each with the check and the step; an empty list without errors."""
    errors: list[str] = []
    seen: set[str] = set()
    for check in checks:
        name = str(check.get("name"))
        if name in seen:
            errors.append(f"check '{name}': another check has the same name")
        seen.add(name)
        errors += [f"check '{name}': {error}" for error in _check_errors(check)]
    return errors


def _check_errors(check: Mapping[str, Any]) -> Iterator[str]:
    kind = check.get("type") or "http"
    if kind != "http":
        if not check.get("host"):
            yield f"a {kind} check needs a host"
        if kind == "tcp" and not check.get("port"):
            yield "a tcp check needs a port"
        if unfit := sorted({"url", "steps", "expect", "capture"} & {key for key, value in check.items() if value}):
            yield f"a {kind} check can't have {', '.join(unfit)}"
        return
    steps = check.get("steps")
    if steps and check.get("url"):
        yield "set url or steps, not both"
    for number, step in enumerate(steps_of(check), 1):
        for error in _step_errors(step):
            yield f"step {number}: {error}" if steps else error


def _step_errors(step: Mapping[str, Any]) -> Iterator[str]:
    if not step.get("url"):
        yield "url is missing"
    if len([key for key in ("form", "json", "body") if step.get(key) is not None]) > 1:
        yield "set only one of form, json, body"
    expect = step.get("expect") or {}
    for pattern in listed(expect.get("matches")):
        yield from _pattern_errors("expect.matches", pattern)
    for variable, source in (step.get("capture") or {}).items():
        if not isinstance(source, Mapping) or not set(source) & set(SOURCES):
            yield f"capture {variable}: set a source: {', '.join(SOURCES)}"
        elif unknown := sorted(set(source) - {*SOURCES, "unescape"}):
            yield f"capture {variable}: unknown {', '.join(unknown)}"
        elif len(set(source) & set(SOURCES) - {"regex"}) > 1:
            yield f"capture {variable}: set only one source"
        elif "regex" in source:
            yield from _pattern_errors(f"capture {variable}", source["regex"])


def _pattern_errors(where: str, pattern: Any) -> Iterator[str]:
    try:
        re.compile(VARIABLE.sub("x", str(pattern)))
    except re.error as error:
        yield f"{where}: not a regular expression: {error}"


def run(checks: Sequence[Mapping[str, Any]], settings: Settings) -> list[Verdict]:
    """Run all checks in parallel and return their verdicts in order, by the deadline at the latest.

    With `retry`, a failing check is repeated until the deadline. Threads that still wait then are abandoned. They are
    daemon threads, so no server can block the caller.
    """
    # A check's own deadline is a little earlier, so that its verdict can name what it waited for.
    outer = web.Deadline(settings.deadline)
    deadline = outer.before(min(0.3, settings.deadline / 10))
    gate = threading.BoundedSemaphore(max(1, settings.concurrency))
    verdicts: list[Verdict | None] = [None] * len(checks)

    def work(index: int) -> None:
        verdicts[index] = _persevere(checks[index], settings, deadline, gate)

    skipped = [_skipped(check, settings) for check in checks]
    threads = [
        threading.Thread(target=work, args=(index,), daemon=True, name=f"smoke-{index}")
        for index, skip in enumerate(skipped)
        if not skip
    ]
    started = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(outer.left())
    spent = round(time.monotonic() - started, 3)
    missing = [
        skip or Verdict(check["name"], False, "a verdict", "none by the deadline", spent)
        for check, skip in zip(checks, skipped, strict=True)
    ]
    return [verdict or otherwise for verdict, otherwise in zip(list(verdicts), missing, strict=True)]


def _skipped(check: Mapping[str, Any], settings: Settings) -> Verdict | None:
    """Return the verdict on a check that must not or can't run; None if it can."""
    if check.get("mutates") and not settings.mutating:
        return Verdict(check["name"], True, "", "skipped: it changes data", 0.0, skipped=True)
    if needed := [name for name in settings.unreadable if _uses(check, name)]:
        reason = f"not done: {', '.join(needed)} can't be read"
        return Verdict(check["name"], True, "", reason, 0.0, skipped=True, unreadable=True)
    return None


def _uses(check: Mapping[str, Any], secret: str) -> bool:
    """Whether a check uses a secret: a variable, or `password`, which every HTTP request sends by default."""
    if secret != "password":
        return any(match.group(2) == secret for match in VARIABLE.finditer(str(check)))
    if (check.get("type") or "http") != "http":
        return False
    return any(step.get("auth") is not False and step.get("password") is None for step in steps_of(check))


def _persevere(
    check: Mapping[str, Any], settings: Settings, deadline: web.Deadline, gate: threading.BoundedSemaphore
) -> Verdict:
    """Try a check once, or with `retry` until it passes or the deadline is over."""
    started = time.monotonic()
    last: Verdict | None = None
    tries = 0
    while _turn(gate, deadline):
        try:
            verdict = _attempt(check, settings, deadline, started)
        finally:
            gate.release()
        if last is None or deadline.left() > 0:
            # If the deadline interrupted the last try, the try before says more.
            last = verdict
        pause = PAUSES[min(tries, len(PAUSES) - 1)]
        if last.ok or not settings.retry or deadline.left() <= pause:
            break
        time.sleep(pause)
        tries += 1
    return last or Verdict(str(check["name"]), False, "a free place to run in", "none by the deadline", 0.0)


def _turn(gate: threading.BoundedSemaphore, deadline: web.Deadline) -> bool:
    """Wait until another check may run; returns whether it may run before the deadline."""
    if not gate.acquire(timeout=deadline.left()):
        return False
    if deadline.left() > 0:
        return True
    gate.release()
    return False


def _attempt(check: Mapping[str, Any], settings: Settings, deadline: web.Deadline, started: float) -> Verdict:
    attempt = Attempt(settings, deadline)
    expected, ok = "", True
    try:
        got = attempt.run(check)
    except UnmetError as failure:
        expected, got, ok = failure.expected, failure.got, False
    except (AttributeError, LookupError, OSError, TypeError, ValueError) as error:
        # An unexpected error must give a verdict, too, instead of ending the thread.
        expected, got, ok = "a response", f"{type(error).__name__}: {error}", False
    seconds = round(time.monotonic() - started, 3)
    clean = attempt.mask.clean
    return Verdict(str(check["name"]), ok, clean(expected)[:TEXT_LIMIT], clean(got)[:TEXT_LIMIT], seconds)


def summary(verdicts: Sequence[Verdict], seconds: float) -> str:
    """Return the verdicts as one line; with failures, what the first failed check expected and got."""
    skipped = sum(verdict.skipped for verdict in verdicts)
    undone = sum(verdict.unreadable for verdict in verdicts)
    failed = [verdict for verdict in verdicts if not verdict.ok]
    ran = len(verdicts) - skipped
    tail = f", {skipped - undone} skipped because they change data" if skipped > undone else ""
    tail += f", {undone} not done because their secrets can't be read" if undone else ""
    if not failed:
        return f"{ran} of {ran} checks passed in {seconds:.1f} s{tail}"
    first = failed[0]
    return (
        f"{len(failed)} of {ran} checks failed{tail}; first: {first.name}: expected {first.expected}, got {first.got}"
        + (f" (also failed: {', '.join(verdict.name for verdict in failed[1:])})" if failed[1:] else "")
    )


def junit(verdicts: Sequence[Verdict], seconds: float, suite: str = "smoke") -> bytes:
    """Return the verdicts as JUnit XML."""
    root = ElementTree.Element(
        "testsuite",
        name=suite,
        tests=str(len(verdicts)),
        failures=str(sum(not verdict.ok for verdict in verdicts)),
        errors="0",
        skipped=str(sum(verdict.skipped for verdict in verdicts)),
        time=f"{seconds:.3f}",
    )
    for verdict in verdicts:
        case = ElementTree.SubElement(
            root, "testcase", classname=suite, name=_printable(verdict.name), time=f"{verdict.seconds:.3f}"
        )
        if verdict.skipped:
            ElementTree.SubElement(case, "skipped", message=_printable(verdict.got))
        elif not verdict.ok:
            message = _printable(f"expected {verdict.expected}, got {verdict.got}")
            ElementTree.SubElement(case, "failure", message=message).text = message
    return bytes(ElementTree.tostring(root, encoding="utf-8", xml_declaration=True))


def _printable(text: str) -> str:
    """Replace characters that XML 1.0 doesn't allow."""
    return re.sub(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "?", text)
