# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The rendered edge with a certificate by ACME, and with given ones: who serves what, and what a CA hears."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.greenroom.controller.hosts.certificates import acme_thumbprint
from ansible.module_utils.greenroom.controller.vault import local_ca
from ansible.module_utils.greenroom.controller.vault.passwords import new_secret
from on_host import carried_out
from rendering import Rendered, render
from visiting import HOST, request

KEYS = new_secret("environment/acme/edge")
CA = local_ca.new_authority("company")
SHOP = local_ca.issue(CA, [HOST, "shop.test"])
SERVICE = """
image: home
ports: {http: {container: 7000, from: [edge]}}
health: {port: http, path: /ready}
routes: [{path: /, auth: false}, {path: /shop, host: shop.test}]
"""
LOGIN = {"role_id": "a-role", "secret_id": "a-secret"}
TOKEN = "dGhpcy1pcy1hLXRva2VuLW9mLWEtY2hhbGxlbmdl"
CHALLENGE = "/.well-known/acme-challenge/"
REQUESTS = {
    "challenge": CHALLENGE + TOKEN,
    "short": CHALLENGE + "x",
    "markup": CHALLENGE + "<script>alert(1)</script>",
    "below": CHALLENGE + TOKEN + "/x",
    "other": "/shop",
}


def made(folder: Path, **given: Any) -> Rendered:
    """The files of the first edge host, with a login to Vault of its own."""
    (folder / "services/home").mkdir(parents=True)
    (folder / "services/home/service.yml").write_text(SERVICE)
    secrets = {
        **{"environment/acme/edge": KEYS, "environment/renewal/edge1": LOGIN},
        **{"certificates/shop": {"value": SHOP["private_key"]}, "dns/token": {"value": "a-token"}},
    }
    roles = ("base", "edge", "edge_slot", "certificates")
    return render("staging", folder / "made", folder / "services", roles, "edge", secrets=secrets, **given)


@pytest.fixture(scope="module")
def acme(tmp_path_factory: pytest.TempPathFactory) -> Rendered:
    hook = {"email": "a@b.test", "directory": "https://192.0.2.1:14000/dir", "server_ca": CA["certificate"]}
    return made(tmp_path_factory.mktemp("acme"), edge_acme=hook, edge_ca=CA["certificate"])


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Rendered:
    own = {"shop": {"chain": SHOP["certificate"], "key": "certificates/shop"}}
    return made(tmp_path_factory.mktemp("given"), edge_certificates=own)


def text(rendered: Rendered, path: str, host: str = "edge1") -> str:
    return (rendered.folder / host / path).read_text()


@pytest.fixture(scope="module")
def answers(acme: Rendered) -> dict[str, Any]:
    """What the edge responds on port 80, by name."""
    asked = [{"raw": request(path), "port": 80} for path in REQUESTS.values()]
    return dict(zip(REQUESTS, carried_out("edge.py", acme.folder / "edge1", asked), strict=True))


def test_any_edge_host_answers_the_challenge_of_the_account(answers: dict[str, Any], acme: Rendered) -> None:
    assert answers["challenge"]["status"] == 200
    assert answers["challenge"]["body"] == f"{TOKEN}.{acme_thumbprint(KEYS['account_key'])}"
    assert text(acme, "etc/haproxy/haproxy.cfg").count("acme-challenge") == 1
    line = next(
        line
        for line in text(acme, "etc/haproxy/haproxy.cfg").splitlines()
        if "lf-string" in line and "challenge" in line
    )
    assert line in text(acme, "etc/haproxy/haproxy.cfg", "edge2")


@pytest.mark.parametrize("name", ["short", "markup", "below", "other"])
def test_it_repeats_nothing_that_is_no_token(answers: dict[str, Any], name: str) -> None:
    assert answers[name]["status"] == 301
    assert "alert" not in answers[name]["body"]


def test_visitors_get_the_public_certificate_and_edge_hosts_each_other_the_environments(
    acme: Rendered, given: Rendered
) -> None:
    for rendered, file in ((acme, "acme"), (given, "given-shop")):
        binds = [line for line in text(rendered, "etc/haproxy/haproxy.cfg").splitlines() if " ssl crt " in line]
        assert [f"certificates/{file}.pem" in line for line in binds] == [False, True]
        assert "certificates/edge.pem" in binds[0]
    assert text(given, "etc/haproxy/certificates/given-shop.pem") == (f"{SHOP['certificate']}\n{SHOP['private_key']}\n")
    # Until there is one by ACME.
    assert text(acme, "etc/haproxy/certificates/acme.pem") == text(acme, "etc/haproxy/certificates/edge.pem")


def test_what_a_host_needs_to_renew(acme: Rendered, given: Rendered) -> None:
    settings = json.loads(text(acme, "etc/greenroom/certificates.json"))
    own, public = settings["certificates"]
    assert (own["name"], own["source"], own["names"]) == ("edge", "vault", [HOST])
    assert settings["vault"]["role"] == "staging-edge1"
    assert settings["vault"]["role_id"] == "a-role"
    assert (public["source"], public["names"]) == ("acme", [HOST, "shop.test"])
    assert settings["acme"]["account_key"] == KEYS["account_key"]
    assert settings["acme"]["before"] == []
    # Without a login of its own, a host only watches.
    second = json.loads(text(acme, "etc/greenroom/certificates.json", "edge2"))
    assert second["certificates"][0]["source"] == ""
    assert second["vault"] == {}
    assert second["acme"]["before"] == second["acme"]["peers"] == ["198.18.10.11"]
    assert text(acme, "etc/greenroom/acme/certificate.key").strip() == KEYS["certificate_key"].strip()
    watched = json.loads(text(given, "etc/greenroom/certificates.json"))["certificates"][1]
    assert (watched["name"], watched["source"]) == ("given-shop", "")
    assert watched["renewed_by"] == "you renew it in edge_certificates.shop"


def test_clients_on_hosts_trust_both_authorities(acme: Rendered, given: Rendered) -> None:
    trusted = text(acme, "etc/greenroom/edge-ca.crt")
    assert CA["certificate"] in trusted
    assert text(acme, "etc/greenroom/ca.crt").strip() in trusted
    assert text(given, "etc/greenroom/edge-ca.crt").count("BEGIN CERTIFICATE") > 50


def test_a_hook_gets_its_secrets(tmp_path: Path) -> None:
    hook = tmp_path / "hook.sh"
    hook.write_text("#!/bin/sh\n")
    dns = {"email": "a@b.test", "hook": str(hook), "secrets": {"DNS_TOKEN": "dns/token"}, "dns_check": False}
    rendered = made(tmp_path, edge_acme=dns)
    settings = json.loads(text(rendered, "etc/greenroom/certificates.json"))["acme"]
    assert settings["secrets"] == {"DNS_TOKEN": "a-token"}
    assert settings["dns_check"] is False
    assert text(rendered, "etc/greenroom/acme/hook") == "#!/bin/sh\n"
    assert "acme-challenge" not in text(rendered, "etc/haproxy/haproxy.cfg")
