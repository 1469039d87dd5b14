# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The units of `template_tree`: which are stale, what happens to them, and what is remembered."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.greenroom.tree import changes, systemd, unit_records, units
from ansible.module_utils.greenroom.tree import files as tree_files
from ansible.module_utils.greenroom.tree import manifest as tree_manifest
from systemctl_fake import Systemd, moment

WEB = "web.service"


class Host:
    """A folder with files and records, and a systemd."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.systemd = Systemd()
        self.records = unit_records.Records("test", str(root / "units"))

    def path(self, name: str) -> str:
        return str(self.root / "host" / name)

    def call(
        self,
        contents: dict[str, str],
        *wanted: units.Unit,
        check: bool = False,
        drift: bool = False,
        records: unit_records.Records | None = None,
        kill: str = "",
    ) -> units.Outcome:
        """One call as the module makes it; `kill` names the step before which it ends."""
        files = [
            tree_files.File(self.path(name), text.encode(), tree_files.Attributes(0o644))
            for name, text in contents.items()
        ]
        name = records.tree_name if records else "test"
        whole = changes.Tree(name, files, manifest=str(self.root / f"{name}.json"))
        manager = units.Manager(wanted, systemd.Systemd(self.systemd.run), records or self.records, whole, check=check)
        plan = whole.plan(drift=drift)
        if drift:
            manager.find_drift(plan)
        else:
            manager.stop(plan)
        if not check:
            whole.apply(plan, drift=drift)
        if kill == "reload":
            return manager.outcome
        manager.reload_if_needed(plan)
        if kill == "converge":
            return manager.outcome
        if not drift:
            manager.converge(plan)
            if not check:
                whole.finish(plan)
        return manager.outcome

    def edit(self, name: str, text: str = "edited\n") -> None:
        moment()
        Path(self.path(name)).write_text(text)
        moment()

    def by_hand(self, verb: str, name: str = WEB) -> None:
        self.systemd.run(["systemctl", verb, name])
        self.systemd.calls.pop()


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    monkeypatch.setattr(tree_manifest, "STATE_DIRECTORY", str(tmp_path / "lib"))
    monkeypatch.setattr(units, "SETTLE", 0.0)
    host = Host(tmp_path)
    host.systemd.add(WEB)
    return host


A = {"web/a.conf": "one\n"}
B = {"web/a.conf": "two\n"}


def started(**more: Any) -> units.Unit:
    return units.Unit(WEB, **more)


# --- stale or fresh ---


def test_a_unit_is_started_once_and_restarted_when_its_files_change(host: Host) -> None:
    assert host.call(A, started()).units == {WEB: "started"}
    assert host.call(A, started()).units == {}
    assert host.call(B, started()).units == {WEB: "restarted"}
    assert host.call(B, started()).units == {}
    assert host.systemd.verbs == [f"start {WEB}", f"restart {WEB}"]


def test_a_quiet_call_asks_systemd_once(host: Host) -> None:
    host.systemd.add("other.service")
    wanted = (started(), units.Unit("other.service"))
    host.call(A, *wanted)
    host.systemd.calls.clear()
    host.call(A, *wanted)
    assert [call[1] for call in host.systemd.calls] == ["show"]


def test_what_was_undone_behind_a_units_back_is_done_again(host: Host) -> None:
    host.call(A, started(on_change="reload", holds="holds"))
    assert host.call(A, started(on_change="reload", holds="holds")).units == {}
    assert host.call(A, started(on_change="reload", holds="fails 'with spaces'"), check=True).units == {WEB: "reloaded"}
    assert host.call(A, started(on_change="reload", holds="fails 'with spaces'")).units == {WEB: "reloaded"}
    assert ["fails", "with spaces"] in host.systemd.calls
    assert host.call(A, started(on_change="none", holds="fails")).units == {}


def test_reload_and_none(host: Host) -> None:
    host.call(A, started(on_change="reload"))
    assert host.call(B, started(on_change="reload")).units == {WEB: "reloaded"}
    assert host.call(B, started(on_change="reload")).units == {}
    assert host.call(A, started(on_change="none")).units == {}
    assert host.systemd.verbs == [f"start {WEB}", f"reload-or-restart {WEB}"]


def test_a_change_of_other_files_leaves_a_unit_alone(host: Host) -> None:
    unit = started(files=(host.path("web/*"),))
    host.call({**A, "db.conf": "one"}, unit)
    assert host.call({**A, "db.conf": "two"}, unit).units == {}


def test_a_removed_file_makes_a_unit_stale(host: Host) -> None:
    host.call({**A, "web/b.conf": "x"}, started())
    assert host.call(A, started()).units == {WEB: "restarted"}


def test_a_kill_between_write_and_restart_is_repaired(host: Host) -> None:
    host.call(A, started())
    host.call(B, started(), kill="converge")
    assert host.call(B, started()).units == {WEB: "restarted"}
    assert host.call(B, started()).units == {}


def test_a_kill_between_restart_and_record_restarts_nothing(host: Host) -> None:
    host.call(A, started())
    host.call(B, started(), kill="converge")
    host.by_hand("restart")
    assert host.call(B, started()).units == {}
    assert host.records.get(WEB)["invocation"] == host.systemd.units[WEB]["invocation"]


def test_a_unit_that_ran_before_its_first_record_is_judged_by_times(host: Host) -> None:
    host.by_hand("start")
    moment()
    assert host.call(A, started()).units == {WEB: "restarted"}
    host.records.set(WEB, {})
    assert host.call(A, started()).units == {}


def test_a_restart_by_hand_keeps_a_unit_fresh(host: Host) -> None:
    host.call(A, started())
    host.by_hand("restart")
    assert host.call(A, started()).units == {}


def test_a_unit_that_loaded_an_edit_is_restarted_when_the_edit_is_mended(host: Host) -> None:
    host.call(A, started())
    host.edit("web/a.conf")
    host.by_hand("restart")
    assert host.call(A, started()).units == {WEB: "restarted"}
    host.edit("web/a.conf")
    assert host.call(A, started()).units == {}


def test_a_unit_that_reloaded_an_edit_is_reloaded(host: Host) -> None:
    unit = started(on_change="reload")
    host.call(A, unit)
    host.edit("web/a.conf")
    host.by_hand("reload-or-restart")
    moment()
    assert host.call(A, unit).units == {WEB: "reloaded"}


def test_two_calls_share_a_unit(host: Host) -> None:
    other = unit_records.Records("other", str(host.root / "units"))
    unit = started(on_change="reload")
    host.call(A, unit)
    host.call({"other/x": "1"}, unit, records=other)
    for _round in range(2):
        assert host.call(A, unit).units == {}
        assert host.call({"other/x": "1"}, unit, records=other).units == {}
    assert host.call({"other/x": "2"}, unit, records=other).units == {WEB: "reloaded"}
    assert host.call(A, unit).units == {}


def test_an_unreadable_record_says_nothing(host: Host) -> None:
    host.call(A, started())
    for content in ("{", "[]", '{"test": 1}'):
        (host.root / "units" / f"{WEB}.json").write_text(content)
        assert host.call(A, started()).units == {}


def test_records_are_written_only_when_they_differ_and_end_with_their_last_call(host: Host) -> None:
    host.call(A, started())
    path = host.root / "units" / f"{WEB}.json"
    inode = path.stat().st_ino
    host.call(A, started())
    assert path.stat().st_ino == inode
    assert json.loads(path.read_text()).keys() == {"test"}
    host.call(A, started(state="stopped"))
    assert not path.exists()
    host.records.set(WEB, {})


def test_without_an_invocation_the_last_change_of_state_decides() -> None:
    status = systemd.Status(load="loaded", active="active", started=5.0, changed=6.0)
    record = {"hash": "h", "invocation": "", "changed": 6.0}
    assert units.is_fresh(started(), status, record, "h", newest=9.0)
    assert not units.is_fresh(started(), status, {**record, "changed": 7.0}, "h", newest=9.0)


# --- states ---


def test_stopped(host: Host) -> None:
    host.by_hand("start")
    host.systemd.units[WEB]["file_state"] = "enabled"
    unit = started(state="stopped", enabled=False)
    assert host.call(A, unit, check=True).units == {WEB: "stopped"}
    assert host.systemd.verbs == []
    assert host.call(A, unit).units == {WEB: "stopped"}
    assert host.systemd.units[WEB]["file_state"] == "disabled"
    assert host.call(A, unit).units == {}


def test_a_unit_in_its_start_is_stopped_too(host: Host) -> None:
    host.systemd.add(WEB, active="activating", sub="auto-restart")
    assert host.call(A, started(state="stopped")).units == {WEB: "stopped"}
    assert units.decide(started(state="stopped"), systemd.Status(active="activating"), {}, "h", 0.0) == "stop"


def test_unchanged_restarts_what_runs_and_starts_nothing(host: Host) -> None:
    unit = started(state="unchanged")
    assert host.call(A, unit).units == {}
    host.by_hand("start")
    assert host.call(A, unit).units == {}
    assert host.call(B, unit).units == {WEB: "restarted"}
    host.by_hand("stop")
    assert host.call(A, unit).units == {}


def test_a_failed_unit_is_reset_before_its_start(host: Host) -> None:
    host.systemd.add(WEB, active="failed", sub="failed", result="exit-code")
    assert host.call(A, started()).units == {WEB: "started"}
    assert host.systemd.verbs == [f"reset-failed {WEB}", f"start {WEB}"]


def test_a_unit_in_its_start_is_waited_for_or_begun_again_when_stale(host: Host) -> None:
    record = {"hash": "h", "invocation": "i"}
    status = systemd.Status(load="loaded", active="activating", sub="start", invocation="i", started=5.0)
    assert units.decide(started(), status, record, "h", 9.0) == "start"
    assert units.decide(started(), status, record, "new", 9.0) == "restart"
    assert units.decide(started(state="unchanged"), status, record, "new", 9.0) is None


def test_oneshot_units_run_once_for_each_content(host: Host) -> None:
    host.systemd.add(WEB, type="oneshot")
    assert host.call(A, started()).units == {WEB: "started"}
    assert host.call(A, started()).units == {}
    assert host.call(B, started()).units == {WEB: "started"}
    host.records.set(WEB, {})
    assert host.call(B, started()).units == {}
    host.systemd.units[WEB].update(active="failed", result="exit-code")
    assert host.call(B, started()).units == {WEB: "started"}


def test_oneshot_units_without_on_change_run_once(host: Host) -> None:
    host.systemd.add(WEB, type="oneshot")
    unit = started(on_change="none")
    assert host.call(A, unit).units == {WEB: "started"}
    assert host.call(B, unit).units == {}


def test_enable(host: Host) -> None:
    unit = started(enabled=True)
    assert host.call(A, unit, check=True).units == {WEB: "started"}
    assert host.call(A, unit).units == {WEB: "started"}
    assert host.systemd.verbs == [f"enable --quiet {WEB}", f"start {WEB}"]
    assert host.call(A, unit).units == {}
    host.systemd.units[WEB]["file_state"] = "disabled"
    assert host.call(A, unit).units == {WEB: "enabled"}
    assert host.call(A, started(enabled=False)).units == {WEB: "disabled"}
    assert host.call(A, started(enabled=False)).units == {}
    host.systemd.units[WEB]["file_state"] = "indirect"
    assert host.call(A, unit).units == {}


@pytest.mark.parametrize("state", ["generated", "static"])
def test_what_cannot_be_enabled_says_why(host: Host, state: str) -> None:
    host.systemd.units[WEB]["file_state"] = state
    with pytest.raises(units.UnitError, match=f"is {state} and can't be enabled"):
        host.call(A, started(enabled=True))


def test_an_unknown_unit_is_an_error_but_not_when_it_shall_not_run(host: Host) -> None:
    with pytest.raises(units.UnitError, match=r"gone.service does not exist"):
        host.call(A, units.Unit("gone.service"))
    assert host.systemd.verbs == ["daemon-reload"]
    assert host.call(A, units.Unit("gone.service", state="stopped")).units == {}
    assert host.call(A, units.Unit("gone.service"), check=True).units == {"gone.service": "started"}


# --- failures ---


def test_a_unit_that_fails_to_start_is_named_with_its_journal(host: Host) -> None:
    host.systemd.add("good.service")
    host.systemd.units[WEB]["fails"] = ["start"]
    with pytest.raises(units.UnitError, match=rf"unit {WEB} failed to start \(failed/failed, exit-code\)") as error:
        host.call(A, units.Unit("good.service"), started())
    assert error.value.unit == WEB
    life = host.systemd.units[WEB]["invocation"]
    # The journal may know only the unit of a process that was gone at once, and not its life.
    which = f"_SYSTEMD_INVOCATION_ID={life} + INVOCATION_ID={life} + _SYSTEMD_UNIT={WEB} + UNIT={WEB}"
    said = re.search(rf"{re.escape(which)} --since=@(\d+\.\d+) wrote this\n  and that", str(error.value))
    assert said
    assert float(said[1]) == pytest.approx(host.systemd.units[WEB]["started"] - 0.5, abs=0.001)
    host.systemd.calls.clear()
    host.systemd.units[WEB]["fails"] = []
    assert host.call(A, units.Unit("good.service"), started()).units == {WEB: "started"}


def test_a_unit_that_crashes_after_its_start_is_a_failure(host: Host) -> None:
    host.systemd.units[WEB]["crashes"] = True
    with pytest.raises(units.UnitError, match="auto-restart"):
        host.call(A, started())


def test_a_failed_reload_is_a_failure_and_the_unit_stays_stale(host: Host) -> None:
    host.systemd.add("good.service")
    wanted = (units.Unit("good.service", on_change="reload"), started(on_change="reload"))
    host.call(A, *wanted)
    host.systemd.units[WEB]["fails"] = ["reload"]
    with pytest.raises(units.UnitError, match=f"unit {WEB} failed to reload"):
        host.call(B, *wanted)
    host.systemd.units[WEB]["fails"] = []
    assert host.call(B, *wanted).units == {WEB: "reloaded"}


def test_an_error_without_a_unit_is_reported_for_the_first() -> None:
    class Grumpy(Systemd):
        def run(self, command: list[str]) -> tuple[int, str, str]:
            code, out, err = super().run(command)
            return (code, out, err) if command[1] == "show" else (1, "", "no bus")

    grumpy = Grumpy()
    grumpy.add(WEB, active="active")
    manager = units.Manager(
        [], systemd.Systemd(grumpy.run), unit_records.Records("t", "/nonexistent"), changes.Tree("t", [])
    )
    with pytest.raises(units.UnitError, match=WEB):
        manager._act("stop", [WEB])
    with pytest.raises(tree_files.TreeError, match="daemon-reload failed: no bus"):
        systemd.Systemd(grumpy.run).daemon_reload()
    with pytest.raises(tree_files.TreeError, match="systemctl enable web failed: no bus"):
        systemd.Systemd(grumpy.run).enable(["web"], enabled=True)
    with pytest.raises(tree_files.TreeError, match="systemctl disable web failed: no bus"):
        systemd.Systemd(grumpy.run).enable(["web"], enabled=False)


def test_what_systemctl_cannot_show_is_an_error() -> None:
    with pytest.raises(tree_files.TreeError, match=r"can't show a@\.service: neither a valid"):
        systemd.Systemd(lambda command: (1, "", "neither a valid unit name")).show(["a@.service"])


def test_a_command_that_fails_silently_still_complains() -> None:
    assert systemd.Systemd(lambda command: (4, "", "")).act("start", ["a"]) == "exit code 4"


# --- definitions ---


@pytest.fixture
def etc(host: Host, monkeypatch: pytest.MonkeyPatch) -> Host:
    monkeypatch.setattr(systemd, "UNIT_DIRECTORIES", (host.path("system") + "/",))
    monkeypatch.setattr(systemd, "QUADLET_DIRECTORIES", (host.path("quadlet") + "/",))
    return host


def test_a_changed_definition_reloads_systemd_once_and_before_the_unit(etc: Host) -> None:
    etc.systemd.add("new.service", load="not-found", coming=True)
    assert etc.call({"quadlet/new.container": "x"}, units.Unit("new.service")).units == {"new.service": "started"}
    assert etc.systemd.verbs == ["daemon-reload", "start new.service"]
    etc.systemd.calls.clear()
    assert etc.call({"quadlet/new.container": "x"}, units.Unit("new.service")).units == {}
    assert etc.systemd.verbs == []


def test_systemd_is_reloaded_when_an_earlier_call_could_not(etc: Host) -> None:
    etc.call({"system/x.service": "x"}, kill="reload")
    assert etc.systemd.verbs == []
    etc.call({"system/x.service": "x"})
    assert etc.systemd.verbs == ["daemon-reload"]
    etc.call({"system/x.service": "x"})
    assert etc.systemd.verbs == ["daemon-reload"]


def test_systemd_is_reloaded_when_it_says_so(host: Host) -> None:
    host.systemd.units[WEB]["need_reload"] = True
    host.call(A, started())
    assert host.systemd.verbs == ["daemon-reload", f"start {WEB}"]


def test_a_unit_that_loses_its_definition_is_stopped_first(etc: Host) -> None:
    etc.systemd.add("old.service")
    etc.systemd.add("bare.service", file_state="enabled")
    etc.call({"quadlet/old.container": "x", "system/bare.service": "y", "z": ""}, units.Unit("old.service"))
    etc.systemd.calls.clear()
    predicted = etc.call({"z": ""}, check=True)
    assert etc.systemd.verbs == []
    done = etc.call({"z": ""})
    assert predicted.units == done.units == {"old.service": "stopped", "bare.service": "disabled"}
    assert etc.systemd.verbs == ["stop old.service", "disable --quiet bare.service", "daemon-reload"]
    assert etc.records.get("old.service") == {}


def test_a_refused_quadlet_file_says_why(etc: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = units.Unit("new.service")
    monkeypatch.setattr(systemd, "QUADLET_GENERATOR", "/nonexistent")
    with pytest.raises(units.UnitError, match=r"does not exist on this host: Podman's generator is not installed"):
        etc.call({"quadlet/new.container": "x"}, wanted)
    monkeypatch.setattr(systemd, "QUADLET_GENERATOR", "/bin/sh")
    with pytest.raises(units.UnitError, match=r"does not exist on this host: new.container: unsupported key"):
        etc.call({"quadlet/new.container": "x"}, wanted)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/etc/systemd/system/a.service", "a.service"),
        ("/usr/lib/systemd/system/b@c.timer", "b@c.timer"),
        ("/etc/systemd/system/t@.service", None),
        ("/etc/systemd/system/a.service.d/x.conf", None),
        ("/etc/systemd/system/readme", None),
        ("/etc/containers/systemd/a.container", "a.service"),
        ("/etc/containers/systemd/a.network", "a-network.service"),
        ("/etc/containers/systemd/a.volume", "a-volume.service"),
        ("/etc/containers/systemd/t@.container", None),
        ("/etc/containers/systemd/sub/a.container", None),
        ("/etc/containers/systemd/a.conf", None),
        ("/etc/a.service", None),
    ],
)
def test_units_that_files_define(path: str, name: str | None) -> None:
    assert systemd.defined_by(path) == name
    assert systemd.is_definition(path) == (path != "/etc/a.service")


# --- drift ---


def test_drift_is_repaired_without_touching_a_unit(host: Host) -> None:
    host.call(A, started())
    host.systemd.calls.clear()
    host.edit("web/a.conf")
    outcome = host.call(A, started(), drift=True)
    assert outcome == units.Outcome()
    assert Path(host.path("web/a.conf")).read_text() == "one\n"
    assert host.systemd.verbs == []
    assert host.call(A, started()).units == {}


def test_loaded_drift_is_reported_until_the_unit_loads_what_is_wanted(host: Host) -> None:
    host.call(A, started())
    host.edit("web/a.conf")
    host.by_hand("restart")
    assert host.call(A, started(), drift=True, check=True).loaded_drift == [WEB]
    assert "loaded_drift" not in host.records.get(WEB)
    for _round in range(2):
        assert host.call(A, started(), drift=True).loaded_drift == [WEB]
    assert host.call(A, started()).units == {WEB: "restarted"}
    assert host.call(A, started(), drift=True).loaded_drift == []


def test_loaded_drift_ends_with_a_restart_by_hand(host: Host) -> None:
    host.call(A, started())
    host.edit("web/a.conf")
    host.by_hand("restart")
    host.call(A, started(), drift=True)
    moment()
    host.by_hand("restart")
    assert host.call(A, started(), drift=True).loaded_drift == []
    assert host.call(A, started()).units == {}


def test_a_reload_may_load_drift(host: Host) -> None:
    host.call(A, started(on_change="reload"))
    host.edit("web/a.conf")
    host.by_hand("reload-or-restart")
    assert host.call(A, started(on_change="reload"), drift=True).loaded_drift == [WEB]


def test_a_removed_file_is_drift_that_may_be_loaded(host: Host) -> None:
    host.call(A, started())
    moment()
    os.unlink(host.path("web/a.conf"))
    assert host.call(A, started(), drift=True).loaded_drift == []
    moment()
    os.unlink(host.path("web/a.conf"))
    host.by_hand("restart")
    assert host.call(A, started(), drift=True).loaded_drift == [WEB]


def test_a_changed_mode_is_no_loaded_drift(host: Host) -> None:
    host.call(A, started())
    os.chmod(host.path("web/a.conf"), 0o600)
    host.by_hand("restart")
    assert host.call(A, started(), drift=True).loaded_drift == []


def test_drift_that_was_loaded_and_repaired_is_found(host: Host) -> None:
    host.call(A, started())
    host.edit("web/a.conf")
    host.by_hand("restart")
    host.edit("web/a.conf", "one\n")
    assert host.call(A, started(), drift=True).loaded_drift == [WEB]


def test_drift_after_a_reboot_is_not_taken_for_loaded(host: Host) -> None:
    host.call(A, started())
    host.by_hand("restart")
    host.edit("web/a.conf")
    for _round in range(2):
        assert host.call(A, started(), drift=True).loaded_drift == []


def test_new_content_is_not_loaded_drift(host: Host) -> None:
    host.call(A, started())
    host.by_hand("restart")
    assert host.call(B, started(), drift=True).loaded_drift == []


def test_new_content_that_was_only_looked_at_is_loaded_later(host: Host) -> None:
    # The live slot is looked at with every release to come, and may get that release's files much later.
    host.call(A, started())
    host.call(B, started(), drift=True)
    assert host.call(B, started()).units == {WEB: "restarted"}


def test_units_that_do_not_care_have_no_loaded_drift(host: Host) -> None:
    host.call(A, started(on_change="none"))
    host.edit("web/a.conf")
    host.by_hand("restart")
    assert host.call(A, started(on_change="none"), drift=True).loaded_drift == []


def test_units_that_should_run_and_do_not_are_named(host: Host) -> None:
    host.systemd.add("once.service", type="oneshot")
    wanted = (started(), units.Unit("once.service"), units.Unit("spare.service", state="unchanged"))
    host.systemd.add("spare.service")
    host.call(A, *wanted)
    host.by_hand("stop")
    assert host.call(A, *wanted, drift=True).not_running == [WEB]


# --- check mode ---


def test_check_mode_predicts_and_does_nothing(host: Host) -> None:
    host.call(A, started())
    host.systemd.calls.clear()
    assert host.call(B, started(), check=True).units == {WEB: "restarted"}
    assert host.call(A, started(), check=True).units == {}
    assert host.systemd.verbs == []
    assert Path(host.path("web/a.conf")).read_text() == "one\n"


def test_check_mode_knows_that_repairing_an_unloaded_edit_restarts_nothing(host: Host) -> None:
    host.call(A, started())
    host.edit("web/a.conf")
    assert host.call(A, started(), check=True).units == {}
    host.by_hand("restart")
    assert host.call(A, started(), check=True).units == {WEB: "restarted"}


# --- parameters ---


def test_parameters_become_units() -> None:
    parsed = units.parse(
        [
            {"name": "a"},
            {"name": "b.timer", "state": "stopped", "enabled": "false", "on_change": "none", "files": ["/x/*"]},
            {"name": "c@1", "enabled": "true", "files": []},
        ]
    )
    assert parsed == [
        units.Unit("a.service"),
        units.Unit("b.timer", "stopped", "none", False, ("/x/*",)),
        units.Unit("c@1.service", enabled=True, files=()),
    ]


@pytest.mark.parametrize("name", ["--now", "a b", "", "a;b", "x/y"])
def test_invalid_names_are_refused(name: str) -> None:
    with pytest.raises(tree_files.TreeError, match="is not a valid unit name"):
        units.parse([{"name": name}])


def test_a_unit_named_twice_is_refused() -> None:
    with pytest.raises(tree_files.TreeError, match=r"a.service is listed twice"):
        units.parse([{"name": "a"}, {"name": "a.service"}])


def test_times_of_paths(tmp_path: Path) -> None:
    assert units.changed_at(str(tmp_path)) == os.lstat(tmp_path).st_ctime
    assert units.changed_at(str(tmp_path / "gone")) == os.lstat(tmp_path).st_ctime
    assert units.changed_at("/nonexistent/folder/file") == 0.0
