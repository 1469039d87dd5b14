"""A run rejects invalid input before it changes any host, and reports all problems at once, one line each."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.module_utils.greenroom.controller.validate import settings
from ansible.parsing.vault import VaultLib, VaultSecret

from tests import warm_start

ROOT = Path(__file__).resolve().parents[3]
STAGING = ROOT / "inventories" / "staging"


# A run that reads secrets reads the files of the lab's login otherwise.
LOGIN = ("-e", '{"secrets_auth": {"method": "token", "token": "x"}}')


def play(options: dict[str, Any] | None) -> dict[str, Any]:
    """A play with the task and its options."""
    return {"hosts": "all", "gather_facts": False, "tasks": [{"environment_validate": options, "run_once": True}]}


def validate(
    folder: Path,
    *arguments: str,
    services: Path | None = None,
    inventory: Path = STAGING,
    options: dict[str, Any] | None = None,
) -> list[str]:
    """Return the lines of the error message; none if the input is valid. `options` are those of the task."""
    path = folder / "play.yml"
    path.write_text(yaml.safe_dump([play(options)]), encoding="utf-8")
    shared = folder / "group_vars"
    if not shared.exists():
        shared.symlink_to(ROOT / "playbooks" / "group_vars")
    environment = os.environ | {"ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json"}
    if services:
        environment["GREENROOM_SERVICES"] = str(services)
        # Those of staging are toggles of its own services.
        arguments = ("-e", '{"environment_toggles": {}}', *arguments)
    done = warm_start.run(["-i", str(inventory), *arguments, str(path)], ROOT, environment)
    result: dict[str, Any] = json.loads(done.stdout[done.stdout.index("{") :])
    (answer,) = result["plays"][0]["tasks"][0]["hosts"].values()
    assert (done.returncode != 0) == answer.get("failed", False)
    return str(answer["msg"]).splitlines() if answer.get("failed") else []


def write(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(content), encoding="utf-8")


@pytest.fixture
def inventory(tmp_path: Path) -> Path:
    """A copy of the staging inventory that tests can add variables to."""
    folder = tmp_path / "uat"
    hosts = {"staging": {"children": {group: {"hosts": {"host1": None}} for group in ("edge", "app", "data", "ops")}}}
    write(folder / "hosts.yml", hosts)
    for file in (STAGING / "group_vars" / "staging").iterdir():
        write(folder / "group_vars" / "staging" / file.name, yaml.safe_load(file.read_text(encoding="utf-8")))
    return folder


def test_the_input_of_the_project_is_valid(tmp_path: Path) -> None:
    assert validate(tmp_path) == []


def test_all_problems_of_services_are_reported_with_file_and_key(tmp_path: Path) -> None:
    port = {"container": 8000, "from": ["edge"]}
    health = {"port": "http", "path": "/"}
    services = tmp_path / "services"
    right = {"image": "portal", "ports": {"http": port}, "health": health, "routes": [{"path": "/"}]}
    write(services / "one" / "service.yml", right)
    write(services / "two" / "service.yml", right | {"routes": [{"path": "/b", "limit": "logn"}], "config_path": "/c"})
    write(
        services / "three" / "service.yml", {"image": "portal", "routes": [{"path": "/", "prt": "http"}], "user": "Me"}
    )
    (services / "four").mkdir()
    assert validate(tmp_path, services=services) == [
        "Found 7 mistakes. No host was changed.",
        "services/four: has no service.yml",
        'services/three/service.yml: routes[0].prt: unknown key; did you mean "port"?',
        'services/three/service.yml: user: "Me" is not a user\'s number or name, or user:group, such as 1000, '
        "www-data or 999:1000",
        'services/two/service.yml: routes[0].limit: unknown class "logn"; did you mean "login"?',
        "services/two/service.yml: config_path: there is no folder two/config to mount",
        "services/two/service.yml: ports.http: port 18000 in blue is taken by one.http; set another `host`",
        "services/two/service.yml: ports.http: port 28000 in green is taken by one.http; set another `host`",
    ]


def test_values_of_services_are_rendered_before_any_host_is_changed(tmp_path: Path, inventory: Path) -> None:
    service = tmp_path / "services" / "one"
    port = {"container": 8000, "from": ["edge"]}
    page = {"image": "portal", "ports": {"http": port}, "health": {"port": "http", "path": "/"}}
    routed = page | {"routes": [{"path": "/"}], "config_path": "/etc/one"}
    write(service / "checks.yml", [{"name": "It opens", "url": "/"}])
    (service / "config").mkdir()
    (service / "config" / "one.yml.j2").write_text("{{ slot }} {{ service.name }} {{ release.name }}\n")

    def told(**keys: Any) -> list[str]:
        write(service / "service.yml", routed | keys)
        # Only a run with a release renders them.
        options = {"secrets": True}
        return validate(tmp_path, *LOGIN, services=tmp_path / "services", inventory=inventory, options=options)

    right = {"DOMAIN": "{{ environment_domain }}", "HOST": "{{ hostvars[inventory_hostname].environment_address }}"}
    later = {"RELEASE": "{{ release.name }}", "PULL": "{{ bundle_pull_seconds }}"}
    assert told(environment=right | later, command=["{% raw %}{{ x }}{% endraw %}", "$HOME"]) == []
    (service / "config" / "one.yml.j2").write_text("{{ typo }}\n")
    wrong = {"A": "{{ enviroment_domain }}", "B": "{{ 1", "C": "{{ [1] }}", "D": "{{ environment_domain | nothing }}"}
    assert told(environment=wrong, command=["{{ '' }}"], migrate=["{{ typo }}"]) == [
        "Found 7 mistakes. No host was changed.",
        "services/one/service.yml: environment.A: 'enviroment_domain' is undefined",
        "services/one/service.yml: environment.B: Syntax error in template: unexpected end of template, expected "
        "'end of print statement'.",
        "services/one/service.yml: environment.C: expected a string or a number, got a list or a mapping",
        "services/one/service.yml: environment.D: Syntax error in template: No filter named 'nothing'.",
        "services/one/service.yml: command[0]: Quadlet drops an empty argument and all that follow; use a form like "
        "`--option=`, or start a script",
        "services/one/service.yml: migrate[0]: 'typo' is undefined",
        "services/one/config/one.yml.j2: 'typo' is undefined",
    ]


def test_an_encrypted_value_is_never_printed(tmp_path: Path, inventory: Path) -> None:
    password = tmp_path / "password"
    password.write_text("a password")
    vault = VaultLib([("default", VaultSecret(b"a password"))])
    lines = vault.encrypt("hidden text", VaultSecret(b"a password")).decode().splitlines()
    encrypted = "!vault |\n" + "".join(f"    {line}\n" for line in lines)
    path = tmp_path / "services" / "one" / "service.yml"
    path.parent.mkdir(parents=True)
    path.write_text(
        f"image: portal\nmemory: {encrypted}environment:\n  KEY: {encrypted}secrets: {{A: {{value: Hid den}}}}"
    )
    (inventory / "group_vars" / "staging" / "more.yml").write_text(
        f"seed_count: {encrypted}seed_volume: '{{{{ seed_count }}}}'\n"
    )
    found = validate(
        tmp_path, "--vault-password-file", str(password), services=tmp_path / "services", inventory=inventory
    )
    start = "services/one/service.yml: "
    told = "got an encrypted value; write it to Vault, and name it in `secrets`"
    assert f"{start}environment.KEY: expected a string or a number or true or false or a mapping, {told}" in found
    assert f"{start}memory: expected a string, {told}" in found
    assert f"{start}secrets.A.value: the value is not a name of lowercase letters, digits, - and _" in found
    assert any(line.startswith("seed_count: ") and "***" in line for line in found)
    assert any(line.startswith("seed_volume: ") for line in found)
    assert "hidden" not in "".join(found).lower()


def test_a_run_that_reads_secrets_needs_its_login(tmp_path: Path) -> None:
    arguments = ("-e", json.dumps({"environment_access": str(tmp_path / "nowhere")}))
    assert validate(tmp_path, *arguments) == []
    reads = {"secrets": True}
    assert validate(tmp_path, *arguments, options=reads) == [
        f"secrets_auth: can't read the file {tmp_path}/nowhere/vault-role-id"
    ]
    login = json.dumps({"secrets_auth": {"auth_method": "token", "ca_cert": "/x", "mount": "x"}})
    assert validate(tmp_path, "-e", login, options=reads) == [
        "Found 2 mistakes. No host was changed.",
        "secrets_auth.ca_cert: set environment_ca_file instead",
        "secrets_auth.mount: set secrets_mount instead",
    ]


def test_an_empty_path_of_services_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GREENROOM_SERVICES", "")
    assert validate(tmp_path) == []


def test_an_inventory_has_services_and_releases_in_a_git_checkout(tmp_path: Path, inventory: Path) -> None:
    checkout = tmp_path / "platform"
    subprocess.run(["git", "init", "--quiet", str(checkout)], check=True)
    for folder in ("docs", "releases", "shop"):
        (checkout / folder).mkdir()
    write(checkout / "shop" / "service.yml", {"image": "shop"})
    (checkout / "releases" / "7.yml").write_text("images: {shop: team/shop:7}")
    (inventory / "greenroom.cfg").write_text(
        "[greenroom]\nservices_path = ../platform\nreleases_path = ../platform/releases\n"
    )
    toggles = ("-e", '{"environment_toggles": {}}')
    assert validate(tmp_path, "-e", "release_name=7", *toggles, inventory=inventory) == []
    (line,) = validate(tmp_path, "-e", "release_name=8", *toggles, inventory=inventory)
    assert line.startswith("release_name: there is no releases/8.yml")
    # A file that is almost right is no other folder of the checkout.
    (checkout / "shop" / "service.yml").rename(checkout / "shop" / "sevice.yml")
    assert "platform/shop: has no service.yml" in validate(
        tmp_path, "-e", "release_name=7", *toggles, inventory=inventory
    )


def test_a_run_that_would_lock_its_controller_out_is_refused(tmp_path: Path) -> None:
    seen = {"firewall_controller_address": "203.0.113.9", "ansible_user": "root"}
    login, firewall = validate(tmp_path, "-e", json.dumps(seen), options={"applies": True})[1:]
    assert login.startswith("ansible_user: ")
    assert firewall.startswith("firewall_ssh_sources: the controller's address 203.0.113.9 is not in it")


def test_problems_of_checks_are_reported_before_any_host_is_changed(tmp_path: Path, inventory: Path) -> None:
    services = tmp_path / "services"
    port = {"container": 8000, "from": ["edge"]}
    page = {"image": "portal", "ports": {"http": port}, "health": {"port": "http", "path": "/"}}
    write(services / "one" / "service.yml", page | {"routes": [{"path": "/"}]})
    checks = services / "one" / "checks.yml"

    def told(content: Any, *arguments: str) -> list[str]:
        write(checks, content)
        return validate(tmp_path, *arguments, services=services, inventory=inventory)

    right = {"name": "It opens in {{ smoke_slot }} at {{ bundle_slot }}", "url": "{{ environment_public_url }}/"}
    assert told([right]) == []
    start = "services/one/checks.yml: "
    assert told({"It opens": {"url": "/"}}) == [f"{start}expected a list of checks"]
    unlikely = {"name": "b", "url": "/", "on": "opps", "expect": {"statsu": 200}, "each": "{{ environment_domain }}"}
    assert told([right, unlikely]) == [
        "Found 3 mistakes. No host was changed.",
        f'{start}[1].each[0]: expected a mapping, got "staging.greenroom.test"',
        f'{start}[1].expect.statsu: unknown key; did you mean "status"?',
        f'{start}[1].on: unknown value "opps"; did you mean "ops"?',
    ]
    assert told([{"name": "c"}]) == [f"{start}check 'c': url is missing"]
    nothing = "no service has a smoke check{}, so a broken release would go live; add at least one to one/checks.yml"
    assert told([]) == [nothing.format("")]
    assert told([right | {"mutates": True}], "-e", "environment_protected=true", "-e", "confirm=staging") == [
        nothing.format(" that changes no data")
    ]
    hosts = yaml.safe_load((inventory / "hosts.yml").read_text(encoding="utf-8"))
    del hosts["staging"]["children"]["ops"]
    write(inventory / "hosts.yml", hosts)
    # Without ops hosts, the app hosts run it.
    assert told([right]) == []


def test_misspelled_variables_are_reported_with_a_suggestion(tmp_path: Path, inventory: Path) -> None:
    mistakes = {
        "edge_visitors_olny": True,
        "enviroment_domain": "x",
        "edge_limits": "many",
        "environment_seeding_allowed": "perhaps",
        "release_name": ["1.0"],
        "cutover_canary": "5,25",
        "drill_load": '{"h1-keep-get-0": 5}',
    }
    write(inventory / "group_vars" / "staging" / "zz.yml", mistakes)
    found = validate(tmp_path, "-e", "craete=missing", inventory=inventory)
    for line in (
        'edge_visitors_olny: role edge has no such variable; did you mean "edge_visitors_only"?',
        'enviroment_domain: unknown variable; did you mean "environment_domain"?',
        'craete: unknown variable; did you mean "create"?',
        "release_name: expected a string, got list",
        """cutover_canary: expected a list, got a string; with -e, pass JSON: -e '{"cutover_canary": ...}'""",
        """drill_load: expected a dict, got a string; with -e, pass JSON: -e '{"drill_load": ...}'""",
    ):
        assert line in found
    for start in ("edge_limits: ", "environment_seeding_allowed: "):
        assert [line for line in found if line.startswith(start) and "convert" in line]


def test_unknown_toggles_and_values_are_reported(tmp_path: Path, inventory: Path) -> None:
    def told(value: object) -> list[str]:
        return validate(tmp_path, "-e", json.dumps({"environment_toggles": value}), inventory=inventory)

    assert told({"new_checkout": True, "test_endpoints": False}) == []
    assert told({"new_chekout": True, "test_endpoints": "on", "new_checkout": 1}) == [
        "Found 3 mistakes. No host was changed.",
        'environment_toggles.new_chekout: no service has this toggle; did you mean "new_checkout"?',
        'environment_toggles.test_endpoints: expected true or false, got "on"',
        "environment_toggles.new_checkout: expected true or false, got 1",
    ]
    (line,) = validate(tmp_path, "-e", "portal_new_checkout=true")
    assert line == ("portal_new_checkout: this variable is a toggle now: set environment_toggles: {new_checkout: true}")


def test_who_enters_at_the_edge_and_how_long_connections_last_are_checked(tmp_path: Path, inventory: Path) -> None:
    nowhere = tmp_path / "ca.pem"
    given = {
        "edge_client_ca": f"{{{{ lookup('ansible.builtin.file', '{nowhere}') }}}}",
        "edge_visitor_sources": ["offices"],
        "edge_connection_hours": 600,
        "edge_drain_seconds": 600,
    }
    write(inventory / "group_vars" / "staging" / "zz.yml", given)

    def told() -> list[str]:
        return validate(tmp_path, inventory=inventory)[1:]

    assert told() == [
        "edge_drain_seconds: this variable is called edge_connection_hours now",
        f"edge_client_ca: can't read the file {nowhere}",
        'edge_visitor_sources: "offices" is neither an address nor a group',
        "edge_connection_hours: 600 is out of range; set a number of hours, a week at most",
    ]
    nowhere.write_text("no certificate")
    assert [line for line in told() if line.startswith("edge_client_ca: no certificates in PEM; set the content of ")]
    # A rollback installs no certificate.
    moved = validate(tmp_path, inventory=inventory, options={"whole": True})
    assert [line for line in moved if line.startswith("edge_client_ca")] == []


def test_a_missing_variable_is_reported(tmp_path: Path, inventory: Path) -> None:
    file = inventory / "group_vars" / "staging" / "main.yml"
    content = yaml.safe_load(file.read_text(encoding="utf-8"))
    del content["environment_domain"]
    write(file, content)
    assert validate(tmp_path, inventory=inventory) == ["environment_domain: missing; role environment needs it"]


def test_problems_of_sign_in_providers_are_reported(tmp_path: Path, inventory: Path) -> None:
    right = {"name": "a", "label": "A", "issuer": "https://a.test", "client_id": "x"}
    file = inventory / "group_vars" / "staging" / "sign-in.yml"
    write(file, {"identity_providers": [right, {**right, "issuer": "http://a.test"}]})
    assert set(validate(tmp_path, inventory=inventory)) >= {
        'identity_providers[1].name: "a" is used twice',
        'identity_providers[1].issuer: "http://a.test" is not an https URL',
    }
    write(file, {"identity_providers": [{**right, "isuer": "https://a.test"}]})
    (line,) = validate(tmp_path, inventory=inventory)
    assert "isuer" in line
    write(file, {"identity_providers": []})
    assert validate(tmp_path, inventory=inventory) == []


def test_an_unusable_shared_address_is_reported(tmp_path: Path, inventory: Path) -> None:
    file = inventory / "group_vars" / "staging" / "edge.yml"
    content = yaml.safe_load(file.read_text(encoding="utf-8"))
    write(file, content | {"keepalived_address": "198.18.20.10"})
    line = "keepalived_address: 198.18.20.10 is not in the environment's network (198.18.10.0/24)"
    assert validate(tmp_path, inventory=inventory) == [line]
    write(file, content | {"keepalived_address": ""})
    assert validate(tmp_path, inventory=inventory) == []
    write(file, content | {"keepalived_address": "", "keepalived_ipv6_address": "2001:db8::10"})
    [line] = validate(tmp_path, inventory=inventory)
    assert line == "keepalived_ipv6_address: set keepalived_address, too; the two move together"


def test_limits_that_do_not_fit_the_catalog_and_the_inventory_are_reported(tmp_path: Path, inventory: Path) -> None:
    file = inventory / "group_vars" / "staging" / "edge.yml"
    content = yaml.safe_load(file.read_text(encoding="utf-8"))
    write(file, content | {"edge_maxconn": 10, "edge_open_files": 100})
    first, connections, files = validate(tmp_path, inventory=inventory)
    assert first == "Found 2 mistakes. No host was changed."
    assert connections.startswith("edge_maxconn: 10 leaves too few connections for 1 edge and app hosts")
    assert files.startswith("edge_open_files: 100 is too few for this catalog")


def test_only_load_balancers_may_name_a_visitors_address(tmp_path: Path, inventory: Path) -> None:
    file = inventory / "group_vars" / "staging" / "edge.yml"
    content = yaml.safe_load(file.read_text(encoding="utf-8"))
    wrong = {"edge_proxy_sources": ["198.18.10.8/29", "ops"], "edge_forwarded_sources": ["::/0"]}
    write(file, content | wrong | {"environment_address": "198.18.10.11"})
    advice = "name only the load balancers' own addresses"
    assert validate(tmp_path, inventory=inventory)[1:] == [
        f"edge_proxy_sources: 198.18.10.8/29 contains host1, no load balancer; {advice}",
        f"edge_proxy_sources: ops contains host1, no load balancer; {advice}",
        f"edge_forwarded_sources: ::/0 contains all addresses, so any client could claim any address; {advice}",
    ]
    write(file, content | {"edge_proxy_sources": ["198.18.10.2/31"], "edge_forwarded_sources": ["2001:db8::4"]})
    assert validate(tmp_path, inventory=inventory) == []


def test_invalid_cutover_options_are_rejected_before_the_deploy(tmp_path: Path) -> None:
    wrong = ("canary=0,200", "to=purple", "bake=x", "cutover_step_seconds=0", "canary_seconds=5")
    first, bake, to, canary, seconds, other = validate(tmp_path, *(word for value in wrong for word in ("-e", value)))
    assert first == "Found 5 mistakes. No host was changed."
    assert bake.startswith("bake: ")
    assert to == "to: value of to must be one of: blue, green, got: purple"
    assert canary == "canary=0,200: weights must be percentages from 1 to 99, as in canary=5,25,50"
    assert seconds.startswith("cutover_step_seconds=0: set the length of a step")
    assert other.startswith("canary_seconds: set cutover_step_seconds for")


@pytest.mark.parametrize("name", ["bake", "stop_after", "cutover_drain_seconds"])
@pytest.mark.parametrize("value", ["-1", "86401", "9" * 20])
def test_a_time_of_more_than_a_day_or_less_than_nothing_is_rejected(name: str, value: str) -> None:
    (line,) = settings.cutover_problems(None, None, None, **{name: value})
    assert line == f"{name}={value}: set a whole number of seconds, 0 or more, and 86400 (a day) at most"


def test_a_day_and_nothing_are_accepted() -> None:
    assert [*settings.cutover_problems(None, 86400, None, bake=0)] == []
    assert [*settings.cutover_problems(None, 1, None, bake="86400")] == []
    assert len([*settings.cutover_problems(None, 86401, None)]) == 1


def test_options_of_drills_and_restores_are_checked(tmp_path: Path) -> None:
    wrong = ("fault=edge-kiled", "databse=shop", "itno=shop_restored", "release=1.1")
    first, *others = validate(tmp_path, *(word for value in wrong for word in ("-e", value)))
    assert first == "Found 4 mistakes. No host was changed."
    release, database, into, fault = others
    assert release.startswith("release: can't be set, a run detects it; use -e release_name=<release>")
    assert database == 'databse: unknown variable; did you mean "database"?'
    assert into == 'itno: unknown variable; did you mean "into"?'
    assert fault.startswith("fault: value of fault must be one of: none, candidate-unhealthy, ")
    assert validate(tmp_path, "-e", "fault=edge-killed", "-e", "database=shop", "-e", "into=shop_restored") == []


def test_times_that_lose_the_lock_are_rejected() -> None:
    def told(**seconds: float) -> list[str]:
        times = {"renew": 5, "expire": 20, "poll": 0.5, "timeout": 10, "reconnect": 2} | seconds
        return list(settings.lock_problems(times))

    assert told() == list(settings.lock_problems({})) == []
    assert told(timeout=0) == ["environment_lock_timeout_seconds: set a number of seconds above 0"]
    (line,) = told(renew=10)
    assert line.startswith("environment_lock_expire_seconds: set more than twice environment_lock_renew_seconds (10 s)")
    assert told(renew=9.5) == []


def test_two_environments_at_once_are_rejected(tmp_path: Path) -> None:
    both = validate(tmp_path, "-i", str(ROOT / "inventories" / "production"))
    assert "more than one environment at once: production, staging; pass the inventory of one environment only" in both


def test_a_protected_environment_needs_a_confirmation(tmp_path: Path) -> None:
    production = ROOT / "inventories" / "production"
    wanted = ["production is protected: add -e confirm=production"]
    assert validate(tmp_path, inventory=production) == wanted
    assert validate(tmp_path, "-e", "confirm=production", inventory=production) == []
    (line,) = validate(tmp_path, "-e", "confirm=production")
    assert line == 'confirm: "production" is not the environment of this inventory, which is "staging"'


def test_a_missing_release_is_reported(tmp_path: Path) -> None:
    (line,) = validate(tmp_path, "-e", "release_name=1.O")
    assert line.startswith("release_name: there is no releases/1.O.yml; did you mean ")
    digest = json.dumps({"release_images": {"portl": "sha256:" + "0" * 64}})
    (line,) = validate(tmp_path, "-e", digest)
    assert line == 'release_images.portl: releases/1.0.yml has no such image; did you mean "portal"?'


def test_an_invalid_yaml_file_is_reported(tmp_path: Path) -> None:
    services = tmp_path / "services"
    (services / "one").mkdir(parents=True)
    (services / "one" / "service.yml").write_text("image: [", encoding="utf-8")
    write(tmp_path / "play.yml", [play(None)])
    environment = os.environ | {"GREENROOM_SERVICES": str(services)}
    done = warm_start.run(["-i", str(STAGING), str(tmp_path / "play.yml")], ROOT, environment)
    assert done.returncode != 0
    assert str(services / "one" / "service.yml") in done.stderr + done.stdout


def test_a_second_data_host_is_refused_and_one_or_none_is_not() -> None:
    (line,) = settings.data_problems(["data1", "data2"], {})
    assert line.startswith("data: one host, not 2 (data1, data2): ")
    without = {"cache": None, "database": None}
    catalogue = {"shop": without | {"cache": {"prefix": "shop:"}}, "web": without}
    assert [*settings.data_problems(["data1"], catalogue), *settings.data_problems([], {"web": without})] == []
    (line,) = settings.data_problems([], catalogue)
    assert line.startswith('services/shop/service.yml: cache: its server needs a host in the group "data"')


def test_a_database_without_any_server_is_refused(tmp_path: Path, inventory: Path) -> None:
    write(tmp_path / "services/shop/service.yml", {"image": "portal", "databases": ["facts"]})
    hosts = {"staging": {"children": {group: {"hosts": {"host1": None}} for group in ("edge", "app")}}}
    write(inventory / "hosts.yml", hosts)

    def told(**variables: str) -> list[str]:
        write(inventory / "group_vars/staging/database.yml", variables)
        lines = validate(tmp_path, services=tmp_path / "services", inventory=inventory)
        return [line for line in lines if "server" in line]

    assert told() == [
        'services/shop/service.yml: database: facts has no server: the group "data" has no host; add one, or name a '
        "server elsewhere with database_host or database_address (docs/data-stores.md)"
    ]
    # The usual name, but written: DNS knows it.
    assert told(database_host="database.staging.greenroom.test") == []
    assert told(database_address="192.0.2.50") == []


def test_no_variable_wants_more_synthetic_users_than_there_are() -> None:
    assert [*settings.people_problems(100, simulation_people=100, load_people="100")] == []
    assert [*settings.people_problems(100, simulation_people=None, load_people="many")] == []
    assert [*settings.people_problems("100", simulation_people=101, load_people=100)] == [
        "simulation_people: 101 synthetic users, but seed_count is 100; raise seed_count, or lower simulation_people"
    ]


def test_providers_are_checked_with_services_and_inventory(tmp_path: Path, inventory: Path) -> None:
    shop = {"image": "portal", "secrets": {"PAY_KEY": {"provider": "stripe"}, "OTHER": {"provider": "twilio"}}}
    write(tmp_path / "services/shop/service.yml", shop)
    chosen = {"stripe": {"mode": "live"}, "google": {"mode": "acount"}, "mail-sandbox": {"mode": "stub"}}
    write(inventory / "group_vars/staging/providers.yml", {"environment_providers": chosen})
    found = validate(tmp_path, services=tmp_path / "services", inventory=inventory)
    assert [line.partition(";")[0].partition(", so")[0] for line in found if "provider" in line] == [
        'environment_providers.google.mode: unknown value "acount"',
        "environment_providers.stripe.mode: live, but the environment is not protected",
    ]
    chosen = {
        "stripe": {"mode": "sandbox"},
        "twilio": {"mode": "off"},
        "postmark": {"mode": "sandbox"},
        "mail-sandbox": {"mode": "stub"},
    }
    write(inventory / "group_vars/staging/providers.yml", {"environment_providers": chosen})
    found = validate(tmp_path, services=tmp_path / "services", inventory=inventory)
    assert [line.partition(";")[0] for line in found if "provider" in line] == [
        "services/shop/service.yml: secrets.OTHER.provider: twilio is off in this environment",
        "environment_providers.postmark: no service uses it",
    ]


def test_a_live_key_in_a_service_stops_the_run_without_being_shown(tmp_path: Path) -> None:
    """In its environment and in a file of its configuration; secrets are checked once they are read."""
    key = "sk_" + "live_51Habcdefgh"
    shop = {"image": "portal", "environment": {"PAY_KEY": key}, "config_path": "/etc/shop"}
    write(tmp_path / "services/shop/service.yml", shop)
    for name in ("pay.json.j2", "pay.env"):
        (tmp_path / "services/shop/config").mkdir(exist_ok=True)
        (tmp_path / "services/shop/config" / name).write_text(f"key={key}\n")
    options = {"secrets": True}
    found = validate(tmp_path, *LOGIN, services=tmp_path / "services", options=options)
    assert [line.partition(" which")[0] for line in found if "live" in line] == [
        f"services/shop/{place}: has a live Stripe key,"
        for place in ("service.yml: environment.PAY_KEY", "config/pay.env", "config/pay.json.j2")
    ]
    assert key not in "".join(found)
    protected = ("-e", '{"environment_protected": true, "confirm": "staging"}')
    found = validate(tmp_path, *LOGIN, *protected, services=tmp_path / "services", options=options)
    assert "live" not in "".join(found)
