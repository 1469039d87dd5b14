"""Debian packages for the hosts: a folder that is an apt repository, built once for each list of packages.

The lists come from the roles, so the repository has everything that a role installs, and hosts download nothing.
"""

from __future__ import annotations

import os
import shutil

import yaml

from . import cache, images, paths, podman
from .console import LabError, step

FOLDER = paths.CACHE / "packages"
"""Repositories by content hash, and `pool` with all downloaded packages, to which the repositories have hard links."""

SCRIPT = r"""
set -eu
pool=/packages/pool
new=/packages/$1
apt="apt-get -q -y -o Dir::Etc::SourceList=/usr/share/greenroom-lab/debian.list -o APT::Install-Recommends=false"
$apt update
mkdir -p $pool/partial $new/partial
while read -r packages; do
  echo "resolving: $packages"
  $apt -o Dir::Cache::archives=$pool --download-only install $packages
  $apt -o Dir::Cache::archives=$new --print-uris install $packages >>/tmp/uris
done <$new/lists
sed -n "s/^'[^']*' \([^ ]*\.deb\) .*/\1/p" /tmp/uris | sort -u | while read -r name; do ln $pool/$name $new/$name; done
rmdir $new/partial
$apt install apt-utils
cd $new
apt-ftparchive packages . >Packages
"""
"""Runs in a container of the host image. Resolves each role's list as on a host that has only that role."""

PROGRAMS = (
    *("haproxy", "keepalived", "prometheus", "prometheus-alertmanager", "prometheus-blackbox-exporter"),
    *("prometheus-postgres-exporter", "nftables", "sudo", "openssh-server", "chrony", "pgbackrest", "dnsmasq-base"),
)
"""The programs that read hosts' files, for tests that run them in a container."""

INSTALL = """
set -eu
list=/etc/apt/sources.list.d/tests.list
echo "deb [trusted=yes] file:/srv/packages ./" >$list
export DEBIAN_FRONTEND=noninteractive
apt-get -q update
apt-get -q -y -o Dpkg::Options::=--force-unsafe-io install --no-install-recommends "$@"
rm $list
"""


def lists() -> list[list[str]]:
    """List the packages of all roles: every variable `..._packages` in a role's defaults."""
    found = []
    for file in sorted((paths.ROOT / "roles").glob("*/defaults/main.yml")):
        variables = yaml.safe_load(file.read_text()) or {}
        for name, value in variables.items():
            if name.endswith("_packages") and value:
                if not isinstance(value, list) or any("{" in str(item) for item in value):
                    raise LabError(f"{file.relative_to(paths.ROOT)}: {name} must be a plain list of Debian packages.")
                found.append(sorted(map(str, value)))
    return sorted(found)


def repository() -> str:
    """Build the repository of the roles' packages unless it exists, and return the name of its folder."""
    wanted = "\n".join(" ".join(packages) for packages in lists())
    key = cache.content_hash(images.host(), wanted, SCRIPT)
    if (FOLDER / key).exists():
        return key
    FOLDER.mkdir(parents=True, exist_ok=True)
    new = FOLDER / f".new-{key}"
    with step("downloading the Debian packages of all roles"):
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir()
        paths.write(new / "lists", wanted + "\n" if wanted else "")
        podman.call(
            "run",
            "--rm",
            "--network=host",
            "--privileged",
            f"--volume={FOLDER}:/packages",
            images.host(),
            "sh",
            "-c",
            SCRIPT,
            "sh",
            new.name,
            log="debian-packages",
            hint="A package name in a role's defaults may be wrong, or the Debian mirror may be unreachable.",
        )
        os.replace(new, FOLDER / key)
    return key


def installed() -> str:
    """Build the image of a host with `PROGRAMS` unless it exists, and return its name."""
    host, folder = images.host(), repository()
    image = f"localhost/greenroom-programs:{cache.content_hash(host, folder, INSTALL, *PROGRAMS)}"
    if not images.exists(image):
        container = "greenroom-programs"
        words = [f"--volume={FOLDER / folder}:/srv/packages:ro", host, "sh", "-c", INSTALL, "sh", *PROGRAMS]
        with step("installing the programs that read hosts' files"):
            podman.call("run", "--replace", f"--name={container}", "--privileged", "--network=none", *words)
            podman.call("commit", "--quiet", container, image)
            podman.call("rm", container)
    return image
