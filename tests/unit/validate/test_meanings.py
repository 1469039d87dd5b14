"""The end of a variable's name says what its value means."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.module_utils.greenroom.controller.validate.meanings import meaning_problems

GROUPS = ("app", "ops")
S3 = {"type": "s3", "s3-bucket": "b", "s3-endpoint": "s3.example.com", "s3-region": "r", "s3-key": "k"}
SFTP = {
    **{"type": "sftp", "sftp-host": "h", "sftp-host-user": "u", "sftp-host-key-hash-type": "sha256"},
    **{"sftp-host-key-check-type": "fingerprint", "sftp-host-fingerprint": "f"},
}


@pytest.mark.parametrize(
    ("name", "value", "line"),
    [
        ("firewall_ssh_sources", ["198.18.20.300"], '"198.18.20.300" is neither an address nor a group'),
        ("edge_limit_exempt", ["opps"], '"opps" is neither an address nor a group'),
        ("firewall_forbidden_networks", ["app"], '"app" is not an address or network'),
        ("container_runtime_networks", {"blue": "10.0.0.0/33"}, '"10.0.0.0/33" is not an address or network'),
        ("environment_network", "198.18.20", "expected a network, such as 192.0.2.0/24"),
        ("database_address", "192.0.2.0/24", "expected an IP address"),
        ("mail_address", "mail.example.org", "expected an IP address"),
        ("monitoring_port", 65536, "expected a port (1 to 65535)"),
        ("secrets_url", "vault:8200", "expected a URL that starts with https:// or http://"),
        ("secrets_url", "https://vault:port", "expected a URL that starts with https:// or http://"),
        ("simulation_memory", "lots", "expected a size, such as 256M, 1G or 128MB"),
        ("bundle_pull_seconds", -1, "expected a number, 0 or more"),
        ("edge_server_seconds", "nan", "expected a number, 0 or more"),
        ("edge_slot_checks_per_second", 0, "expected a number, 1 or more"),
        ("backup_keep", float("inf"), "expected a number, 0 or more"),
        ("base_forward_to", ["5432"], '"5432" is not host:port, such as localhost:5432 or *:22'),
        ("base_forward_to", ["db:65536"], '"db:65536" is not host:port, such as localhost:5432 or *:22'),
        ("environment_proxy_url", "proxy:3128", "expected a URL that starts with https:// or http://"),
        (
            "environment_proxy_url",
            "http://me:secret@proxy:3128",
            "everyone on the hosts could read the password; use a proxy that knows the hosts by address",
        ),
        ("environment_proxy_except", ["a b"], '"a b" is not a name or an address'),
        ("base_forward_to", ["db:1 none"], '"db:1 none" is not host:port, such as localhost:5432 or *:22'),
    ],
)
def test_a_value_without_the_meaning_of_its_name_is_reported(name: str, value: Any, line: str) -> None:
    assert list(meaning_problems(name, value, GROUPS)) == [f"{name}: {line}"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("firewall_ssh_sources", ["198.18.20.3", "ops", "2001:db8::/32", "198.18.20.3/24"]),
        ("container_runtime_networks", {"blue": "10.89.10.0/24"}),
        ("database_address", "2001:db8::1"),
        ("keepalived_address", ""),
        ("mail_address", None),
        ("registry_address", "registry.example.org:5000"),
        ("notify_mail_port", "25"),
        ("secrets_url", "https://[2001:db8::1]:8200/x"),
        ("postgres_shared_buffers", "128MB"),
        ("base_journal_max_use", "1.5G"),
        ("environment_lock_poll_seconds", 0.5),
        ("cutover_step_seconds", "60"),
        ("edge_limits", {"default": 6000, "login": 100}),
        ("environment_proxy_url", "http://proxy.example.org:3128"),
        ("environment_proxy_except", [".example.org", "registry.example.org:5000", "10.0.0.0/8"]),
        ("base_forward_to", ["localhost:5432", "*:22", "db.example.org:*", "[2001:db8::1]:22"]),
        ("pgbackrest_second", {**S3, "path": "/x", "storage-verify-tls": "n"}),
        ("pgbackrest_second", {**S3, "s3-key": "", "s3-key-type": "auto"}),
        ("pgbackrest_second", {**SFTP, "path": "/x"}),
        ("pgbackrest_second", {**SFTP, "sftp-host-fingerprint": "", "sftp-host-key-check-type": "none"}),
        ("pgbackrest_second", {"type": "posix", "path": "/mnt"}),
        ("pgbackrest_second", {}),
        ("pgbackrest_queue_size", "4GiB"),
    ],
)
def test_a_value_with_the_meaning_of_its_name_is_right(name: str, value: Any) -> None:
    assert list(meaning_problems(name, value, GROUPS)) == []


def test_each_class_of_limits_is_a_number() -> None:
    found = list(meaning_problems("edge_limits", {"default": "many", "login": 0, "api": 1}, GROUPS))
    assert [line.partition(":")[0] for line in found] == ["edge_limits.default", "edge_limits.login"]


def test_ports_of_hosts_name_their_rule() -> None:
    ports = [{"name": "ssh", "ports": [22], "from": ["app"]}, {"name": "web", "ports": [0], "from": ["192.0.2.256"]}]
    assert list(meaning_problems("firewall_ports", ports, GROUPS)) == [
        'firewall_ports "web": from: "192.0.2.256" is neither an address nor a group',
        'firewall_ports "web": 0 is not a port (1 to 65535)',
    ]


@pytest.mark.parametrize(
    ("value", "line"),
    [
        ({"type": "ftp"}, ".type: expected one of azure, gcs, posix, s3, sftp"),
        ({"path": "/x"}, ".type: expected one of azure, gcs, posix, s3, sftp"),
        (
            {**S3, "repo1-s3-bucket": "b"},
            ': "repo1-s3-bucket" is not an option of pgBackRest; write it without "repo1-"',
        ),
        (
            {**S3, "s3-key-secret": "x"},
            ".s3-key-secret: leave it out; the secret is third-party/backup in Vault",
        ),
        ({"type": "posix", "cipher-pass": "x"}, ".cipher-pass: leave it out"),
        ({**S3, "s3-endpoint": ""}, ".s3-endpoint: missing; pgBackRest needs it for the type s3"),
        ({**S3, "s3-key": ""}, ".s3-key: missing"),
        ({**SFTP, "sftp-host-key-hash-type": ""}, ".sftp-host-key-hash-type: missing"),
        ({**SFTP, "sftp-host-key-check-type": ""}, ".sftp-host-key-check-type: missing"),
        ({**SFTP, "sftp-host-fingerprint": ""}, ".sftp-host-fingerprint: missing"),
        ({"type": "azure", "azure-account": "a"}, ".azure-container: missing"),
        ({"type": "gcs"}, ".gcs-bucket: missing"),
    ],
)
def test_a_second_place_of_backups_that_pgbackrest_would_refuse_is_reported(value: dict[str, str], line: str) -> None:
    [found] = meaning_problems("pgbackrest_second", value, GROUPS)
    assert found.startswith(f"pgbackrest_second{line}")
