# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""What hosts get for services that keep files, and for a service of which only one instance may run."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives import serialization
from rendering import Rendered, render

CALENDAR = """
image: calendar
activation: singleton
user: 1010
ports: {web: {container: 5232, from: [edge]}}
health: {port: web, path: /}
routes: [{path: /}]
volumes:
  collections: {path: /var/lib/calendar}
"""
GALLERY = """
image: gallery
ports: {http: {container: 8000, from: [edge]}}
health: {port: http, path: /ready}
routes: [{path: /gallery}]
volumes:
  media: {path: /srv/media}
  index: {path: /srv/index, shared: per_slot, per_host: true}
"""
RESIZER = """
image: gallery
activation: live_only
volumes:
  media: {path: /media, of: gallery, read_only: true}
"""
FOLDER = "/var/lib/greenroom/volumes"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Rendered:
    """Staging with services that keep files."""
    services = tmp_path_factory.mktemp("catalogue") / "services"
    for name, text in {"calendar": CALENDAR, "gallery": GALLERY, "resizer": RESIZER}.items():
        (services / name).mkdir(parents=True)
        (services / name / "service.yml").write_text(text)
    return render(
        "staging",
        tmp_path_factory.mktemp("files"),
        services,
        roles=("backup", "bundle", "edge_slot", "firewall", "volumes"),
        hosts="app1:app2:edge1:ops1",
        volumes_nfs={"gallery/media": "nfs.test:/export/media"},
    )


@pytest.mark.parametrize(
    ("file", "line"),
    [
        (
            "app1/etc/containers/systemd/calendar-blue.container",
            f"Volume={FOLDER}/calendar/collections:/var/lib/calendar:rw",
        ),
        (
            "app1/etc/containers/systemd/calendar-green.container",
            f"Volume={FOLDER}/calendar/collections:/var/lib/calendar:rw",
        ),
        ("app1/etc/containers/systemd/gallery-green.container", f"Volume={FOLDER}/gallery/index.green:/srv/index:rw"),
        ("app1/etc/containers/systemd/gallery-green.container", f"RequiresMountsFor={FOLDER}/gallery/media\n"),
        ("app2/etc/containers/systemd/resizer-blue.container", f"Volume={FOLDER}/gallery/media:/media:ro"),
        ("app1/etc/ssh/authorized_keys.d/greenroom-volumes", 'restrict,command="sudo -n /usr/local/lib/greenroom/'),
        ("app1/etc/systemd/system/var-lib-greenroom-volumes-gallery-media.mount", "What=nfs.test:/export/media\n"),
        ("app1/etc/nftables.conf", "198.18.10.41"),
        ("edge1/etc/haproxy/slots/blue.cfg", "server app1:blue 198.18.10.21:15232 port 15232\n"),
        ("edge1/etc/haproxy/slots/blue.cfg", "server app1:green 198.18.10.21:25232 port 25232\n"),
        ("edge1/etc/haproxy/slots/green.cfg", "server app1:blue 198.18.10.21:15232 port 15232\n"),
        (
            "ops1/etc/greenroom/backup/environment",
            'BACKUP_FILES="calendar/collections@app1=198.18.10.21 gallery/index.blue@app1=198.18.10.21 '
            "gallery/index.green@app1=198.18.10.21 gallery/index.blue@app2=198.18.10.22 "
            'gallery/index.green@app2=198.18.10.22 gallery/media@app1=198.18.10.21"\n',
        ),
        ("ops1/etc/greenroom/backup/volumes-key", "BEGIN PRIVATE KEY"),
    ],
)
def test_everything_that_keeps_files_comes_from_the_service(files: Rendered, file: str, line: str) -> None:
    assert line in (files.folder / file).read_text()


def test_the_key_of_the_backup_fits_its_lock(files: Rendered) -> None:
    key = serialization.load_pem_private_key(
        (files.folder / "ops1/etc/greenroom/backup/volumes-key").read_bytes(), password=None
    )
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    locks = (files.folder / "app1/etc/ssh/authorized_keys.d/greenroom-volumes").read_text().splitlines()
    program = "sudo -n /usr/local/lib/greenroom/greenroom-volumes remote"
    # sshd refuses a line with anything before or after these.
    assert locks[-1] == rf'restrict,command="{program} \"$SSH_ORIGINAL_COMMAND\"" {public.decode()}'


def test_the_one_instance_is_no_copy_on_other_hosts(files: Rendered) -> None:
    text = (files.folder / "edge1/etc/haproxy/slots/green.cfg").read_text()
    backend = next(part for part in text.split("\n\n") if part.startswith("backend calendar_web_green"))
    assert "198.18.10.22" not in backend
    assert "Retry-After 5" in backend
