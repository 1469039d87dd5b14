"""Bad input and faults: one clear line, a failed run, and an environment that goes on as before."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import hvac
import pytest
import requests
import yaml
from environment import ROOT, Environment, Probe, Run, kill, until

Edit = Callable[[Path], None]


@pytest.fixture(scope="module", autouse=True)
def probe(staging: Environment) -> Iterator[None]:
    """Whatever is refused here, the public must not notice."""
    live = staging.live()
    processes = staging.processes(live)
    with Probe(staging, every=0.3) as watching:
        yield
    assert watching.failures == []
    assert set(watching.slots) == {live}
    assert staging.processes(live) == processes


def refused(run: Run, *parts: str) -> None:
    """The run failed before it touched any host, and its error says all of this."""
    assert run.code not in (0, None)
    for part in parts:
        assert re.search(part, run.errors, re.I), f"{part!r} is not in: {run.errors}\n{run.output}"
    assert sum(run.ssh.values()) == 0, run.ssh
    assert "Traceback" not in run.output


def rewrite(name: str, old: str, new: str, file: str = "service.yml") -> Edit:
    """An edit of one service's description, or of its checks."""

    def edit(services: Path) -> None:
        path = services / name / file
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1))

    return edit


def twin(services: Path) -> None:
    """A further service on the portal's port."""
    (services / "twin").mkdir()
    (services / "twin/service.yml").write_text(
        "image: portal\nports:\n  http: {container: 8080, from: [edge]}\nhealth: {port: http, path: /readyz}\n"
    )


@pytest.mark.parametrize(
    ("edit", "parts"),
    [
        (rewrite("portal", "stop_timeout:", "stop_timout:"), ["portal/service.yml", "stop_timout", "stop_timeout"]),
        (
            rewrite("portal", "stop_timeout: 15", "stop_timeout: soon"),
            ["portal/service.yml", "stop_timeout", "whole number", "soon"],
        ),
        (twin, ["twin/service.yml|portal/service.yml", "18080|8080"]),
        (rewrite("portal", "- {path: /}", "- {path: /, port: nowhere}"), ["portal/service.yml", "nowhere"]),
        (rewrite("portal", "- {path: /}", "- {path: /, limit: lodin}"), ["portal/service.yml", "lodin", "login"]),
        (rewrite("kratos-courier", "config_of: kratos", "config_of: krats"), ["kratos-courier", "krats", "kratos"]),
        (rewrite("portal", "image: portal", "image: portl"), ["portal/service.yml|portl", "portl", "portal"]),
        (rewrite("kratos", '"on": app', '"on": opps', "checks.yml"), ["kratos/checks.yml", "opps", "ops"]),
    ],
    ids=[
        "key",
        "type",
        "two on one port",
        "route to nowhere",
        "no such limit",
        "no such template",
        "no such image",
        "check from nowhere",
    ],
)
def test_a_mistake_in_a_service_is_named_before_any_host_is_touched(
    staging: Environment, tmp_path: Path, edit: Edit, parts: list[str]
) -> None:
    services = tmp_path / "services"
    shutil.copytree(ROOT / "services", services)
    edit(services)
    refused(staging.play("site.yml", GREENROOM_SERVICES=str(services)), *parts)


@pytest.mark.parametrize(
    ("variable", "parts"),
    [
        ({"edge_limts": {"default": 1}}, ["edge_limts", "edge_limits"]),
        ({"seed_count": "many"}, ["seed_count", "int"]),
        ({"release_name": "1.O"}, ["releases/1.O.yml", "did you mean"]),
        ({"release_images": {"portal": "sha256:" + "0" * 64}}, ["portal", "registry|198.18.30.11", "0000"]),
        ({"release_images": {"portl": "sha256:" + "0" * 64}}, ["portl", "portal"]),
        ({"registry_address": "198.18.30.11:5999"}, ["198.18.30.11:5999"]),
        ({"secrets_url": "https://198.18.30.11:8299"}, ["Vault", "198.18.30.11:8299"]),
    ],
    ids=[
        "a role's variable",
        "a role's type",
        "release",
        "digest that the registry lacks",
        "image of no service",
        "registry down",
        "Vault down",
    ],
)
def test_a_mistake_in_a_value_is_named_before_any_host_is_touched(
    staging: Environment, variable: dict[str, object], parts: list[str]
) -> None:
    refused(staging.play("site.yml", "-e", json.dumps(variable)), *parts)


def test_a_misspelt_key_in_the_inventory_is_named(staging: Environment, tmp_path: Path) -> None:
    inventory = tmp_path / "inventories/staging"
    shutil.copytree(ROOT / "inventories/staging", inventory)
    path = inventory / "group_vars/staging/network.yml"
    path.write_text(path.read_text().replace("firewall_ssh_sources:", "firewall_ssh_source:"))
    run = staging.play("site.yml", inventory=inventory, GREENROOM_ACCESS=str(staging.access))
    refused(run, '"?firewall_ssh_source"?:', '"firewall_ssh_sources"')


def test_two_environments_at_once_are_refused(staging: Environment) -> None:
    refused(staging.play("site.yml", "-i", "inventories/production"), "one environment", "production")


def test_a_secret_that_nobody_made_is_named(staging: Environment, tmp_path: Path) -> None:
    services = tmp_path / "services"
    shutil.copytree(ROOT / "services", services)
    rewrite("portal", "  PORTAL_CSRF_KEYS:", "  API_KEY: {value: payments}\n  PORTAL_CSRF_KEYS:")(services)
    run = staging.play("site.yml", GREENROOM_SERVICES=str(services))
    refused(run, "portal/value/payments", "create=missing")


@pytest.fixture
def access(staging: Environment, tmp_path: Path) -> Path:
    """A copy of what this machine needs to enter the environment, to be spoilt."""
    folder = tmp_path / "access"
    shutil.copytree(staging.access, folder)
    return folder


def test_a_vault_that_refuses_is_named(staging: Environment, access: Path) -> None:
    (access / "vault-secret-id").write_text("00000000-0000-0000-0000-000000000000\n")
    refused(staging.play("site.yml", GREENROOM_ACCESS=str(access)), "Vault", "198.18.30.11")


def test_a_sealed_vault_is_named(staging: Environment) -> None:
    keys = json.loads((ROOT / ".lab/vault.json").read_text())
    settings = yaml.safe_load((ROOT / "inventories/staging/group_vars/staging/secrets.yml").read_text())
    authority = str(staging.access / "ca.crt")
    client = hvac.Client(url=settings["secrets_url"], token=keys["root_token"], verify=authority)

    def active() -> bool:
        # Unsealed alone isn't enough: until it has elected itself, it sends its clients elsewhere.
        return requests.get(f"{settings['secrets_url']}/v1/sys/health", verify=authority, timeout=10).status_code == 200

    client.sys.seal()
    try:
        run = staging.play("site.yml")
    finally:
        client.sys.submit_unseal_key(keys["key"])
        until(active, 30, "Vault is open again")
    refused(run, "Vault", "sealed")


def test_a_wrong_key_is_named(staging: Environment, access: Path, tmp_path: Path) -> None:
    (access / "ssh_key").unlink()
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(access / "ssh_key")], check=True)
    # Connections that are open already would let anybody in: this run gets none of them.
    run = staging.play(
        "site.yml", GREENROOM_ACCESS=str(access), ANSIBLE_SSH_CONTROL_PATH_DIR=str(tmp_path / "cp"), timeout=120
    )
    assert run.code != 0
    assert re.search("permission denied|publickey", run.errors, re.I), run.output
    assert "ok: [app1]" not in run.output


def test_a_host_that_goes_away_half_way_stops_the_run_for_all(staging: Environment, tmp_path: Path) -> None:
    live = staging.live()
    output = tmp_path / "output"
    process = staging.start("site.yml", "-e", "release_name=1.1", output=output)
    rule = "inet greenroom input tcp dport 22 ip saddr {} counter {} comment unreachable-for-a-test"
    cut = [rule.format("198.18.10.1", "drop"), rule.format(staging.hosts["edge1"], "accept")]
    try:
        until(lambda: "PLAY [Write the candidate's bundle" in output.read_text(), 200, "the deploy")
        staging.ssh("app2", "".join(f"nft insert rule {rule};" for rule in reversed(cut)))
        code = process.wait(timeout=300)
    finally:
        if process.poll() is None:
            kill(process)
        restore = "nft delete table inet greenroom; nft -f /etc/nftables.conf"
        staging.ssh("app2", restore, through="edge1")
    text = output.read_text()
    assert code != 0
    assert "fatal: [app2]: UNREACHABLE!" in text, text
    # Nothing is done after that, on any host.
    assert "TASK [" not in text[text.index("UNREACHABLE!") :]
    assert staging.live() == live
    assert staging.release() == "1.0"


def test_a_full_disk_is_named(staging: Environment) -> None:
    live, idle = staging.live(), staging.idle()
    folder = f"/etc/greenroom/slots/{idle}"
    staging.ssh("app2", f"mkdir -p {folder} && mount -t tmpfs -o size=8k,mode=0700 tmpfs {folder}")
    try:
        run = staging.play("site.yml", "-e", "release_name=1.1", "-e", "portal_new_checkout=true")
    finally:
        staging.ssh("app2", f"umount {folder}")
    assert run.code != 0
    assert "fatal: [app2]" in run.output, run.output
    assert "No space left on device" in run.errors, run.output
    assert "TASK [services : " not in run.output
    assert staging.live() == live
