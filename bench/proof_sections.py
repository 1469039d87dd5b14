# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The sections of `make proof`: what each proves, its commands, and the files that it covers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePath

BEFORE = "74839085e9f355742e01f10a39b17df0fee2c7c6"
"""The commit whose site.yml is compared with today's."""
KILLED_PARTS = 4
"""A release change has some forty plays, and each killed run takes two to three minutes."""

KILLED = "test_the_next_run_completes_a_killed_run"

APART = (
    *("bench", "tests", "docs", "molecule", ".ci", "Makefile", "LICENSE", "pyproject.toml", "requirements.in"),
    *(".ansible-lint", ".yamllint", ".gitignore"),
)
"""Files that are not part of the product, so a change to them reopens no section. All others are, even new ones."""
MEASURING = ("bench/common.py", "bench/tasks.py", "bench/callbacks")
HELPERS = ("conftest", "environment", "jobs", "killing", "load", "trees")
WARM = tuple(f"tests/warm_{part}.py" for part in ("client", "modules", "server", "start"))
TESTING = (*MEASURING, *WARM, "tests/conftest.py", *(f"tests/real/{helper}.py" for helper in HELPERS))

PLAY = "ansible-playbook -i inventories/staging"
STANDS = (f"{PLAY} playbooks/secrets.yml -e create=missing", f"{PLAY} site.yml")
"""Commands that create staging from any state."""
BOTH_SLOTS = (*STANDS, f"{PLAY} playbooks/deploy.yml -e release_name=1.1")
"""The same, and a release in the idle slot."""


@dataclass(frozen=True)
class Section:
    """A section of the long proof.

    `steps` are its commands. In them, `{kept}` is a folder that all sections of a family (killed-1, killed-2) share for
    one state of the code. `minutes` is their approximate duration on two cores. `places` are the files and folders that
    the section covers, in addition to the product or, with `product` false, alone.
    """

    name: str
    proves: str
    minutes: int
    steps: tuple[str, ...]
    places: tuple[str, ...]
    product: bool = True

    @property
    def family(self) -> str:
        """The name that it shares with other parts of the same proof."""
        return self.name.partition("-")[0]

    def is_about(self, path: str) -> bool:
        """Whether the section covers a file of the checkout. It never covers a page: sections write them."""
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
        "the switch takes milliseconds; killed at any moment, it leaves nothing half done",
        4,
        ("python -m bench.switch.run",),
        (*MEASURING, "bench/switch", "plugins/module_utils"),
        product=False,
    ),
    Section(
        "canary",
        "how many good candidates are stopped, and how many bad ones pass",
        25,
        ("python -m bench.canary.run",),
        (*MEASURING, "bench/canary", "plugins/module_utils", "roles/canary"),
        product=False,
    ),
    Section(
        "identity_seed",
        "users are created as fast as Kratos accepts them",
        20,
        ("python -m bench.identity_seed.run",),
        (*MEASURING, "bench/identity_seed", "plugins", "library", "services/kratos"),
        product=False,
    ),
    Section(
        "identity_servers",
        "users are created, restored and removed in the real Keycloak, too",
        10,
        ("pytest tests/loopback/test_identity_servers.py --proof",),
        ("plugins", "library", "tests/loopback"),
        product=False,
    ),
    Section(
        "template_tree",
        "many files in one call are faster than a loop, with the same result",
        15,
        ("python -m bench.template_tree.run",),
        ("bench/template_tree", "plugins", "library", "inventories", "ansible.cfg"),
        product=False,
    ),
    Section(
        "edge",
        "how much latency map, canary weight and limits add",
        10,
        (*BOTH_SLOTS, "python -m bench.edge.run"),
        (*TESTING, "bench/edge"),
    ),
    Section(
        "flood",
        "one source that tries to hold 10,000 connections slows down no other visitor, and the shared address stays",
        12,
        (*STANDS, "python -m bench.flood.run"),
        (*TESTING, "bench/flood", "bench/edge"),
    ),
    Section(
        "cutover",
        "how long cutover and rollback take",
        10,
        (*BOTH_SLOTS, "python -m bench.cutover.run"),
        (*TESTING, "bench/cutover"),
    ),
    Section(
        "release",
        "how long a new release takes from the command until it serves, without a failed request",
        12,
        (*STANDS, "python -m bench.release.run"),
        (*TESTING, "bench/release"),
    ),
    Section(
        "certificates",
        "hosts renew their certificates by Vault and by ACME, without a run and without a failed request",
        25,
        (*STANDS, "python -m bench.certificates.run"),
        (*TESTING, "bench/certificates"),
    ),
    Section(
        "site",
        "how long a run takes that changes nothing, compared with the usual way, pyinfra and an earlier version",
        40,
        (*STANDS, f"python -m bench.site.run --before {BEFORE}"),
        (*MEASURING, "bench/site"),
    ),
    Section(
        "drift",
        "every edited file is reported, and restored without effect on traffic",
        15,
        ("pytest tests/real/test_drift.py --proof",),
        (*TESTING, "tests/real/test_drift.py"),
    ),
    Section(
        "egress",
        "with an egress guard, nothing leaves staging but what is listed; without its rules, everything does",
        15,
        (STANDS[0], f"{PLAY} site.yml -i bench/egress/guard", "python -m bench.egress.run", STANDS[1]),
        (*MEASURING, "bench/egress"),
    ),
    Section(
        "drill",
        "a cutover with each fault ends as it must",
        30,
        ("pytest tests/real/test_drill.py --proof",),
        (*TESTING, "tests/real/test_drill.py"),
    ),
    Section(
        "data_host",
        "a data host whose database is gone gets it back under load, and a dropped table its rows",
        15,
        (*STANDS, "python -m bench.data_host.run"),
        (*TESTING, "bench/data_host"),
    ),
    Section(
        "rotation",
        "every class of generated secrets is rotated without a failed request or a lost session",
        20,
        (*STANDS, "python -m bench.rotation.run"),
        (*TESTING, "bench/rotation"),
    ),
    *(
        Section(
            f"killed-{part}",
            f"after a run is killed in any play, the next run completes it: part {part} of {KILLED_PARTS} of the plays",
            35,
            (f"pytest tests/real/test_release.py::{KILLED} --proof --part {part}/{KILLED_PARTS} --kept {{kept}}",),
            (*TESTING, "tests/real/test_release.py", "bench/killed"),
        )
        for part in range(1, KILLED_PARTS + 1)
    ),
    Section(
        "services",
        "files, jobs, a cache and a singleton are right while traffic moves and returns",
        20,
        (*STANDS, "python -m bench.services.run"),
        (*TESTING, "bench/services"),
    ),
    Section(
        "adopt",
        "two programs that nobody here wrote are adopted on blank hosts by docs/adopt.md alone",
        20,
        ("python -m tests.adoption.run",),
        (*MEASURING, "tests/adoption", "docs/adopt.md"),
    ),
    _zeroloss("moves-1", "no request is lost during cutovers: the first third of a million", 25),
    _zeroloss("moves-2", "the second third", 25),
    _zeroloss("moves-3", "the last third", 25),
    _zeroloss("kills", "what the death of an edge host costs, that losses are detected; other ways compared", 15),
    Section(
        "stage",
        "`make stage` sets up staging from scratch; REMOVES the lab's hosts, its caches and .venv/",
        30,
        ("python3 -m bench.stage.run --cold",),
        (*MEASURING, "bench/stage", "Makefile", "requirements.in"),
    ),
)
