# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The trees of files that roles apply on hosts, as their manifests are named."""

from __future__ import annotations

# Those whose files every run of site.yml puts back in place, wherever they are ({live}: of the live slot).
HELD = {
    "activation",
    "backup",
    "base",
    "broker",
    "container_runtime",
    "edge",
    "edge-unit",
    "edge-{live}",
    "firewall",
    "keepalived",
    "mail_sandbox",
    "monitoring",
    "node_exporter",
    "postgres",
    "simulation",
}
# Those that it leaves as they are, or whose files change with what was done last.
OTHERS = {
    "drill": "playbooks/drill.yml",
    "edge-record": "a record of the live slot, which the cut-over writes",
    "edge-previous": "a record of the slot before, which the cut-over writes",
    "load": "playbooks/load.yml",
    "reset-{environment}": "playbooks/schedule.yml",
    "seed": "a record of what data was made from",
    "slot-{slot}": "a bundle's manifest lies with the bundle",
    "start": "no files",
    "stop": "playbooks/cutover.yml, where a stop is planned",
}
