# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The files of `template_tree`: what is planned, written, removed, repaired, and what a kill leaves behind."""

from __future__ import annotations

import difflib
import json
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.greenroom.common import durable
from ansible.module_utils.greenroom.tree import changes
from ansible.module_utils.greenroom.tree import diff as tree_diff
from ansible.module_utils.greenroom.tree import files as tree_files
from ansible.module_utils.greenroom.tree import manifest as tree_manifest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st


class Site:
    """A folder to apply trees to, with a manifest of its own."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.manifest = root / "state" / "manifest.json"

    def path(self, name: str) -> str:
        return str(self.root / "host" / name)

    def file(self, name: str, content: str | bytes = "content\n", mode: int = 0o644, **more: Any) -> tree_files.File:
        raw = content.encode() if isinstance(content, str) else content
        return tree_files.File(self.path(name), raw, tree_files.Attributes(mode), **more)

    def wanted(
        self, *files: tree_files.File, directories: tuple[tree_files.Directory, ...] = (), **more: Any
    ) -> changes.Tree:
        return changes.Tree("test", files, directories, manifest=str(self.manifest), **more)

    def apply(self, *files: tree_files.File, drift: bool = False, **more: Any) -> changes.Plan:
        wanted = self.wanted(*files, **more)
        plan = wanted.plan(drift=drift)
        wanted.apply(plan, drift=drift)
        if not drift:
            wanted.finish(plan)
        return plan

    def read(self, name: str) -> str:
        return Path(self.path(name)).read_text()

    def everything(self) -> dict[str, bytes | None]:
        found = sorted((self.root / "host").rglob("*")) if (self.root / "host").exists() else []
        return {str(path.relative_to(self.root)): path.read_bytes() if path.is_file() else None for path in found}


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    monkeypatch.setattr(tree_manifest, "STATE_DIRECTORY", str(tmp_path / "lib"))
    return Site(tmp_path)


def unified(diff: list[dict[str, str]]) -> str:
    parts = []
    for entry in diff:
        before, after = (entry.get(side, "").splitlines(keepends=True) for side in ("before", "after"))
        parts.append(entry.get("prepared") or "".join(difflib.unified_diff(before, after)))
    return "".join(parts)


def mode_of(path: str) -> int:
    return stat.S_IMODE(os.stat(path).st_mode)


# --- applying ---


def test_files_appear_with_their_modes_below_new_directories_of_0755(site: Site) -> None:
    old = os.umask(0o077)
    try:
        plan = site.apply(site.file("a/b/c.conf", mode=0o640), site.file("top"))
    finally:
        os.umask(old)
    assert plan.changed
    assert site.read("a/b/c.conf") == "content\n"
    assert mode_of(site.path("a/b/c.conf")) == 0o640
    assert [mode_of(site.path(name)) for name in ("a", "a/b")] == [0o755, 0o755]


def test_a_second_call_changes_nothing_and_leaves_the_manifest_alone(site: Site) -> None:
    files = [site.file("a/b"), site.file("c")]
    site.apply(*files)
    before = os.stat(site.manifest).st_ino, os.stat(site.path("c")).st_ino
    plan = site.apply(*files)
    assert not plan.changed
    assert not plan.outdated
    assert (os.stat(site.manifest).st_ino, os.stat(site.path("c")).st_ino) == before


def test_a_mode_is_repaired_in_place(site: Site) -> None:
    site.apply(site.file("a"))
    inode = os.stat(site.path("a")).st_ino
    os.chmod(site.path("a"), 0o600)
    plan = site.apply(site.file("a"))
    assert [file.dest for file in plan.adjust] == [site.path("a")]
    assert plan.drifted == [site.path("a")]
    assert mode_of(site.path("a")) == 0o644
    assert os.stat(site.path("a")).st_ino == inode


def test_only_files_of_an_earlier_call_are_removed(site: Site) -> None:
    site.apply(site.file("conf.d/mine"), site.file("conf.d/gone"), site.file("other/gone"))
    Path(site.path("conf.d/foreign")).write_text("foreign")
    plan = site.apply(site.file("conf.d/mine"))
    assert plan.remove == [site.path("conf.d/gone"), site.path("other/gone")]
    assert plan.prune == [site.path("other")]
    assert sorted(os.listdir(site.path("conf.d"))) == ["foreign", "mine"]
    assert not os.path.exists(site.path("other"))


def test_a_directory_with_foreign_files_stays(site: Site) -> None:
    site.apply(site.file("new/mine"))
    Path(site.path("new/foreign")).write_text("foreign")
    site.apply()
    assert os.listdir(site.path("new")) == ["foreign"]


def test_a_directory_in_the_place_of_a_file_that_is_no_longer_wanted_stays(site: Site) -> None:
    site.apply(site.file("a"))
    os.unlink(site.path("a"))
    os.mkdir(site.path("a"))
    assert site.apply().remove == []
    assert os.path.isdir(site.path("a"))


def test_absent_removes_files_directories_and_manifest(site: Site) -> None:
    manifest = site.root / "host" / "slot" / "bundle.json"
    site.manifest = manifest
    site.apply(site.file("slot/a/b"))
    assert manifest.exists()
    plan = site.apply(absent=True)
    assert plan.changed
    assert not (site.root / "host").exists()
    assert not site.apply(absent=True).changed


def test_a_call_without_files_still_has_a_manifest(site: Site) -> None:
    site.apply(metadata={"release": "one"})
    assert json.loads(site.manifest.read_text())["metadata"] == {"release": "one"}
    assert not site.apply(metadata={"release": "two"}).changed
    assert json.loads(site.manifest.read_text())["metadata"] == {"release": "two"}


def test_a_file_that_moved_to_another_call_is_not_removed(site: Site) -> None:
    first = changes.Tree("first", [site.file("shared")])
    plan = first.plan()
    first.apply(plan)
    first.finish(plan)
    second = changes.Tree("second", [site.file("shared")])
    second.finish(second.plan())
    (site.root / "lib" / "trees" / ".hidden.json").write_text("not read")
    assert changes.Tree("first", []).plan().remove == []
    os.unlink(site.root / "lib" / "trees" / "second.json")
    assert changes.Tree("first", []).plan().remove == [site.path("shared")]


def test_a_foreign_file_in_the_way_is_replaced_and_then_owned(site: Site) -> None:
    os.makedirs(site.path(""))
    Path(site.path("a")).write_text("foreign")
    assert site.apply(site.file("a")).changed
    assert site.apply().remove == [site.path("a")]


def test_a_symlink_is_replaced_not_followed(site: Site) -> None:
    os.makedirs(site.path(""))
    Path(site.path("target")).write_text("content\n")
    os.symlink(site.path("target"), site.path("link"))
    assert site.apply(site.file("link", "new\n")).changed
    assert site.read("target") == "content\n"
    assert not os.path.islink(site.path("link"))


def test_a_fifo_is_replaced(site: Site) -> None:
    os.makedirs(site.path(""))
    os.mkfifo(site.path("a"))
    site.apply(site.file("a"))
    assert site.read("a") == "content\n"


def test_a_file_gives_way_to_a_directory(site: Site) -> None:
    site.apply(site.file("a"))
    site.apply(site.file("a/b"))
    assert site.read("a/b") == "content\n"


def test_directories_have_exact_modes(site: Site) -> None:
    private = tree_files.Directory(site.path("x/private"), tree_files.Attributes(0o700))
    plan = site.apply(site.file("x/private/a"), directories=(private,))
    assert plan.make == [private]
    assert [mode_of(site.path(name)) for name in ("x", "x/private")] == [0o755, 0o700]
    os.chmod(site.path("x/private"), 0o755)
    assert site.apply(site.file("x/private/a"), directories=(private,)).changed
    assert mode_of(site.path("x/private")) == 0o700
    assert not site.apply(site.file("x/private/a"), directories=(private,)).changed


def test_ownership_is_part_of_what_is_wanted(site: Site) -> None:
    name, group = str(os.geteuid()), str(os.getegid())
    attributes = tree_files.Attributes(0o644, name, group)
    wanted = tree_files.File(site.path("a"), b"", attributes)
    site.apply(wanted)
    assert json.loads(site.manifest.read_text())["files"][site.path("a")]["owner"] == name
    assert not site.apply(wanted).changed
    assert tree_files.Attributes(0o644).record() == {"mode": "0644"}


@pytest.mark.parametrize(("owner", "group"), [("nobody-here", None), (None, "nothing-here")])
def test_an_unknown_owner_is_a_change_when_planned_and_an_error_before_writing(
    site: Site, owner: str | None, group: str | None
) -> None:
    attributes = tree_files.Attributes(0o644, owner, group)
    wanted = site.wanted(tree_files.File(site.path("a"), b"", attributes))
    plan = wanted.plan()
    assert plan.changed
    with pytest.raises(tree_files.TreeError, match="this host has no"):
        wanted.validate(plan, lambda command: (0, "", ""))
    assert tree_diff.differences(wanted, plan)
    wanted = site.wanted(directories=(tree_files.Directory(site.path("d"), attributes),))
    with pytest.raises(tree_files.TreeError, match="this host has no"):
        wanted.validate(wanted.plan(), lambda command: (0, "", ""))
    assert "?" in unified(tree_diff.differences(wanted, wanted.plan())) or owner or group


def test_named_owners_are_looked_up() -> None:
    assert tree_files.Attributes(0o644, "root", "root").ids() == (0, 0)
    assert tree_files.Attributes(0o644, "12", "34").ids() == (12, 34)


def test_the_security_context_is_set_before_the_file_shows(site: Site) -> None:
    seen = []

    def label(path: str, dest: str) -> None:
        seen.append((os.path.exists(path), os.path.exists(dest), dest))

    site.apply(site.file("a"), label=label)
    assert seen == [(True, False, site.path("a"))]


# --- what can't be wanted ---


def test_a_destination_wanted_twice_is_refused(site: Site) -> None:
    with pytest.raises(tree_files.TreeError, match="listed twice"):
        site.wanted(site.file("a"), site.file("a"))


def test_a_file_that_is_also_a_directory_is_refused(site: Site) -> None:
    a = site.path("a")
    with pytest.raises(tree_files.TreeError, match=f"{a} is listed as a file, but {a}/b needs it as a directory"):
        site.wanted(site.file("a"), site.file("a/b"))
    with pytest.raises(tree_files.TreeError, match="as a file and as a directory"):
        site.wanted(site.file("a"), directories=(tree_files.Directory(site.path("a"), tree_files.Attributes(0o755)),))


def test_a_directory_in_the_place_of_a_file_is_refused_before_anything_is_written(site: Site) -> None:
    os.makedirs(site.path("b"))
    with pytest.raises(tree_files.TreeError, match="is a directory, and a file must go there"):
        site.apply(site.file("a"), site.file("b"))
    assert not os.path.exists(site.path("a"))


def test_a_foreign_file_in_the_place_of_a_directory_is_refused(site: Site) -> None:
    os.makedirs(site.path(""))
    Path(site.path("a")).write_text("foreign")
    with pytest.raises(tree_files.TreeError, match="is not a directory"):
        site.apply(site.file("a/b"))
    with pytest.raises(tree_files.TreeError, match="is not a directory"):
        site.apply(directories=(tree_files.Directory(site.path("a"), tree_files.Attributes(0o755)),))


@pytest.mark.parametrize("mode", [420, "u=rw", "9", "0888", None, "77777"])
def test_modes_must_be_quoted_octal(mode: object) -> None:
    with pytest.raises(tree_files.TreeError, match="quoted octal"):
        tree_files.parse_mode(mode, "/a")


def test_octal_modes_are_read() -> None:
    assert (tree_files.parse_mode("0640", "/a"), tree_files.parse_mode("644", "/a")) == (0o640, 0o644)


@pytest.mark.parametrize("path", ["relative", "", "/a/../b", ".."])
def test_paths_must_be_absolute(path: str) -> None:
    with pytest.raises(tree_files.TreeError, match="absolute"):
        tree_files.clean_path(path)


def test_paths_are_cleaned() -> None:
    assert tree_files.clean_path("//a///b/./c/") == "/a/b/c"


def test_a_broken_manifest_is_an_error_that_says_what_to_do(site: Site) -> None:
    site.manifest.parent.mkdir()
    for content in ("{", "[]"):
        site.manifest.write_text(content)
        with pytest.raises(tree_files.TreeError, match="move it away"):
            site.wanted()


# --- validation ---


def test_every_file_is_validated_before_any_is_written(site: Site) -> None:
    asked: list[list[str]] = []

    def run(command: list[str]) -> tuple[int, str, str]:
        asked.append(command)
        assert Path(command[1]).read_text() == "content\n"
        return (0, "", "") if command[1].endswith("a") else (1, "", f"bad line in {command[1]}")

    wanted = site.wanted(site.file("a", validate="check %s"), site.file("b", validate="check %s"), site.file("c"))
    refused = r"b was refused by `check %s` \(exit code 1\), nothing was written: bad"
    with pytest.raises(tree_files.TreeError, match=refused) as error:
        wanted.validate(wanted.plan(), run)
    assert len(asked) == 2
    assert site.everything() == {}
    assert f"bad line in {site.path('b')}" in str(error.value)
    assert not os.path.exists(asked[0][1])


def test_validation_may_read_all_files_of_the_call(site: Site) -> None:
    asked: list[list[str]] = []

    def run(command: list[str]) -> tuple[int, str, str]:
        asked.append(command)
        root = command[2]
        assert Path(root + site.path("part")).read_text() == "part"
        assert os.stat(root).st_mode & 0o077 == 0
        assert os.access(root + site.path("script"), os.X_OK)
        # Files that are only begun, as they are on the host.
        assert Path(root + site.path("begun")).read_text() == "changed since"
        assert Path(root + site.path("coming")).read_text() == "first"
        return 0, "", ""

    site.apply(site.file("part", "part"))
    Path(site.path("begun")).write_text("changed since")
    wanted = site.wanted(
        *(site.file("a", validate="check %s %d 'x y'"), site.file("part", "part"), site.file("script", mode=0o755)),
        *(site.file(name, "first", force=False) for name in ("begun", "coming")),
    )
    wanted.validate(wanted.plan(), run)
    assert asked[0][1] == asked[0][2] + site.path("a")
    assert asked[0][3] == "x y"


def test_unchanged_files_are_not_validated_again(site: Site) -> None:
    site.apply(site.file("a", validate="check %s"))
    wanted = site.wanted(site.file("a", validate="check %s"))
    wanted.validate(wanted.plan(), lambda command: pytest.fail("was called"))


def test_the_output_of_a_secret_file_is_hidden(site: Site) -> None:
    wanted = site.wanted(site.file("a", "hunter2", validate="check %s", secret=True))
    with pytest.raises(tree_files.TreeError, match="hidden") as error:
        wanted.validate(wanted.plan(), lambda command: (1, "hunter2", "hunter2"))
    assert "hunter2" not in str(error.value)


# --- drift ---


def test_drift_repairs_only_unchanged_wishes(site: Site) -> None:
    private = tree_files.Directory(site.path("d"), tree_files.Attributes(0o700))
    site.apply(site.file("same"), site.file("old"), site.file("gone"), directories=(private,))
    for name in ("same", "old"):
        Path(site.path(name)).write_text("edited")
    os.chmod(site.path("d"), 0o755)
    before = site.manifest.read_bytes()
    wanted = (site.file("same"), site.file("old", "new\n"), site.file("additional"))
    plan = site.apply(*wanted, drift=True, directories=(private,))
    assert plan.outdated
    assert plan.drifted == [site.path("same")]
    assert site.read("same") == "content\n"
    assert site.read("old") == "edited"
    assert os.path.exists(site.path("gone"))
    assert not os.path.exists(site.path("additional"))
    assert mode_of(site.path("d")) == 0o700
    assert site.manifest.read_bytes() == before


def test_drift_restores_a_missing_file(site: Site) -> None:
    site.apply(site.file("a/b"))
    os.unlink(site.path("a/b"))
    os.rmdir(site.path("a"))
    plan = site.apply(site.file("a/b"), drift=True)
    assert plan.drifted == [site.path("a/b")]
    assert not plan.outdated
    assert site.read("a/b") == "content\n"


def test_without_a_manifest_all_is_outdated_and_nothing_is_touched(site: Site) -> None:
    plan = site.apply(site.file("a"), drift=True)
    assert plan.outdated
    assert site.everything() == {}
    assert not site.manifest.exists()


# --- a kill at any point ---


class Killed(BaseException):
    """Stands for SIGKILL; the handlers of the code under test are not to be trusted with it."""


def kill_at(monkeypatch: pytest.MonkeyPatch, module: object, name: str, count: int) -> None:
    real: Callable[..., object] = getattr(module, name)
    calls = []

    def function(*arguments: object, **more: object) -> object:
        calls.append(arguments)
        if len(calls) >= count:
            raise Killed
        return real(*arguments, **more)

    monkeypatch.setattr(module, name, function)


@pytest.mark.parametrize("count", range(1, 8))
def test_after_a_kill_the_next_call_converges_and_still_knows_its_files(
    site: Site, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    old = [site.file("keep"), site.file("gone/x"), site.file("edit", "old\n")]
    new = [site.file("keep"), site.file("edit", "new\n"), site.file("n/1"), site.file("n/2")]
    site.apply(*old)
    with monkeypatch.context() as patch:
        kill_at(patch, os, ["rename", "replace", "unlink", "mkdir"][count % 4], count // 2 + 1)
        try:
            site.apply(*new)
        except Killed:
            for name in ("keep", "edit", "n/1", "n/2"):
                if os.path.exists(site.path(name)):
                    assert site.read(name) in ("content\n", "old\n", "new\n")
    # The wish changed once more before the next call: what the killed one wrote must go.
    site.apply(*old)
    assert set(site.everything()) == {"host/keep", "host/gone", "host/gone/x", "host/edit"}
    assert not site.apply(*old).changed
    assert "pending" not in json.loads(site.manifest.read_text())


def test_an_initial_version_is_written_once(site: Site) -> None:
    beginning = site.file("live.map", "", force=False)
    plan = site.apply(site.file("a"), beginning)
    assert site.path("live.map") in plan.touched
    assert site.read("live.map") == ""
    Path(site.path("live.map")).write_text("blue\n")
    again = site.apply(site.file("a"), beginning)
    assert not again.changed
    assert not again.outdated
    assert (again.hash, site.read("live.map")) == (plan.hash, "blue\n")
    assert not site.apply(site.file("a"), beginning, drift=True).changed
    site.apply(site.file("b"))
    assert site.read("live.map") == "blue\n"


def test_each_missing_initial_version_is_written(site: Site) -> None:
    beginnings = [site.file(name, "", force=False) for name in ("live.map", "routes.map")]
    site.apply(*beginnings)
    os.unlink(site.path("routes.map"))
    assert site.apply(*beginnings).touched == [site.path("routes.map")]


def test_a_managed_file_that_becomes_an_initial_version_stays(site: Site) -> None:
    site.apply(site.file("live.map", "blue\n"))
    assert not site.apply(site.file("live.map", "", force=False)).changed
    assert site.read("live.map") == "blue\n"


def test_a_foreign_file_at_a_pending_destination_stays(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    os.makedirs(site.path(""))
    Path(site.path("new")).write_text("foreign")
    with monkeypatch.context() as patch:
        kill_at(patch, os, "rename", 1)
        with pytest.raises(Killed):
            site.apply(site.file("new"))
    site.apply()
    assert site.read("new") == "foreign"


def test_a_temporary_file_left_by_a_kill_is_removed(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        kill_at(patch, changes.Tree, "_write", 1)
        with pytest.raises(Killed):
            site.apply(site.file("a"))
    os.makedirs(site.path(""), exist_ok=True)
    litter = Path(site.path(".a.greenroom"))
    litter.write_text("half a secret")
    site.apply()
    assert not litter.exists()


def test_a_full_disk_changes_nothing(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.apply(site.file("a", "old\n"))
    with monkeypatch.context() as patch:
        patch.setattr(os, "chown", lambda *arguments: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        with pytest.raises(
            tree_files.TreeError, match=r"d/b can't be written: No space left on device; no file was changed"
        ):
            site.apply(site.file("a", "old\n"), site.file("d/b"))
    assert site.everything() == {"host/a": b"old\n"}
    with monkeypatch.context() as patch:
        patch.setattr(durable, "write", lambda *arguments, **more: (_ for _ in ()).throw(OSError(28, "No space")))
        with pytest.raises(tree_files.TreeError, match=r"manifest.json can't be written"):
            site.apply(site.file("a", "new\n"))


# --- differences ---


def test_differences_show_content_and_attributes(site: Site) -> None:
    site.apply(site.file("a", "old\n"), site.file("b"), site.file("gone/x"))
    os.chmod(site.path("a"), 0o600)
    os.chmod(site.path("b"), 0o600)
    wanted = site.wanted(
        site.file("a", "new\n"),
        site.file("b"),
        site.file("c"),
        directories=(tree_files.Directory(site.path("d"), tree_files.Attributes(0o750)),),
    )
    shown = unified(tree_diff.differences(wanted, wanted.plan()))
    for part in ("-old\n", "+new\n", "-mode: 0600\n", "+mode: 0644\n", "+mode: 0750\n", "-content\n", "+content\n"):
        assert part in shown
    assert f"- {site.path('gone')}/\n" in shown


def test_differences_of_secret_files_say_only_that_they_differ(site: Site) -> None:
    site.apply(
        site.file("a", "hunter2", secret=True), site.file("b", "hunter3", secret=True), site.file("c", "hunter4")
    )
    wanted = site.wanted(
        site.file("a", "open now"), site.file("c", "hunter5", secret=True), site.file("d", "hunter6", secret=True)
    )
    shown = unified(tree_diff.differences(wanted, wanted.plan()))
    for name, word in (("a", "changed"), ("b", "removed"), ("c", "changed"), ("d", "created")):
        assert f"{site.path(name)}: {word} (content is secret)" in shown
    assert "hunter" not in shown
    assert "open now" not in shown


def test_differences_of_binary_and_large_files_are_not_shown(site: Site) -> None:
    wanted = site.wanted(site.file("a", b"\xff\x00"), site.file("b", "x" * (tree_diff.DIFF_LIMIT + 1)))
    shown = unified(tree_diff.differences(wanted, wanted.plan()))
    assert "differs (binary)" in shown
    assert "differs (too large to show)" in shown


def test_owners_without_a_name_are_shown_as_numbers(site: Site) -> None:
    site.apply(site.file("a"))
    plan = changes.Plan(
        "", False, adjust=[tree_files.File(site.path("a"), b"", tree_files.Attributes(0o600, "54321", "54322"))]
    )
    shown = unified(tree_diff.differences(site.wanted(), plan))
    assert "+owner: 54321\n+group: 54322\n" in shown
    assert tree_files.user_name(54321) == "54321"
    assert tree_files.group_name(54321) == "54321"


# --- what travels ---


def test_files_survive_packing() -> None:
    files = [
        tree_files.File("/a", "äöü\r\n".encode(), tree_files.Attributes(0o640, "root", "adm"), "check %s", False),
        tree_files.File("/b", b"\xff\x00\x01", tree_files.Attributes(0o600), None, True),
    ]
    assert tree_files.unpack(tree_files.pack(files)) == files
    assert tree_files.pack(files) == tree_files.pack(files)
    assert tree_files.unpack("") == []


def test_contents_are_not_in_what_python_prints() -> None:
    assert "hunter2" not in repr(tree_files.File("/a", b"hunter2", tree_files.Attributes(0o600), None, True))


def test_the_identity_depends_on_content_and_attributes_but_not_on_secrecy(site: Site) -> None:
    identity = site.wanted(site.file("a")).hash
    assert site.wanted(site.file("a", secret=True)).hash == identity
    others = [site.file("b"), site.file("a", "x"), site.file("a", mode=0o600)]
    assert identity not in {site.wanted(other).hash for other in others}


def test_a_unit_depends_on_the_contents_of_its_files(site: Site) -> None:
    wanted = site.wanted(site.file("a.conf"), site.file("b/c.conf"))
    assert wanted.hash_of(["*"]) != wanted.hash_of([site.path("a.conf")])
    assert wanted.hash_of(["*"]) == site.wanted(site.file("a.conf", mode=0o600), site.file("b/c.conf")).hash_of(
        ["*.conf"]
    )


# --- properties ---

NAMES = st.sampled_from(["a", "b", "d1/a", "d1/b", "d1/d2/a", "d3/x.conf"])
WANTED = st.dictionaries(NAMES, st.tuples(st.sampled_from(["", "one\n", "two\n"]), st.sampled_from([0o600, 0o644])))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    calls=st.lists(WANTED, min_size=1, max_size=4),
    foreign=st.dictionaries(NAMES.map("f-{}".format), st.text(max_size=3)),
)
def test_any_sequence_of_calls_converges_and_keeps_foreign_files(
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    calls: list[dict[str, tuple[str, int]]],
    foreign: dict[str, str],
) -> None:
    site = Site(tmp_path_factory.mktemp("site"))
    monkeypatch.setattr(tree_manifest, "STATE_DIRECTORY", str(site.root / "lib"))
    for name, text in foreign.items():
        place = Path(site.path(name))
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text, newline="")
    for wish in calls:
        files = [site.file(name, content, mode) for name, (content, mode) in wish.items()]
        site.apply(*files)
        again = site.apply(*files)
        assert not again.changed
        assert not again.outdated
        found = {name: content for name, content in site.everything().items() if content is not None}
        expected = {f"host/{name}": content.encode() for name, (content, _mode) in wish.items()}
        expected.update({f"host/{name}": text.encode() for name, text in foreign.items()})
        assert found == expected
        assert {name: mode_of(site.path(name)) for name in wish} == {name: mode for name, (_text, mode) in wish.items()}
    site.apply(absent=True)
    assert {name for name, content in site.everything().items() if content is not None} == {
        f"host/{name}" for name in foreign
    }
