# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""How a host renews its certificates: what is due, how it is installed, and what a failure leaves behind."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.greenroom.certificates import acme, reading, renewal
from ansible.module_utils.greenroom.controller.vault import local_ca
from ansible.module_utils.greenroom.controller.vault.passwords import new_key
from cryptography.hazmat.primitives.serialization import load_pem_private_key

NAMES = ["portal.test", "*.test"]
CA = local_ca.new_authority("test")
# With these directories, lego's folder has what a CA issued for the request, as the real one leaves it.
LEGO = """#!/usr/bin/python3
import json, os, pathlib, sys
given = sys.argv[1:]
folder = pathlib.Path(given[given.index("--path") + 1])
keys = [path.read_text() for path in folder.glob("accounts/*/*/keys/*.key")]
call = {"arguments": given, "keys": keys, "env": dict(os.environ)}
(folder.parent / "calls").open("a").write(json.dumps(call) + chr(10))
if os.environ.get("REFUSED"):
    sys.exit("the CA said: too many")
(folder / "certificates").mkdir()
(folder / "certificates/_.test.crt").write_text((folder.parent / "made").read_text())
(folder / "certificates/_.test.issuer.crt").write_text("no chain")
"""


def made(days: int = 365, names: list[str] = NAMES) -> dict[str, str]:
    """A certificate of the environment's CA for `days`."""
    before, local_ca.SERVER_DAYS = local_ca.SERVER_DAYS, days
    try:
        found: dict[str, str] = local_ca.issue(CA, names)
        return found
    finally:
        local_ca.SERVER_DAYS = before


run = subprocess.run


class Host:
    """A host with one certificate; `reload` is the command that loads it."""

    def __init__(self, folder: Path, content: dict[str, str], source: str = "", reload: str = "true") -> None:
        self.folder, self.file = folder, folder / "edge.pem"
        (folder / "metrics").mkdir()
        self.file.write_text(f"{content['certificate']}\n{content['ca_chain']}\n{content['private_key']}\n")
        self.file.chmod(0o640)
        parts = ["certificate", "ca_chain", "private_key"]
        entry: dict[str, Any] = {"name": "edge", "names": NAMES, "source": source, "renewed_by": "you renew it"}
        entry |= {"files": [{"path": str(self.file), "parts": parts}], "reload": [{"argv": ["sh", "-c", reload]}]}
        self.settings: dict[str, Any] = {
            **{"host": "edge1", "folder": str(folder / "state"), "days": 30, "certificates": [entry]},
            **{"metrics_file": str(folder / "metrics/own.prom"), "vault": {}, "acme": {}},
        }

    @property
    def metrics(self) -> str:
        return (self.folder / "metrics/own.prom").read_text()


def test_what_a_certificate_says() -> None:
    content = made(10)
    found = reading.read(content["certificate"] + "\n" + content["private_key"])
    assert found.names == set(NAMES)
    assert found.key == reading.public_key(content["private_key"])
    now = time.time()
    assert found.due(NAMES, 11, now) == "expires in 10 days"
    assert found.due(NAMES, 9, now) == ""
    assert found.due(["portal.test"], 9, now) == "is for other names"
    with pytest.raises(reading.CertificateError, match="no certificate in it"):
        reading.read("nothing")


def test_a_host_says_how_long_a_certificate_lasts_that_it_does_not_renew(tmp_path: Path) -> None:
    host = Host(tmp_path, made(20))
    assert renewal.renew(host.settings) == 0
    ends = reading.read(host.file.read_text()).ends
    assert f'greenroom_certificate_expiry_seconds{{host="edge1",name="edge"}} {ends:.0f}\n' in host.metrics
    assert 'greenroom_certificate_renewal_failed{host="edge1",name="edge"} 0\n' in host.metrics
    assert renewal.show(host.settings) == {"edge": "20 days left, you renew it"}


def test_such_a_certificate_fails_the_unit_before_it_expires(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    host = Host(tmp_path, made(5))
    assert renewal.renew(host.settings) == 1
    assert "edge: 5 days left; you renew it" in capsys.readouterr().err
    assert 'greenroom_certificate_renewal_failed{host="edge1",name="edge"} 1\n' in host.metrics
    assert renewal.show(host.settings)["edge"].endswith("failed: 5 days left; you renew it")
    # A file that is gone is a failure, too, and the time 0 says that it has expired.
    host.file.unlink()
    assert renewal.renew(host.settings) == 1
    assert 'name="edge"} 0\n' in host.metrics
    assert "can't be read" in renewal.show(host.settings)["edge"]


class Shared:
    """Vault's part, with one certificate for all hosts."""

    stored: dict[str, str]
    version = 1
    issued = 0
    left = 0

    def __init__(self, settings: Any) -> None:
        assert settings == {}

    def certificate(self, _name: str) -> tuple[dict[str, str], int]:
        return dict(Shared.stored), Shared.version

    def issue(self, names: list[str]) -> dict[str, str]:
        Shared.issued += 1
        return made(90, names)

    def write(self, _name: str, content: dict[str, str], version: int) -> None:
        if version != Shared.version:
            raise reading.CertificateError("check-and-set parameter did not match")
        Shared.stored, Shared.version = content, version + 1

    def leave(self) -> None:
        Shared.left += 1


@pytest.fixture
def vault(monkeypatch: pytest.MonkeyPatch) -> type[Shared]:
    """Vault with a certificate that expires soon."""
    Shared.stored, Shared.version, Shared.issued, Shared.left = made(3), 1, 0, 0
    monkeypatch.setattr(renewal, "Vault", Shared)
    return Shared


def test_one_host_renews_in_vault_and_the_others_take_it_over(tmp_path: Path, vault: type[Shared]) -> None:
    old = dict(vault.stored)
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    one, two = (Host(tmp_path / name, old, "vault", f"echo >> {tmp_path}/loaded") for name in ("one", "two"))
    assert renewal.renew(one.settings) == 0
    assert renewal.renew(two.settings) == 0
    assert vault.issued == 1
    assert one.file.read_text() == two.file.read_text()
    assert vault.stored != old
    # In the form in which a run writes it.
    new = vault.stored
    assert one.file.read_text() == f"{new['certificate']}\n{new['ca_chain']}\n{new['private_key']}\n"
    assert one.file.stat().st_mode & 0o777 == 0o640
    assert (tmp_path / "loaded").read_text() == "\n\n"
    # Then there is nothing to do, and Vault isn't even asked.
    left = vault.left
    assert renewal.renew(one.settings) == 0
    assert vault.left == left == 2


def test_a_host_that_was_slower_takes_what_another_one_wrote_meanwhile(tmp_path: Path, vault: type[Shared]) -> None:
    host = Host(tmp_path, dict(vault.stored), "vault")
    others = made(80)

    def issue(_self: Shared, names: list[str]) -> dict[str, str]:
        vault.stored, vault.version = others, 7
        return made(90, names)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Shared, "issue", issue)
        assert renewal.renew(host.settings) == 0
    assert others["certificate"] in host.file.read_text()


def test_what_the_server_refuses_is_taken_back(
    tmp_path: Path, vault: type[Shared], capsys: pytest.CaptureFixture[str]
) -> None:
    host = Host(tmp_path, dict(vault.stored), "vault", "echo no such key >&2; exit 1")
    before = host.file.read_text()
    assert renewal.renew(host.settings) == 1
    assert host.file.read_text() == before
    assert "no such key; the previous certificate is back" in capsys.readouterr().err
    # Also if the command to load it is gone, or never ends.
    host.settings["certificates"][0]["reload"] = [{"argv": ["/no/such/command"]}]
    assert renewal.renew(host.settings) == 1
    assert host.file.read_text() == before

    def hang(argv: list[str], **options: Any) -> Any:
        if argv[0] != "openssl":
            raise subprocess.TimeoutExpired(argv, 120)
        return run(argv, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(renewal.subprocess, "run", hang)
        assert renewal.renew(host.settings) == 1
    assert host.file.read_text() == before
    assert "timed out after 120 seconds; the previous certificate is back" in capsys.readouterr().err
    host.settings["certificates"][0]["reload"] = []
    assert renewal.renew(host.settings) == 0
    assert host.file.read_text() != before


@pytest.fixture
def edge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    """An edge host that has the environment's certificate, and whose CA speaks ACME."""
    key = new_key()
    host = Host(tmp_path, made(), "acme")
    entry = host.settings["certificates"][0]
    entry["files"][0]["parts"] = ["certificate", "private_key"]
    (tmp_path / "certificate.key").write_text(key)
    host.settings["acme"] = {
        **{"directory": "https://ca.test:14000/dir", "email": "a@b.test", "key": str(tmp_path / "certificate.key")},
        **{"account_key": new_key(), "folder": str(tmp_path / "lego"), "server_ca": "/ca.crt", "hook": ""},
        **{"secrets": {"TOKEN": "t"}, "resolvers": [], "dns_check": True, "peers": [], "before": []},
    }
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/lego").write_text(LEGO)
    (tmp_path / "bin/lego").chmod(0o755)
    (tmp_path / "made").write_text(for_key(key))
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    return host


def for_key(key: str) -> str:
    """A chain for a private key."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(local_ca.ec, "generate_private_key", lambda _curve: load_pem_private_key(key.encode(), None))
        content = made()
    return f"{content['certificate']}\n{content['ca_chain']}\n"


def calls(host: Host) -> list[dict[str, Any]]:
    """How lego was called."""
    path = host.folder / "calls"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def test_an_edge_host_orders_a_certificate_for_the_common_key(edge: Host) -> None:
    assert renewal.renew(edge.settings) == 0
    (call,) = calls(edge)
    assert call["arguments"][-1] == "run"
    assert "--http" in call["arguments"]
    # The account is the same on all edge hosts.
    assert call["keys"] == [edge.settings["acme"]["account_key"]]
    assert call["env"]["LEGO_CA_CERTIFICATES"] == "/ca.crt"
    request = reading.openssl("req", "-noout", "-text", given=(edge.folder / "lego/request.csr").read_text())
    assert "DNS:portal.test, DNS:*.test" in request
    key = (edge.folder / "certificate.key").read_text()
    assert edge.file.read_text() == f"{(edge.folder / 'made').read_text().strip()}\n{key.strip()}\n"
    # It is from the CA now, so nothing is due.
    assert renewal.renew(edge.settings) == 0
    assert len(calls(edge)) == 1


def test_the_hook_writes_the_dns_record(edge: Host) -> None:
    edge.settings["acme"] |= {"hook": "/etc/greenroom/acme/hook", "resolvers": ["192.0.2.1:53"], "dns_check": False}
    assert renewal.renew(edge.settings) == 0
    (call,) = calls(edge)
    assert "--http" not in call["arguments"]
    assert call["arguments"][-6:] == ["--dns", "exec", "--dns.disable-cp", "--dns.resolvers", "192.0.2.1:53", "run"]
    assert call["env"]["EXEC_PATH"] == "/etc/greenroom/acme/hook"
    assert call["env"]["TOKEN"] == "t"


def test_an_edge_host_takes_over_what_another_one_serves(edge: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    chain = (edge.folder / "made").read_text()
    answers = iter([reading.certificates(made()["certificate"]), reading.certificates(chain)])
    monkeypatch.setattr(acme, "POLL", 0.0)
    monkeypatch.setattr(reading, "served", lambda *_args: next(answers))
    edge.settings["acme"] |= {"peers": ["192.0.2.1"], "before": ["192.0.2.1"]}
    assert renewal.renew(edge.settings) == 0
    assert calls(edge) == []
    assert chain.strip() in edge.file.read_text()


@pytest.mark.parametrize(("before", "serves"), [(["192.0.2.1"], False), ([], True)])
def test_an_edge_host_orders_if_none_before_it_answers(
    edge: Host, monkeypatch: pytest.MonkeyPatch, before: list[str], serves: bool
) -> None:
    own = reading.certificates(made()["certificate"]) if serves else []
    monkeypatch.setattr(reading, "served", lambda *_args: own)
    edge.settings["acme"] |= {"peers": ["192.0.2.1"], "before": before}
    assert renewal.renew(edge.settings) == 0
    assert len(calls(edge)) == 1


def test_a_refused_order_leaves_the_certificate_and_says_why(edge: Host, capsys: pytest.CaptureFixture[str]) -> None:
    edge.settings["acme"]["secrets"] = {"REFUSED": "yes"}
    before = edge.file.read_text()
    assert renewal.renew(edge.settings) == 1
    assert "failed: the CA said: too many; see the unit's journal" in capsys.readouterr().err
    assert edge.file.read_text() == before
    (edge.folder / "made").write_text(for_key(new_key()))
    edge.settings["acme"]["secrets"] = {}
    assert renewal.renew(edge.settings) == 1
    assert "for another key" in capsys.readouterr().err


def test_the_program_has_three_commands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    host = Host(tmp_path, made(20))
    (tmp_path / "settings.json").write_text(json.dumps(host.settings))
    assert renewal.main(str(tmp_path / "settings.json"), ["show"]) == 0
    assert json.loads(capsys.readouterr().out) == {"edge": "20 days left, you renew it"}
    assert renewal.main(str(tmp_path / "settings.json"), ["renew", "now"]) == 0
    assert renewal.main(str(tmp_path / "settings.json"), ["renews"]) == 2
