# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Deploys the same packages, files and units with pyinfra."""

from __future__ import annotations

from pyinfra import host
from pyinfra.operations import apt, files, systemd

apt.packages(name="Install packages", packages=host.data.usual_packages, no_recommends=True)

for folder in host.data.usual_folders:
    files.directory(
        name=f"Create {folder['path']}",
        path=folder["path"],
        user=folder["owner"],
        group=folder["group"],
        mode=folder["mode"],
    )

for file in host.data.usual_files:
    files.template(
        name=f"Apply {file['path']}",
        src=file["src"],
        dest=file["path"],
        user=file["owner"],
        group=file["group"],
        mode=file["mode"],
        create_remote_dir=False,
    )

for unit in host.data.usual_units:
    systemd.service(
        name=f"Start {unit['name']}",
        service=unit["name"],
        running=True,
        enabled=True if unit["enabled"] else None,
    )
