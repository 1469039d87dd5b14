"""A second start of the lab builds and downloads nothing."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

from environment import ROOT, Environment

# Programs that download, build or install. A wrapper logs the arguments of each.
PROGRAMS = ("podman", "apt-get", "curl", "wget", "git", "go", "npm", "uv", "pip", "mmdebstrap")
SCRIPT = '#!/bin/sh\necho "{name} $*" >>{log}\nexec {program} "$@"\n'
# Podman's read-only commands.
QUESTIONS = {"ps", "image", "inspect"}
# Steps of every start: a host may be new, and Vault may be sealed.
USUAL = [r"waiting for control's control1; staging's .*", "unsealing Vault"]
NOWHERE = "http://127.0.0.1:9"


def test_a_second_start_builds_and_downloads_nothing(staging: Environment, tmp_path: Path) -> None:
    assert (ROOT / ".lab").exists(), "this checkout has no lab: run `make lab`"
    programs, log = tmp_path / "programs", tmp_path / "log"
    programs.mkdir()
    log.touch()
    for name in PROGRAMS:
        if program := shutil.which(name):
            (programs / name).write_text(SCRIPT.format(name=name, program=program, log=log))
            (programs / name).chmod(0o755)
    proxies = {f"{scheme}_proxy": NOWHERE for scheme in ("http", "https", "all")}
    proxies |= {name.upper(): value for name, value in proxies.items()}
    done = subprocess.run(
        ["lab/lab", "up", staging.name],
        cwd=ROOT,
        env={
            **os.environ,
            **proxies,
            **dict.fromkeys(("no_proxy", "NO_PROXY"), "198.18.0.0/15"),
            "PATH": f"{programs}:{os.environ['PATH']}",
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    # Every step that takes long or downloads something prints its title. Lines with durations are indented.
    steps = re.findall(r"^lab: (\S.*)$", done.stdout, re.M)[:-1]
    assert len(steps) == len(USUAL), steps
    assert all(re.fullmatch(usual, step) for usual, step in zip(USUAL, steps, strict=True)), steps
    calls = [line.split() for line in log.read_text().splitlines()]
    assert calls, "the lab must at least call podman"
    others = [words for words in calls if words[0] != "podman" and words != ["uv", "--version"]]
    verbs = {next(word for word in words[1:] if not word.startswith("-")) for words in calls if words[0] == "podman"}
    assert others == []
    assert verbs <= QUESTIONS
