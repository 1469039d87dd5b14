"""The lab's second start: everything is there already."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

from environment import ROOT, Environment

# Programs that fetch, build or install; each is called through one that takes down its words.
PROGRAMS = ("podman", "apt-get", "curl", "wget", "git", "go", "npm", "uv", "pip", "mmdebstrap")
SCRIPT = '#!/bin/sh\necho "{name} $*" >>{log}\nexec {program} "$@"\n'
# Podman's questions, which change nothing.
QUESTIONS = {"ps", "image", "inspect"}
# What any start does: a host may be new, and Vault may be sealed.
USUAL = [r"waiting for control's control1; staging's .*", "opening Vault"]
NOWHERE = "http://127.0.0.1:9"


def test_a_second_start_builds_and_downloads_nothing(staging: Environment, tmp_path: Path) -> None:
    assert (ROOT / ".lab").exists(), "there is no lab of this checkout: make lab"
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
    # Whatever takes long or fetches something names itself; how long it took is set off from that.
    steps = re.findall(r"^lab: (\S.*)$", done.stdout, re.M)[:-1]
    assert len(steps) == len(USUAL), steps
    assert all(re.fullmatch(usual, step) for usual, step in zip(USUAL, steps, strict=True)), steps
    calls = [line.split() for line in log.read_text().splitlines()]
    assert calls, "the lab asks podman at least"
    others = [words for words in calls if words[0] != "podman" and words != ["uv", "--version"]]
    verbs = {next(word for word in words[1:] if not word.startswith("-")) for words in calls if words[0] == "podman"}
    assert others == []
    assert verbs <= QUESTIONS
