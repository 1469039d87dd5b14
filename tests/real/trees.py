# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The trees of files that roles apply on hosts, by the names of their manifests."""

from __future__ import annotations

# Trees whose files every run of site.yml repairs ({live}: those of the live slot).
HELD = {
    "alert_watch",
    "backup",
    "base",
    "broker",
    "certificates",
    "container_runtime",
    "edge",
    "edge-unit",
    "edge-{live}",
    "firewall",
    "keepalived",
    "mail_sandbox",
    "monitoring",
    "monitoring-unit",
    "modules",
    "node_exporter",
    "payment_stub",
    "pgbackrest",
    "postgres",
    "postgres_exporter",
    "simulation",
    "slot-programs",
    "status_page",
}
# Trees that it doesn't repair, or whose files depend on the last run, with the reason.
OTHERS = {
    "egress": "only test_guard.py gives the lab an egress guard",
    "activation": "no files",
    "deploy-{slot}": "marks and records of deploys, in which nothing is repaired",
    "drill": "playbooks/drill.yml",
    "jobs": "only with scheduled jobs in a slot",
    "load": "playbooks/load.yml",
    "openbao": "playbooks/vault-local.yml",
    "reboot-{environment}": "playbooks/schedule.yml",
    "reset-{environment}": "playbooks/schedule.yml",
    "seed": "a record of the seeded data's parameters",
    "slot-{slot}": "the manifest is in the bundle",
    "start": "no files",
    "stop": "playbooks/cutover.yml, with a planned stop",
    "updates": "only with updates_security",
    "volumes": "the demo's services have no volumes",
    "valkey": "only with a service that has a cache",
}
