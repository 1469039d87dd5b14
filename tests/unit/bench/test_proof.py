# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Long evidence goes on where it was interrupted, and is open again after a change; tried with small commands."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace

import pytest

import bench.proof
from bench.common import ROOT
from bench.proof import LIMIT_SECONDS, Proof
from bench.proof_sections import HELPERS, SECTIONS, Section

# Runs sections in a process of its own, so that it can be sent signals.
PROGRAM = """
import json, signal, sys
from pathlib import Path
from bench.proof import Proof
from bench.proof_sections import Section
# Whoever started the tests may have some ignored, as nohup does, or a shell for what runs in the background.
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, signal.SIG_DFL)
root, sections, limit, grace, *names = sys.argv[1:]
sections = [Section(**{**each, "steps": tuple(each["steps"])}) for each in json.loads(sections)]
sys.exit(Proof(Path(root), sections, float(limit), float(grace)).run(names))
"""
# Notes that it ran, that it is ready, and that it put things right when it was asked to end.
TIDY = "echo tidy >> ran; trap 'echo right >> ended; exit 3' TERM; echo > ready; while :; do sleep 0.05; done"
# Notes that it was asked to end, and does not; has a child with a session of its own, as Ansible's workers have.
STUBBORN = (
    "trap 'echo > told' TERM; echo $$ > own; "
    "setsid sh -c \"trap '' TERM; echo \\$\\$ > child; exec sleep 300\" & while :; do wait; done"
)
# Goes on until it may end.
SLOW = "echo slow >> ran; echo $$ > own; echo > ready; until [ -e go ]; do sleep 0.05; done"


def section(name: str, *scripts: str, places: tuple[str, ...] = (), product: bool = True) -> Section:
    """A section of shell scripts; each notes that it ran in the file `ran`."""
    steps = tuple(f"sh -c {shlex.quote(script)}" for script in scripts)
    return Section(name, f"that {name} works", 1, steps, places, product)


def good(name: str) -> Section:
    return section(name, f"echo {name} >> ran")


def bad(name: str) -> Section:
    return section(name, f"echo {name} >> ran; echo a reason; exit 7")


def git(root: Path, *words: str) -> None:
    own = ["-c", "user.name=Tester", "-c", "user.email=tester@example.com"]
    subprocess.run(["git", *own, *words], cwd=root, check=True, capture_output=True)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A checkout with a product, a measuring program and what is no part of either."""
    folder = tmp_path / "checkout"
    for name, text in {
        "site.yml": "[]\n",
        "roles/edge/tasks/main.yml": "[]\n",
        "bench/edge/run.py": "pass\n",
        "bench/other/run.py": "pass\n",
        "docs/page.md": "Text.\n",
        ".gitignore": "/reports/\n/ran\n/ready\n/told\n/go\n/ended\n/own\n/child\n/broken\n",
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    git(folder, "init", "--quiet")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message=First")
    return folder


def ran(root: Path) -> list[str]:
    """What has run since somebody asked last."""
    found = (root / "ran").read_text().split() if (root / "ran").exists() else []
    (root / "ran").unlink(missing_ok=True)
    return found


def states(proof: Proof) -> dict[str, str]:
    return {each.name: proof.standing(each).state for each in proof.sections}


def wait(condition: Callable[[], object], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.02)


@contextlib.contextmanager
def started(
    root: Path, *sections: Section, limit: float = 600, grace: float = 120, names: Sequence[str] = ()
) -> Iterator[subprocess.Popen[str]]:
    """A proof in a process of its own."""
    words = [sys.executable, "-c", PROGRAM, str(root), json.dumps([asdict(each) for each in sections])]
    process = subprocess.Popen(
        [*words, str(limit), str(grace), *names],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def over_when(monkeypatch: pytest.MonkeyPatch, reached: Callable[[], object]) -> None:
    """Let the time of the section that runs be over once something is reached, however long that takes."""

    def now() -> float:
        return time.monotonic() + (LIMIT_SECONDS if reached() else 0)

    monkeypatch.setattr(bench.proof, "time", SimpleNamespace(monotonic=now, sleep=time.sleep))


def has_child(root: Path) -> bool:
    return (root / "child").exists() and bool((root / "child").read_text())


def alive(process: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


# What is run, and what is told


def test_a_section_that_fails_does_not_stop_the_others(root: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    proof = Proof(root, [good("first"), bad("second"), good("third")])
    assert proof.run() == 1
    assert ran(root) == ["first", "second", "third"]
    assert states(proof) == {"first": "passed", "second": "failed", "third": "passed"}
    said = capfdbinary.readouterr().out.decode()
    assert "proof: section 1 of 3, first: that first works\n" in said
    assert "proof: takes about 60 s, 60 min at most; done: none\n" in said
    assert "a reason\n" in said
    assert "proof: second FAILED: `sh -c" in said
    assert "ended with exit code 7; see reports/proof/second/log" in said
    assert (
        "proof: section 3 of 3, third: that third works\nproof: takes about 60 s, 60 min at most; done: first\n" in said
    )
    assert said.endswith("\nproof: not passed: second\n")
    assert (root / "reports/proof/second/log").read_text() == "a reason\n"


def test_only_what_has_not_passed_is_done_again(root: Path) -> None:
    broken = section("second", "echo second >> ran; test ! -e broken")
    (root / "broken").touch()
    assert Proof(root, [good("first"), broken]).run() == 1
    assert ran(root) == ["first", "second"]
    (root / "broken").unlink()
    assert Proof(root, [good("first"), broken]).run() == 0
    assert ran(root) == ["second"]
    assert Proof(root, [good("first"), broken]).run() == 0
    assert ran(root) == []


def test_sections_can_be_asked_for_by_name(root: Path) -> None:
    proof = Proof(root, [good("killed-1"), good("killed-2"), good("kill"), good("edge")])
    assert proof.run(["killed"]) == 0
    assert proof.run(["killed-2"]) == 0
    assert proof.run(["edge", "killed-2", "edge"]) == 0
    assert ran(root) == ["killed-1", "killed-2", "killed-2", "edge", "killed-2"]
    assert states(proof)["kill"] == "open"
    with pytest.raises(SystemExit, match=r"no section nothing\. There are: killed-1, killed-2, kill, edge"):
        proof.run(["nothing"])


def test_commands_follow_each_other_until_one_fails(root: Path) -> None:
    proof = Proof(root, [section("edge", "echo 1 >> ran; echo one", "echo 2 >> ran; echo two; false", "echo 3 >> ran")])
    assert proof.run() == 1
    assert ran(root) == ["1", "2"]
    assert (root / "reports/proof/edge/log").read_text() == "one\ntwo\n"


def test_a_program_that_is_not_there_is_a_failure(root: Path) -> None:
    proof = Proof(root, [Section("edge", "", 1, ("no-such-program",), ())])
    assert proof.run() == 1
    assert "`no-such-program` could not be started: " in proof.standing(proof.sections[0]).why


def test_the_status_says_when_how_long_and_at_which_commit(
    root: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    began = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime())
    Proof(root, [good("first")]).run()
    ended = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime())
    capfdbinary.readouterr()
    Proof(root, [good("first"), good("second-one")]).status()
    first, second = capfdbinary.readouterr().out.decode().split("\n")[1:3]
    head = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=root, capture_output=True, text=True, check=True)
    passed = re.fullmatch(rf"first       passed  (.+) UTC  \d+ s  at {head.stdout.strip()}", first)
    assert passed, first
    assert began <= passed[1] <= ended
    assert second == "second-one  open    has not been run yet; about 60 s"


# What makes a section open again


@pytest.mark.parametrize(
    ("path", "opens"),
    [
        ("roles/edge/tasks/main.yml", True),
        ("site.yml", True),
        ("providers/new.yml", True),
        ("bench/edge/run.py", True),
        ("bench/edge/README.md", False),
        ("bench/other/run.py", False),
        ("docs/page.md", False),
        ("reports/proof/edge/log", False),
    ],
)
def test_a_change_makes_open_what_is_about_it_and_says_why(root: Path, path: str, opens: bool) -> None:
    edge = section("edge", "true", places=("bench/edge",))
    proof = Proof(root, [edge])
    assert proof.run() == 0
    passed = proof.standing(edge)
    before = (root / path).read_text() if (root / path).exists() else None
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text("changed\n")
    now = proof.standing(edge)
    assert now.state == ("open" if opens else "passed")
    if not opens or not passed.record:
        return
    assert now.why == f"changed since it passed at {passed.record.commit}: {path}"
    # Committed or not is the same.
    git(root, "add", ".")
    git(root, "commit", "--quiet", "--message=Second")
    assert proof.standing(edge) == now
    # What was proved of a state stays proved.
    if before is None:
        (root / path).unlink()
    else:
        (root / path).write_text(before)
    assert proof.standing(edge) == passed


def test_a_section_without_hosts_is_about_its_own_places_only(root: Path) -> None:
    edge = section("edge", "true", places=("bench/edge",), product=False)
    proof = Proof(root, [edge])
    assert proof.run() == 0
    (root / "site.yml").write_text("changed\n")
    assert proof.standing(edge).state == "passed"
    (root / "bench/edge/run.py").chmod(0o755)
    assert proof.standing(edge).state == "open"


def test_another_command_makes_it_open(root: Path) -> None:
    assert Proof(root, [section("edge", "true")]).run() == 0
    changed = Proof(root, [section("edge", "true", "true")])
    assert changed.standing(changed.sections[0]).why.endswith(": (its commands)")


def test_many_changes_are_counted(root: Path) -> None:
    for number in range(5):
        (root / f"roles/{number}.yml").write_text("")
    proof = Proof(root, [good("edge")])
    assert proof.run() == 0
    record = proof.standing(proof.sections[0]).record
    assert record
    assert record.commit.endswith(" and changes")
    git(root, "clean", "--quiet", "--force", "roles")
    (root / "site.yml").unlink()
    why = proof.standing(proof.sections[0]).why
    assert why.endswith("and changes: roles/0.yml, roles/1.yml, roles/2.yml and 3 more")


def test_what_changed_while_it_ran_proves_nothing(root: Path) -> None:
    proof = Proof(root, [section("edge", "echo changed > site.yml")])
    assert proof.run() == 1
    git(root, "checkout", "site.yml")
    standing = proof.standing(proof.sections[0])
    assert standing.state == "failed"
    assert "changed while it ran: site.yml" in standing.why


def test_parts_share_a_folder_for_one_state_of_the_code(root: Path) -> None:
    parts = [section(f"killed-{part}", f"echo {{kept}} >> ran; true {part}") for part in (1, 2)]
    proof = Proof(root, [*parts, section("edge", "echo {kept} >> ran")])
    assert proof.run() == 0
    first, second, other = ran(root)
    assert first == second != other
    assert first.startswith(f"{root}/reports/proof/kept/killed-")
    (root / "site.yml").write_text("changed\n")
    assert proof.run(["killed-1"]) == 0
    assert first not in ran(root)


# What interrupts it


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_interrupted_it_puts_things_right_and_goes_on_with_what_is_open(root: Path, number: signal.Signals) -> None:
    with started(root, good("first"), section("second", TIDY), good("third")) as process:
        wait((root / "ready").exists)
        process.send_signal(number)
        said, _ = process.communicate(timeout=120)
    assert process.returncode == 128 + number
    assert (root / "ended").read_text() == "right\n"
    assert "proof: interrupted in second. To continue: make proof\n" in said
    assert ran(root) == ["first", "tidy"]
    again = Proof(root, [good("first"), good("second"), good("third")])
    assert states(again) == {"first": "passed", "second": "open", "third": "open"}
    assert again.run() == 0
    assert ran(root) == ["second", "third"]


def test_a_second_signal_kills_at_once(root: Path) -> None:
    with started(root, section("edge", STUBBORN), grace=300) as process:
        wait(lambda: has_child(root))
        process.send_signal(signal.SIGINT)
        # Before that, both might be taken for one.
        wait((root / "told").exists)
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=120)
    assert process.returncode == 128 + signal.SIGINT
    wait(lambda: not any(alive(int((root / name).read_text())) for name in ("own", "child")))


def test_killed_it_leaves_the_section_alone_and_goes_on_when_that_has_ended(root: Path) -> None:
    slow = section("slow", SLOW)
    try:
        with started(root, slow) as process:
            wait((root / "ready").exists)
            wait(lambda: '"process"' in (root / "reports/proof/lock").read_text())
            process.kill()
            process.wait()
        with started(root, slow) as process:
            said, _ = process.communicate(timeout=120)
        assert process.returncode == 1
        assert "slow, begun " in said
        assert " is running. Wait for it, or stop it." in said
        assert alive(int((root / "own").read_text()))
    finally:
        (root / "go").touch()
    wait(lambda: not alive(int((root / "own").read_text())))
    # What it came to is not known, so that it is done again.
    with started(root, good("slow")) as process:
        said, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    assert ", was interrupted, and is open\n" in said
    assert ran(root) == ["slow", "slow"]


def test_who_reads_it_may_go_away(root: Path) -> None:
    with started(root, section("edge", "for i in 1 2 3 4 5; do echo $i; sleep 0.1; done; echo done >> ran")) as process:
        assert process.stdout
        process.stdout.close()
        process.wait(120)
    assert process.returncode == 0
    assert ran(root) == ["done"]


# When its time is over


def test_a_section_has_its_time_and_is_asked_to_end_then(
    root: Path, capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    over_when(monkeypatch, (root / "ready").exists)
    proof = Proof(root, [section("edge", "echo first", TIDY), good("other")])
    assert proof.run() == 1
    assert ran(root) == ["tidy", "other"]
    assert (root / "ended").read_text() == "right\n"
    said = capfdbinary.readouterr().out.decode()
    assert "proof: the command was not done within 60 min; sent SIGTERM, waiting up to 300 s for its end" in said
    assert re.search(r"was not done within 60 min; ended \d+ s after SIGTERM", proof.standing(proof.sections[0]).why)


def test_what_does_not_end_is_killed_with_all_its_children(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    over_when(monkeypatch, lambda: has_child(root))
    proof = Proof(root, [section("edge", STUBBORN)], grace=1)
    began = time.monotonic()
    assert proof.run() == 1
    # Its child would sleep for longer.
    assert time.monotonic() - began < 250
    killed = r"did not end within \d+ s after SIGTERM, and was killed \(SIGKILL\)"
    assert re.search(killed, proof.standing(proof.sections[0]).why)
    wait(lambda: not any(alive(int((root / name).read_text())) for name in ("own", "child")))


# The sections that there are


def test_sections_fit_into_their_time_and_have_names_of_their_own() -> None:
    assert len({each.name for each in SECTIONS}) == len(SECTIONS)
    assert all(0 < each.minutes * 60 < LIMIT_SECONDS for each in SECTIONS)


@pytest.mark.parametrize("name", [each.name for each in SECTIONS])
def test_what_a_section_names_is_there(name: str) -> None:
    (own,) = [each for each in SECTIONS if each.name == name]
    assert [place for place in own.places if not (ROOT / place).exists()] == []
    for step in own.steps:
        program, *words = step.split()
        if program == "pytest":
            path, _, test = words[0].partition("::")
            assert f"def {test}" in (ROOT / path).read_text()
        elif program == "ansible-playbook":
            assert (ROOT / words[2]).is_file()
        else:
            assert program in ("python", "python3")
            assert (ROOT / f"{words[1].replace('.', '/')}.py").is_file()


def test_every_measurement_is_in_a_section() -> None:
    steps = " ".join(step for each in SECTIONS for step in each.steps)
    assert [
        path.parent.name for path in ROOT.glob("bench/*/run.py") if f"bench.{path.parent.name}.run" not in steps
    ] == []
    with_proof = [path for path in ROOT.glob("tests/real/test_*.py") if 'getoption("--proof")' in path.read_text()]
    assert with_proof
    assert [path.name for path in with_proof if not re.search(rf"tests/real/{path.name}\S* --proof", steps)] == []
    helpers = {path.stem for path in ROOT.glob("tests/real/*.py") if not path.stem.startswith("test_")}
    assert helpers == set(HELPERS)


def test_parts_are_about_the_same() -> None:
    families: dict[str, set[tuple[str, ...]]] = {}
    for each in SECTIONS:
        families.setdefault(each.family, set()).add(each.places)
    assert {len(places) for places in families.values()} == {1}


def test_every_section_is_in_the_documentation() -> None:
    text = (ROOT / "docs/proof.md").read_text()
    assert [each.name for each in SECTIONS if f"`{each.name}`" not in text] == []


def test_environment_of_commands_has_the_projects_programs(root: Path) -> None:
    assert Proof(root, [section("edge", "echo $PATH >> ran")]).run() == 0
    assert ran(root)[0].split(os.pathsep)[0] == f"{root}/.venv/bin"
