# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""What `make stage` prints, taken apart into phases."""

from __future__ import annotations

import pytest

from bench.stage.run import phases

PRINTED = """\
lab: staging and control are up
ansible-playbook -i inventories/staging playbooks/secrets.yml -e create=missing
edge1 : ok=20 changed=0 unreachable=0 failed=0 skipped=3 rescued=0 ignored=0
Took 4 s: open 4 s
ansible-playbook -i inventories/staging site.yml
edge1 : ok=20 changed=0 unreachable=0 failed=0 skipped=3 rescued=0 ignored=0
Took 51 s: open 6 s, hosts 16 s, data 2 s,
  smoke 2 s, report 0 s

environment  staging
"""


def test_phases_are_those_of_the_commands_and_of_site_yml() -> None:
    lines = [(float(second), line) for second, line in enumerate(PRINTED.splitlines())]
    parts = {"open": 6, "hosts": 16, "data": 2, "smoke": 2, "report": 0}
    site = {f"site.yml: {name}": float(seconds) for name, seconds in parts.items()}
    assert phases(lines, 10) == {"lab": 1.0, "secrets.yml": 3.0, "site.yml": 1.0, **site, "status": 5.0}


def test_what_ran_no_playbook_is_no_round() -> None:
    with pytest.raises(SystemExit, match=r"did not run secrets\.yml and site\.yml"):
        phases([(0.0, "lab: staging and control are up")], 1)
