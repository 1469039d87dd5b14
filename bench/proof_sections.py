# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The sections of `make proof`: what each proves, what it runs, and what it is about."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePath

BEFORE = "74839085e9f355742e01f10a39b17df0fee2c7c6"
"""The version with whose site.yml today's is compared."""
KILLED_PARTS = 4
"""A release change has some forty plays, and a killed run takes two to three minutes."""

KILLED = "test_runs_that_are_killed_are_made_good_by_the_next"

APART = (
    *("bench", "tests", "docs", "molecule", ".ci", "Makefile", "LICENSE", "pyproject.toml", "requirements.in"),
    *(".ansible-lint", ".yamllint", ".gitignore"),
)
"""What is no part of the product: nothing that is proved depends on it. Any other file or folder is, new ones, too."""
MEASURING = ("bench/common.py", "bench/tasks.py", "bench/callbacks")
HELPERS = ("conftest", "environment", "jobs", "killing", "load", "trees")
TESTING = (*MEASURING, "tests/conftest.py", *(f"tests/real/{helper}.py" for helper in HELPERS))

PLAY = "ansible-playbook -i inventories/staging"
STANDS = (f"{PLAY} playbooks/secrets.yml -e create=missing", f"{PLAY} site.yml")
"""What makes staging stand, whatever it was before."""
BOTH_SLOTS = (*STANDS, f"{PLAY} playbooks/deploy.yml -e release_name=1.1")
"""The same, with a release in the idle slot, which serves nobody."""


@dataclass(frozen=True)
class Section:
    """A part of the long evidence.

    `steps` are commands, one after the other; in them `{kept}` is a folder that all sections have in common whose name
    begins alike (killed-1, killed-2), for one state of the code. `minutes` is about what they take on two cores.
    `places` are the files and folders that it is about, besides the product or, with `product` false, alone.
    """

    name: str
    proves: str
    minutes: int
    steps: tuple[str, ...]
    places: tuple[str, ...]
    product: bool = True

    @property
    def family(self) -> str:
        """The name that it has in common with the other parts of the same evidence."""
        return self.name.partition("-")[0]

    def is_about(self, path: str) -> bool:
        """Whether a file of the checkout has to do with it. Its own page has not: the section writes it."""
        if PurePath(path).name == "README.md":
            return False
        return _below(path, self.places) or (self.product and not _below(path, APART))


def _below(path: str, places: tuple[str, ...]) -> bool:
    return any(path == place or path.startswith(f"{place}/") for place in places)


def _zeroloss(part: str, proves: str, minutes: int) -> Section:
    step = f"python -m bench.zeroloss.run --part {part} --kept {{kept}}"
    places = (*TESTING, "bench/zeroloss")
    return Section(f"zeroloss-{part}", proves, minutes, (*BOTH_SLOTS, step), places)


SECTIONS = (
    Section(
        "switch",
        "the switch takes milliseconds, and a kill at any moment of it leaves nothing half done",
        4,
        ("python -m bench.switch.run",),
        (*MEASURING, "bench/switch", "plugins/module_utils"),
        product=False,
    ),
    Section(
        "canary",
        "verdicts on candidates: how many good ones are stopped, and how many bad ones get through",
        5,
        ("python -m bench.canary.run",),
        (*MEASURING, "bench/canary", "plugins/module_utils", "roles/canary"),
        product=False,
    ),
    Section(
        "identity_seed",
        "people are made as fast as Kratos takes them",
        20,
        ("python -m bench.identity_seed.run",),
        (*MEASURING, "bench/identity_seed", "plugins", "library", "services/kratos"),
        product=False,
    ),
    Section(
        "template_tree",
        "many files in one call are faster than a loop, and the same",
        15,
        ("python -m bench.template_tree.run",),
        ("bench/template_tree", "plugins", "library", "inventories", "ansible.cfg"),
        product=False,
    ),
    Section(
        "edge",
        "what map, canary share and limits add to an answer's time",
        10,
        (*BOTH_SLOTS, "python -m bench.edge.run"),
        (*TESTING, "bench/edge"),
    ),
    Section(
        "cutover",
        "how long cutting over and going back take",
        10,
        (*BOTH_SLOTS, "python -m bench.cutover.run"),
        (*TESTING, "bench/cutover"),
    ),
    Section(
        "release",
        "how long a new release takes from command to serving, with nobody noticing",
        12,
        (*STANDS, "python -m bench.release.run"),
        (*TESTING, "bench/release"),
    ),
    Section(
        "site",
        "what a run that changes nothing takes, beside the usual way, pyinfra and an earlier version",
        40,
        (*STANDS, f"python -m bench.site.run --before {BEFORE}"),
        (*MEASURING, "bench/site"),
    ),
    Section(
        "drift",
        "every file that somebody edits by hand is shown, and put back with nobody noticing",
        15,
        ("pytest tests/real/test_drift.py --proof",),
        (*TESTING, "tests/real/test_drift.py"),
    ),
    Section(
        "drill",
        "a cut-over with each fault ends as it has to",
        30,
        ("pytest tests/real/test_drill.py --proof",),
        (*TESTING, "tests/real/test_drill.py"),
    ),
    *(
        Section(
            f"killed-{part}",
            f"a run that is killed in any play is made good by the next: part {part} of {KILLED_PARTS} of the plays",
            35,
            (f"pytest tests/real/test_release.py::{KILLED} --proof --part {part}/{KILLED_PARTS} --kept {{kept}}",),
            (*TESTING, "tests/real/test_release.py", "bench/killed"),
        )
        for part in range(1, KILLED_PARTS + 1)
    ),
    _zeroloss("moves-1", "no request is lost while the public is moved: the first third of a million", 25),
    _zeroloss("moves-2", "the second third", 25),
    _zeroloss("moves-3", "the last third", 25),
    _zeroloss("kills", "what the death of an edge host costs, and that losses are seen; other ways beside it", 15),
    Section(
        "stage",
        "from nothing to a staging environment that serves; REMOVES the lab's hosts, its caches and .venv/",
        30,
        ("python3 -m bench.stage.run --cold",),
        (*MEASURING, "bench/stage", "Makefile", "requirements.in"),
    ),
)
