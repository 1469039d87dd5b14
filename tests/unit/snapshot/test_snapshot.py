# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""What a host is like: read from this machine, and from files and output that are known."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.greenroom.snapshot import files, keys, network, reading, take, units
from ansible.module_utils.greenroom.snapshot.reading import Options, Unread, UnreadError

HAPROXY = """
global
    maxconn 4000
frontend public
    bind :443 ssl crt /etc/x.pem
    bind :80
backend live
    server app1 198.51.100.1:80 check
"""
UNIT = """
# a comment
[Service]
ExecStart=/usr/bin/app \\
    --port 80
Restart=always
[Install]
WantedBy=multi-user.target
"""
RULES = """
groups:
  - name: hosts
    rules:
      - alert: Down
        expr: up == 0
        labels:
          severity: critical
      - alert: Full
        expr: free < 5
"""


class TestSettings:
    @pytest.mark.parametrize(
        ("path", "content", "expected"),
        [
            (
                "/etc/haproxy.cfg",
                HAPROXY,
                {
                    "global": [""],
                    "global | maxconn": ["4000"],
                    "frontend": ["public"],
                    "frontend public | bind": [":443 ssl crt /etc/x.pem", ":80"],
                    "backend": ["live"],
                    "backend live | server": ["app1 198.51.100.1:80 check"],
                },
            ),
            (
                "/etc/app.service",
                UNIT,
                {
                    "[Service] | ExecStart": ["/usr/bin/app --port 80"],
                    "[Service] | Restart": ["always"],
                    "[Install] | WantedBy": ["multi-user.target"],
                },
            ),
            (
                "/etc/rules.yml",
                RULES,
                {
                    "groups.name": ["hosts"],
                    "groups.rules.alert": ["Down", "Full"],
                    "groups.rules.expr": ["up == 0", "free < 5"],
                    "groups.rules.labels.severity": ["critical"],
                },
            ),
            ("/etc/a.json", '{"a": {"b": [1, true, "x"]}}', {"a.b[]": ["1", "true", "x"]}),
            ("/etc/a.json", "{ not json", {"{": ["not json"]}),
            ("/etc/sysctl.conf", "net.core.somaxconn = 4096\n; old\n", {"net.core.somaxconn": ["4096"]}),
            ("/etc/empty.conf", "", {}),
        ],
    )
    def test_each_form_is_read(self, path: str, content: str, expected: dict[str, list[str]]) -> None:
        assert files.settings(path, content) == expected

    def test_the_order_of_sections_is_no_difference(self) -> None:
        parts = UNIT.split("[Install]")
        turned = "[Install]" + parts[1] + parts[0]
        assert files.settings("/x.service", turned) == files.settings("/x.service", UNIT)


def read(pattern: Path) -> dict[str, Any]:
    return dict(files.files([str(pattern)]))


class TestSecretsInFiles:
    SECRET = "hunter2-0a1b2c3d"

    @pytest.mark.parametrize("mode", [0o600, 0o640, 0o644])
    @pytest.mark.parametrize(
        ("name", "content"),
        [
            ("app.conf", "password = {}\nport = 80"),
            ("app.env", "API_TOKEN={}"),
            ("app.json", '{{"database": {{"passphrase": "{}"}}}}'),
            ("app.yml", "users:\n  - name: a\n    client_secret: {}"),
        ],
    )
    def test_no_value_that_is_named_as_one_gets_out(self, tmp_path: Path, mode: int, name: str, content: str) -> None:
        path = tmp_path / name
        path.write_text(content.format(self.SECRET))
        path.chmod(mode)
        found = read(path)
        assert self.SECRET not in json.dumps(found)
        assert files.MASK in json.dumps(found)

    @pytest.mark.parametrize(
        ("name", "content"),
        [
            ("password", "{}"),
            ("pgpass", "db:5432:app:app:{}"),
            ("key", "{}=="),
            ("app.conf", "{}"),
            ("app.conf", "dsn = postgres://app:{}@db/app\n"),
            ("app.json", '["{}"]'),
            ("app.yml", "- {}"),
            ("server.pem", "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----"),
        ],
    )
    def test_nothing_gets_out_of_a_file_that_not_everybody_may_read(
        self, tmp_path: Path, name: str, content: str
    ) -> None:
        path = tmp_path / name
        path.write_text(content.format(self.SECRET))
        path.chmod(0o640)
        assert self.SECRET not in json.dumps(read(path))

    def test_its_settings_are_compared_by_name(self, tmp_path: Path) -> None:
        path = tmp_path / "app.conf"
        path.write_text("port = 80\nhost = x\n")
        path.chmod(0o600)
        found = read(path)[str(path)]
        assert found["settings"] == {"port": [files.MASK], "host": [files.MASK]}
        assert found["mode"] == "0600"


def test_links_and_large_files_are_told_as_such(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/etc/target")
    large = tmp_path / "large"
    large.write_bytes(b"x" * (files.MOST_BYTES + 1))
    found = read(tmp_path / "*")
    assert found[str(tmp_path / "link")] == {"link": "/etc/target"}
    assert found[str(large)]["settings"] == Unread("larger than 256 KiB")


class TestTheFirewall:
    RULES = """table inet filter {
\tset office {
\t\ttype ipv4_addr
\t\telements = { 198.51.100.9, 198.51.100.1,
\t\t\t     198.51.100.5 }
\t}

\tchain input {
\t\ttype filter hook input priority filter; policy drop;
\t\ttcp dport 443 accept # handle 7
\t}
}
"""

    def test_sets_are_sorted_and_rules_keep_their_order(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(network, "has", lambda _program: True)
        monkeypatch.setattr(network, "needs_root", lambda: None)
        monkeypatch.setattr(network, "output", lambda *_command: self.RULES)
        assert dict(network.firewall()) == {
            "inet filter set office": ["type ipv4_addr", "198.51.100.1", "198.51.100.5", "198.51.100.9"],
            "inet filter chain input": [
                "type filter hook input priority filter; policy drop;",
                "tcp dport 443 accept",
            ],
        }


def test_a_process_whose_program_was_replaced_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A copy of sleep outside the system's folders, as if they were those.
    program = tmp_path / "sleep"
    program.write_bytes(Path("/bin/sleep").read_bytes())
    program.chmod(0o755)
    monkeypatch.setattr(units, "_FOLDERS", (f"{tmp_path}/",))
    monkeypatch.setattr(units, "output", lambda *_command: "")
    with subprocess.Popen([program, "60"]) as process:
        try:
            assert str(program) not in str(dict(units.processes()))
            program.unlink()
            assert [str(program)] in dict(units.processes()).values()
        finally:
            process.kill()


def test_fingerprints_are_those_of_openssh(tmp_path: Path) -> None:
    path = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "a b", "-f", path], check=True)
    said = subprocess.run(["ssh-keygen", "-lf", path], check=True, capture_output=True, text=True).stdout.split()[1]
    public = Path(f"{path}.pub").read_text()
    assert keys.fingerprint(public) == said
    assert keys.fingerprint(f'from="198.51.100.0/24",no-pty {public}') == said


class TestPrograms:
    def test_one_that_hangs_is_ended(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(reading, "TIMEOUT", 0.2)
        with pytest.raises(UnreadError, match="sleep did not end within"):
            reading.output("sleep", "60")

    def test_one_that_fails_says_why(self) -> None:
        with pytest.raises(UnreadError, match=r"ls ended with exit code 2: .*No such file"):
            reading.output("ls", "/does/not/exist")


class TestTheWhole:
    def test_this_machine_can_be_read(self, tmp_path: Path) -> None:
        path = tmp_path / "app.conf"
        path.write_text("port = 80\n")
        path.chmod(0o644)
        found = take.take(Options(files=[str(path)]))
        parts = found["parts"]
        assert parts["system"]["items"]["kernel"] == os.uname().release
        assert parts["files"]["items"][str(path)]["settings"] == {"port": ["80"]}
        assert "net.core.somaxconn" in parts["kernel"]["items"]
        assert json.loads(json.dumps(found)) == found

    def test_a_part_that_breaks_leaves_the_others(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def broken(_options: Options) -> reading.Items:
            yield "first", {"a": 1, "b": Unread("needs root")}
            raise ValueError("strange file")

        monkeypatch.setitem(take.PARTS, "packages", broken)
        parts = take.take(Options())["parts"]
        assert parts["packages"] == {
            "items": {"first": {"a": 1}},
            "unread": {"first: b": "needs root", "*": "ValueError: strange file"},
        }
        assert parts["system"]["unread"].get("*") is None
