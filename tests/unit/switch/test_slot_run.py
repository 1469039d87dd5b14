# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""greenroom-run: a command of a service in a container like the one that runs, or in that one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from ansible.module_utils.greenroom.common import second_container
from ansible.module_utils.greenroom.common.container_mac import mac_address
from ansible.module_utils.greenroom.switch import peers as switch_peers
from ansible.module_utils.greenroom.switch import slot_run

IMAGE = "registry/shop@sha256:0"
CREATED = [
    *("/usr/bin/podman", "run", "--name=shop-green", "--cidfile=/run/shop.cid", "--replace", "--rm", "--cgroups=split"),
    *("--network", "greenroom-green", "--sdnotify=conmon", "-d", "--log-driver", "journald", "--user", "1000:1000"),
    *("--network-alias", "shop", "--entrypoint", "/init", "--publish", "0.0.0.0:28080:8080", "--env-file", "/env"),
    *(f"--mac-address={mac_address('shop-green')}", IMAGE, "serve"),
]
LIMITS = "MemoryMax=268435456\nCPUQuotaPerSecUSec=1s 500ms\n"
UNIT = f"""# /run/systemd/generator/shop-green.service
[Service]
ExecStart={" ".join(CREATED)} "100 %%"
ExecStop=/usr/bin/podman rm -f shop-green
"""
KEPT = ["--network", "greenroom-green", "--user", "1000:1000"]


class Host:
    """An app host with one service; green is live."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.file = folder / "live.json"
        known = {"site": "staging", "edges": ["192.0.2.1"], "port": 1, "public_name": "x", "ca_file": "/ca"}
        self.file.write_text(json.dumps({**known, "slots": str(folder)}))
        self.fact = folder / "green.fact"
        self.describe()
        self.state: dict[str, bool] = {"Running": True}
        self.called: list[Sequence[str]] = []
        self.code = 0
        self.recorded: list[str] = []
        monkeypatch.setattr(switch_peers, "ask", lambda *_: "9:green:-:0")
        monkeypatch.setenv("SUDO_USER", "ada")
        self.controllers = folder / "controllers"
        self.controllers.write_text("cpuset cpu memory\n")
        monkeypatch.setattr(second_container, "CONTROLLERS", self.controllers)

    def describe(self, **keys: object) -> None:
        self.fact.write_text(json.dumps({"images": {"app": IMAGE}, "services": {"shop": {"image": "app", **keys}}}))

    def inspect(self, command: Sequence[str]) -> tuple[int, str]:
        assert command[-1] == "shop-green"
        if command[:2] == ["systemctl", "show"]:
            return 0, LIMITS
        if command[:2] == ["systemctl", "cat"]:
            return 0, UNIT
        if not self.state:
            return 125, "[]"
        return 0, json.dumps([{"State": self.state, "Config": {"CreateCommand": CREATED}}])

    def call(self, command: Sequence[str]) -> int:
        self.called.append(command)
        return self.code

    def run(self, *words: str) -> int:
        return int(slot_run.main(str(self.file), words, self.inspect, self.call, self.recorded.append))


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    return Host(tmp_path, monkeypatch)


def test_a_command_runs_in_a_container_like_the_services_own(host: Host) -> None:
    host.code = 7
    assert host.run("run", "shop", "orders", "--all", "a b") == 7
    [command] = host.called
    assert command[:2] == CREATED[:2]
    assert list(command[-4:]) == [IMAGE, "orders", "--all", "a b"]
    assert "--name=shop-run" in command
    assert f"--mac-address={mac_address('shop-run')}" in command
    assert " ".join(KEPT[:2]) in " ".join(command)
    assert not {"--publish", "--network-alias", "-d", "--replace", "journald", "0.0.0.0:28080:8080"} & set(command)
    assert host.recorded == [
        "run shop in green: orders --all 'a b'; by ada",
        "run shop in green: orders --all 'a b'; ended with exit code 7",
    ]


def test_a_command_comes_after_the_first_arguments_of_the_entry_point(host: Host) -> None:
    host.describe(entry_arguments=["--", "manage"], console=["shell"])
    for words in (("run", "shop", "orders"), ("console", "shop"), ("console", "shop", "sh", "-l")):
        assert host.run(*words) == 0
    assert [list(command[command.index(IMAGE) + 1 :]) for command in host.called] == [
        ["--", "manage", "orders"],
        ["--", "manage", "shell"],
        ["-l"],
    ]


def test_podman_ends_a_command_after_its_time(host: Host) -> None:
    assert host.run("run", "--slot", "green", "--seconds", "30", "shop", "orders") == 0
    [command] = host.called
    assert "--timeout=30" in command[: command.index(IMAGE)]
    assert host.run("run", "--seconds", "soon", "shop", "orders") == slot_run.NOTHING_RAN


def test_a_second_container_has_the_limits_of_the_service_where_the_kernel_has_any(host: Host) -> None:
    for controllers in ("cpuset cpu memory\n", "cpuset\n"):
        host.controllers.write_text(controllers)
        assert host.run("run", "shop", "orders") == 0
    host.controllers.unlink()
    assert host.run("console", "shop") == 0
    found = [[word for word in command if word.startswith(("--memory", "--cpus"))] for command in host.called]
    assert found == [["--memory=268435456b", "--cpus=1.5"], [], []]
    assert second_container.limits("MemoryMax=infinity\nCPUQuotaPerSecUSec=infinity\n", "cpu memory") == []


def test_a_hooks_command_runs_as_the_slot_has_the_service_also_if_that_is_down(host: Host) -> None:
    host.state = {}
    assert host.run("run", "--slot", "green", "--hook", "before_deploy", "shop", "warm") == 0
    [command] = host.called
    assert list(command[-2:]) == [IMAGE, "warm"]
    assert {"--name=shop-before_deploy", "--env=GREENROOM_HOOK=before_deploy", *KEPT} <= set(command)
    assert "100 %" not in command
    assert host.run("run", "--hook", "--rm", "shop", "warm") == slot_run.NOTHING_RAN


def test_no_other_process_uses_the_files_of_a_singleton(host: Host, capsys: pytest.CaptureFixture[str]) -> None:
    volume = {"path": "/data", "read_only": False}
    host.describe(activation="singleton", volumes={"media": volume})
    for words in (("run", "shop", "x"), ("console", "shop")):
        assert host.run(*words) == slot_run.NOTHING_RAN
        assert "only one process may use its files (media)" in capsys.readouterr().err
    assert host.run("exec", "shop", "id") == 0
    host.describe(activation="singleton", volumes={"media": {**volume, "commands": True}})
    assert host.run("run", "shop", "x") == 0


def test_a_console_is_the_services_own_or_a_shell(host: Host) -> None:
    assert host.run("console", "shop") == 0
    host.describe(console=["shell"])
    assert host.run("console", "shop") == 0
    assert host.run("console", "shop", "python3", "-i") == 0
    shell, own, other = host.called
    assert list(shell[-2:]) == ["--entrypoint=/bin/sh", IMAGE]
    assert "/init" not in shell
    assert list(own[-2:]) == [IMAGE, "shell"]
    assert "/init" in own
    assert list(other[-3:]) == ["--entrypoint=python3", IMAGE, "-i"]


def test_exec_runs_in_the_container_that_is_there(host: Host) -> None:
    assert host.run("exec", "shop", "id", "-u") == 0
    assert host.called == [["podman", "exec", "--interactive", "shop-green", "id", "-u"]]


def test_what_cannot_run_says_why(host: Host, capsys: pytest.CaptureFixture[str]) -> None:
    cases = {
        ("run", "shpo", "x"): "green has no service shpo; it has shop",
        ("run", "shop"): "run needs a command",
        ("exec", "shop"): "exec needs a program",
        ("run", "--slot", "blue", "shop", "x"): "blue has no bundle here",
        ("run", "--slot", "red", "shop", "x"): "usage:",
        ("dance", "shop"): "usage:",
        (): "usage:",
    }
    for words, message in cases.items():
        assert host.run(*words) == slot_run.NOTHING_RAN
        assert message in capsys.readouterr().err
    host.state = {"Running": False}
    assert host.run("run", "shop", "x") == slot_run.NOTHING_RAN
    assert "does not run on this host" in capsys.readouterr().err
    assert host.called == []


def test_the_live_slot_can_be_asked_for(host: Host, capsys: pytest.CaptureFixture[str]) -> None:
    assert host.run("slot") == 0
    assert capsys.readouterr().out == "green\n"
