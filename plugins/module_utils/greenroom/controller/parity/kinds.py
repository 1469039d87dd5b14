# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The parts of a snapshot: how much a difference matters, what shows it, and which playbook repairs it."""

from __future__ import annotations

from dataclasses import dataclass

SEVERITIES = ("high", "medium", "low")


@dataclass(frozen=True)
class Kind:
    """A part: its title, severity of a difference, the command that shows `{item}` on a host, the repairing playbook.

    With `differs`, equal values are the finding.
    """

    title: str
    severity: str
    shows: str
    repair: str = ""
    differs: bool = False


KINDS = {
    "topology": Kind("Hosts and groups", "high", "ansible-inventory --graph"),
    "names": Kind("Names that must differ", "high", "ansible-inventory --graph --vars", differs=True),
    "public": Kind("As clients see it", "high", "curl -sSI https://<public name>/; openssl s_client", "site.yml"),
    "keys": Kind("Keys that must differ", "high", "ssh-keygen -lf", differs=True),
    "system": Kind("Operating system", "high", "hostnamectl; timedatectl", "playbooks/provision.yml"),
    "kernel": Kind("Kernel settings", "medium", "sysctl {item}", "playbooks/provision.yml"),
    "size": Kind("Sizes", "low", "nproc; free -g; df -h /"),
    "packages": Kind("Packages", "medium", "dpkg-query --list {item}; apt-mark showhold", "playbooks/provision.yml"),
    "accounts": Kind("Accounts", "high", "id {item}; getent passwd {item}", "playbooks/provision.yml"),
    "rights": Kind("Rights of administrators", "high", "cat {item}", "playbooks/provision.yml"),
    "ssh": Kind("SSH", "high", "sshd -T | grep -i '^{item}'", "playbooks/provision.yml"),
    "network": Kind("Network", "medium", "cat /etc/resolv.conf; ip link"),
    "ports": Kind("Open ports", "high", "ss -lntup", "site.yml"),
    "firewall": Kind("Firewall", "high", "nft list ruleset", "site.yml"),
    "mounts": Kind("File systems", "medium", "findmnt {item}"),
    "units": Kind("Units", "medium", "systemctl status {item}; systemctl list-timers", "site.yml"),
    "processes": Kind("Processes older than their files", "high", "systemctl status {item}", "playbooks/reboot.yml"),
    "files": Kind("Config files", "medium", "cat {item}", "site.yml"),
    "containers": Kind("Containers", "high", "podman inspect {item}", "site.yml"),
    "certificates": Kind("Certificates", "high", "openssl x509 -noout -text -in {item}", "playbooks/certificates.yml"),
    "postgres": Kind("PostgreSQL", "high", "runuser -u postgres psql", "playbooks/data.yml"),
    "broker": Kind("RabbitMQ", "high", "rabbitmqctl export_definitions -", "playbooks/data.yml"),
    "monitoring": Kind("Monitoring", "medium", "curl 127.0.0.1:9090/api/v1/rules", "playbooks/monitoring.yml"),
}
"""{part: Kind}. The part `slots` has nothing to compare: which slot is live differs with each cutover."""
