# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Renews staging's certificates on its hosts, by Vault and by ACME, while clients send requests.

    python -m bench.certificates.run

Gives the hosts their own logins to Vault, and certificates that expire in five days. Their timers' unit must replace
them, the same on both edge hosts, without a failed request, and the next run must have nothing to change. With a login
that Vault refuses, the unit must fail, and status must say why. Then both edge hosts get a certificate from Debian's
pebble on ops1, by HTTP-01 and by DNS-01. At the end, site.yml goes back to the inventory's own settings.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import tempfile
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import hvac
import yaml

from bench.common import ROOT, say
from tests.real.environment import Environment, Probe, until

UNIT = "greenroom-certificates.service"
SETTINGS = "/etc/greenroom/certificates.json"
SOON = "120h"
DAY = 86400
PEBBLE = 14000
# The CA asks the name server of its own test server for names, and validates on the ports of the standard.
START_PEBBLE = """\
set -e
command -v pebble >/dev/null || (apt-get -q update && apt-get -q -y install pebble) >/dev/null
mkdir -p /run/pebble && cd /run/pebble
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout key.pem -out cert.pem -days 5 \\
  -subj /CN=pebble -addext subjectAltName=IP:{address} 2>/dev/null
cat > config.json <<END
{{"pebble": {{"listenAddress": "{address}:14000", "managementListenAddress": "127.0.0.1:15000",
  "certificate": "cert.pem", "privateKey": "key.pem", "httpPort": 80, "tlsPort": 443}}}}
END
grep -q '{name}' /etc/hosts || echo '{public} {name}' >> /etc/hosts
systemctl stop pebble-proof 2>/dev/null || true
systemd-run --quiet --collect --unit=pebble-proof --working-directory=/run/pebble \\
  --setenv=PEBBLE_VA_NOSLEEP=1 --setenv=PEBBLE_WFE_NONCEREJECT=0 {more} \\
  $(command -v pebble) -config config.json {options}
for _ in $(seq 50); do curl -sk https://127.0.0.1:15000/roots/0 -o root.pem && break; sleep 0.2; done
cat root.pem
"""
STOP_PEBBLE = "systemctl stop pebble-proof; sed -i '/{name}/d' /etc/hosts; rm -rf /run/pebble"


def said(staging: Environment, host: str, script: str) -> str:
    """Return the output of a shell script that runs as root on a host."""
    return staging.ssh(host, script).stdout


def served(staging: Environment, edge: str) -> str:
    """Return the certificate (PEM) that visitors get from an edge host."""
    address = staging.hosts[edge]
    text = said(
        staging,
        edge,
        f"openssl s_client -connect {address}:443 -servername {staging.public_name} </dev/null 2>/dev/null",
    )
    found = re.search(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", text, re.S)
    assert found, f"{edge} shows no certificate"
    return found[0]


def shown(staging: Environment, host: str) -> dict[str, str]:
    """Return how long the certificates of a host last."""
    found: dict[str, str] = json.loads(said(staging, host, "greenroom-certificates show"))
    return found


def begin(staging: Environment, host: str) -> bool:
    """Start the unit that a timer starts; return whether it succeeded."""
    return staging.ssh(host, f"systemctl start {UNIT}", check=False).returncode == 0


def by_vault(staging: Environment, root: hvac.Client) -> None:
    """Let the hosts replace certificates that expire soon, while clients send requests."""
    login = {"VAULT_TOKEN": root.token}
    made = staging.play("playbooks/vault-setup.yml", "-e", "vault_setup=apply", **login)
    assert made.code == 0, made.output
    staging.converge()
    places = {"edge1": ["edge"], "edge2": ["edge"], "data1": ["postgres", "broker"]}
    for name in ("edge", "postgres", "broker"):
        path = f"{staging.name}/environment/certificate/{name}"
        names = next(
            entry["names"]
            for host, own in places.items()
            for entry in json.loads(said(staging, host, f"cat {SETTINGS}"))["certificates"]
            if name in own and entry["name"] == name
        )
        old = root.secrets.pki.generate_certificate(
            staging.name, names[0], {"alt_names": ",".join(names), "ttl": SOON}, mount_point="pki"
        )["data"]
        content = {name: old[name] for name in ("certificate", "private_key")} | {"ca_chain": old["issuing_ca"]}
        root.secrets.kv.v2.create_or_update_secret(path, content, mount_point="greenroom")
    # Not by a run, which would renew them.
    for host, names in places.items():
        program = textwrap.dedent(f"""\
            import json, sys; sys.path.insert(0, "/usr/local/lib/greenroom/certificates")
            from greenroom.certificates import renewal, vault
            given = json.load(open("{SETTINGS}")); own = vault.Vault(given["vault"])
            for entry in given["certificates"]:
                renewal._install(entry, own.certificate(entry["name"])[0]) if entry["name"] in {names} else None
            """)
        staging.python(host, program)
        assert all("5 days left" in shown(staging, host)[name] for name in names), shown(staging, host)
    with Probe(staging) as probe:
        for host in places:
            assert begin(staging, host), said(staging, host, f"journalctl -n 20 -u {UNIT}")
        time.sleep(3)
    assert probe.failures == [], probe.failures
    for host, names in places.items():
        assert all("90 days left" in shown(staging, host)[name] for name in names), shown(staging, host)
    assert served(staging, "edge1") == served(staging, "edge2")
    say(f"by Vault: renewed on {', '.join(places)}; {probe.asked} requests meanwhile, none failed")
    staging.converge()
    assert staging.converge().quiet


def refused(staging: Environment) -> None:
    """Let Vault refuse a host's login: its unit fails, status says why, and the certificate stays."""
    staging.ssh("edge1", f'cp -a {SETTINGS} /run/kept.json && sed -i \'s/"role_id": "/&x/\' {SETTINGS}')
    before = served(staging, "edge1")
    try:
        # Everything is due now.
        staging.ssh("edge1", f'sed -i \'s/"days": [0-9]*/"days": 1000/\' {SETTINGS}')
        assert not begin(staging, "edge1")
        status = staging.play("playbooks/status.yml")
        assert "refuses the login" in status.output, status.output
        assert served(staging, "edge1") == before
    finally:
        staging.ssh("edge1", f"mv /run/kept.json {SETTINGS}")
    assert begin(staging, "edge1")
    say("refused: the unit failed, status named the reason, and the edge kept its certificate")


@contextmanager
def acme(staging: Environment, hook: str = "") -> Iterator[list[str]]:
    """Yield the options of a run whose edge hosts order from pebble on ops1."""
    address = staging.hosts["ops1"]
    # With a hook, the CA believes every challenge: the hook writes no real record.
    more = "--setenv=PEBBLE_VA_ALWAYS_VALID=1" if hook else ""
    script = START_PEBBLE.format(
        address=address, public=staging.address, name=staging.public_name, more=more, options=""
    )
    root = said(staging, "ops1", f"sh -c {shlex.quote(script)}")
    server = said(staging, "ops1", "cat /run/pebble/cert.pem")
    settings: dict[str, object] = {
        "email": "operations@greenroom.test",
        "directory": f"https://{address}:{PEBBLE}/dir",
        "server_ca": server,
    }
    ports = yaml.safe_load((ROOT / "playbooks/group_vars/all/firewall-ports.yml").read_text())["firewall_ports"]
    given = {"edge_ca": root, "firewall_ports": [*ports, _port()]}
    with tempfile.TemporaryDirectory() as folder:
        if hook:
            path = Path(folder, "hook.sh")
            path.write_text(hook)
            settings |= {"hook": os.path.relpath(path, ROOT / "inventories" / staging.name), "resolvers": []}
        file = Path(folder, "variables.json")
        file.write_text(json.dumps(given | {"edge_acme": settings}))
        try:
            yield ["-e", f"@{file}"]
        finally:
            staging.ssh("ops1", f"sh -c {shlex.quote(STOP_PEBBLE.format(name=staging.public_name))}")


def _port() -> dict[str, object]:
    return {"name": "pebble", "ports": [PEBBLE], "groups": ["ops"], "from": ["edge"]}


def by_acme(staging: Environment) -> None:
    """Let both edge hosts get a certificate by HTTP-01, and let checks trust it."""
    with acme(staging) as options:
        made = staging.play("playbooks/secrets.yml", "-e", "create=missing", *options)
        assert made.code == 0, made.output
        staging.converge(*options)

        def ordered() -> bool:
            lines = [shown(staging, edge)["acme"] for edge in staging.edges]
            return len({served(staging, edge) for edge in staging.edges}) == 1 and not any(
                "failed" in it for it in lines
            )

        until(ordered, 240, "a certificate by ACME on both edge hosts")
        issuer = said(staging, "edge1", "openssl x509 -noout -issuer -in /etc/haproxy/certificates/acme.pem")
        assert "Pebble" in issuer, issuer
        # Public checks trust it, and a second run changes nothing.
        staging.converge(*options)
        assert staging.converge(*options).quiet
        before = served(staging, "edge1")
        staging.ssh("edge1", "greenroom-certificates renew now")
        assert served(staging, "edge1") != before
        # Any edge host can answer the CA: only the account decides.
        path = f"http://{staging.public_name}/.well-known/acme-challenge/{'a' * 43}"
        answers = {
            said(staging, "ops1", f"curl -s --resolve {staging.public_name}:80:{staging.hosts[edge]} {path}")
            for edge in staging.edges
        }
        assert len(answers) == 1, answers
        assert re.fullmatch(rf"{'a' * 43}\.[A-Za-z0-9_-]{{43}}", answers.pop())
    say(f"by ACME: {issuer.strip()} on both edge hosts, the checks of a run passed")


def main() -> None:
    """Run all parts, and undo them."""
    staging = Environment(say=say)
    settings = yaml.safe_load((ROOT / "inventories/staging/group_vars/staging/vault-server.yml").read_text())
    token = json.loads((ROOT / ".lab/vault.json").read_text())["root_token"]
    root = hvac.Client(url=settings["secrets_url"], verify=str(staging.access / "ca.crt"), token=token)
    try:
        by_vault(staging, root)
        refused(staging)
        by_acme(staging)
    finally:
        staging.converge()


if __name__ == "__main__":
    main()
