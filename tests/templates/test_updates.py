# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""What apt reads of a host's settings of security updates."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml
from rendering import ROOT, render

FILE = "edge1/etc/apt/apt.conf.d/60greenroom-updates"


def settings(folder: Path, wanted: bool) -> list[str]:
    """The host's settings as apt understands them, a line `name "value";` each."""
    services = folder / "catalogue"
    services.mkdir(parents=True)
    found = render("staging", folder / "host", services, roles=("updates",), hosts="edge1", updates_security=wanted)
    # Without the settings of this machine.
    words = ["apt-config", f"--option=Dir={folder}", f"--config-file={found.folder / FILE}", "dump"]
    done = subprocess.run(words, capture_output=True, text=True, check=True, env={"APT_CONFIG": "/dev/null"})
    return done.stdout.splitlines()


@pytest.mark.parametrize("wanted", [True, False])
def test_updates_are_installed_every_day_or_never(tmp_path: Path, wanted: bool) -> None:
    lines = settings(tmp_path, wanted)
    assert f'APT::Periodic::Update-Package-Lists "{wanted:d}";' in lines
    assert f'APT::Periodic::Unattended-Upgrade "{wanted:d}";' in lines
    # Only security updates, and no reboot.
    sources = [line for line in lines if line.startswith("Unattended-Upgrade::Origins-Pattern:: ")]
    assert sources == [
        f'Unattended-Upgrade::Origins-Pattern:: "{source}";'
        for source in (
            "origin=Debian,codename=${distro_codename}-security,label=Debian-Security",
            "origin=Ubuntu,archive=${distro_codename}-security,label=Ubuntu",
        )
    ]
    assert 'Unattended-Upgrade::Automatic-Reboot "false";' in lines
    held = yaml.safe_load((ROOT / "roles/updates/defaults/main.yml").read_text())["updates_held"]
    blocked = [line for line in lines if line.startswith("Unattended-Upgrade::Package-Blacklist:: ")]
    assert blocked == [f'Unattended-Upgrade::Package-Blacklist:: "^{package}";' for package in held]
