# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Compares the files of one `template_tree` call with the host, plans the changes and applies them."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import shlex
import tempfile
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from ..common import durable
from . import disk
from . import manifest as manifests
from .files import Directory, File, TreeError, matches
from .manifest import Manifest

Run = Callable[[list[str]], tuple[int, str, str]]
Label = Callable[[str, str], None]


@dataclasses.dataclass
class Plan:
    """The changes to make; empty lists mean that the host has converged."""

    hash: str
    outdated: bool
    write: list[File] = dataclasses.field(default_factory=list)
    adjust: list[File] = dataclasses.field(default_factory=list)
    remove: list[str] = dataclasses.field(default_factory=list)
    make: list[Directory] = dataclasses.field(default_factory=list)
    new_directories: list[str] = dataclasses.field(default_factory=list)
    prune: list[str] = dataclasses.field(default_factory=list)
    drifted: list[str] = dataclasses.field(default_factory=list)

    @property
    def changed(self) -> bool:
        """Tell whether the plan has any change."""
        return bool(self.write or self.adjust or self.remove or self.make or self.prune)

    @property
    def touched(self) -> list[str]:
        """Return all files that are written, adjusted or removed."""
        return sorted([file.dest for file in (*self.write, *self.adjust)] + self.remove)


class Tree:
    """The desired files and directories of one call, and those that an earlier call applied."""

    def __init__(
        self,
        name: str,
        files: Iterable[File],
        directories: Iterable[Directory] = (),
        *,
        manifest: str | None = None,
        metadata: dict[str, Any] | None = None,
        absent: bool = False,
        label: Label | None = None,
    ) -> None:
        """Read the manifest of the last call. `label(path, dest)` gives a temporary file the SELinux context of `dest`.

        With `absent`, all files of earlier calls are removed, and so is the manifest.
        """
        self.name = name
        self.absent = absent
        ordered = sorted(files, key=lambda file: file.dest)
        self.files = [file for file in ordered if file.force]
        self.beginnings = [file for file in ordered if not file.force]
        self.directories = sorted(directories, key=lambda directory: directory.path)
        self.path = manifest or os.path.join(manifests.STATE_DIRECTORY, "trees", f"{name}.json")
        self.metadata = metadata or {}
        self.label = label or (lambda path, dest: None)
        self.before = Manifest.load(self.path)
        self._check_wanted()

    @property
    def hash(self) -> str:
        """Return a hash of the desired state: destinations, contents and attributes."""
        wanted = {
            "files": {file.dest: file.record() for file in self.files},
            "directories": {directory.path: directory.record() for directory in self.directories},
        }
        return hashlib.sha256(json.dumps(wanted, sort_keys=True).encode()).hexdigest()

    def hash_of(self, patterns: Sequence[str]) -> str:
        """Return a hash of the contents of all files that match `patterns`."""
        contents = [(file.dest, file.sha256) for file in self.files if matches(file.dest, patterns)]
        return hashlib.sha256(json.dumps(contents).encode()).hexdigest()

    def is_secret(self, dest: str) -> bool:
        """Tell whether the content at this path is secret, in this call or an earlier one."""
        return dest in self.before.secret or any(
            file.secret for file in (*self.files, *self.beginnings) if file.dest == dest
        )

    def plan(self, drift: bool = False) -> Plan:
        """Compare the host with the desired state; write nothing. With `drift`, plan only repairs of earlier calls."""
        plan = Plan(self.hash, outdated=self.hash != self.before.hash)
        for file in self.files:
            promised = self.before.files.get(file.dest) == file.record()
            difference = disk.difference(file)
            if promised and difference:
                plan.drifted.append(file.dest)
            if difference and (promised or not drift):
                (plan.adjust if difference == "attributes" else plan.write).append(file)
        for directory in self.directories:
            promised = self.before.directories.get(directory.path) == directory.record()
            if disk.directory_differs(directory) and (promised or not drift):
                plan.make.append(directory)
        if not drift:
            plan.write += [file for file in self.beginnings if not os.path.lexists(file.dest)]
            plan.remove = self._removable()
            plan.prune = self._prunable(plan.remove)
        self._check_possible(plan)
        plan.new_directories = self._missing_directories(plan)
        return plan

    def apply(self, plan: Plan, drift: bool = False) -> None:
        """Apply the plan. All contents are on disk under temporary names before the first file is replaced.

        A kill at any point leaves each file either old or new. The next call knows the new ones: the manifest lists
        them as pending before they are written.
        """
        if plan.changed and not drift:
            gone = {dest: self.before.files[dest] for dest in plan.remove if dest in self.before.files}
            self.before.pending.update({file.dest: file.record() for file in plan.write}, **gone)
            self.before.secret = sorted({*self.before.secret, *(file.dest for file in plan.write if file.secret)})
            self.before.created = sorted({*self.before.created, *plan.new_directories})
            disk.make_directories(path for path in plan.new_directories if self.path.startswith(f"{path}/"))
            self.before.save(self.path)
        # A file in the place of a new directory must be removed first.
        blocking = [dest for dest in plan.remove if dest in plan.new_directories]
        for dest in blocking:
            os.unlink(dest)
        try:
            disk.make_directories(plan.new_directories)
            for directory in plan.make:
                directory.attributes.apply(directory.path, directory.path)
            self._write(plan.write)
        except BaseException:
            for path in reversed(plan.new_directories):
                with contextlib.suppress(OSError):
                    os.rmdir(path)
            raise
        for file in plan.adjust:
            file.attributes.apply(file.dest, file.dest)
        for dest in plan.remove:
            if dest not in blocking:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(dest)
        for folder in sorted({os.path.dirname(dest) for dest in plan.touched}):
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                durable.sync_folder(folder)

    def finish(self, plan: Plan) -> None:
        """Record that the plan is applied. This is the last step of a call."""
        for dest in self.before.pending:
            # A killed call may have left it.
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                os.unlink(disk.temporary_name(dest))
        if self.absent:
            durable.remove(self.path)
        for path in plan.prune:
            with contextlib.suppress(OSError):
                os.rmdir(path)
        if not self.absent:
            after = Manifest(
                hash=plan.hash,
                metadata=self.metadata,
                files={file.dest: file.record() for file in self.files},
                directories={directory.path: directory.record() for directory in self.directories},
                secret=[file.dest for file in self.files if file.secret],
                created=sorted({*self.before.created, *plan.new_directories}.difference(plan.prune)),
            )
            if after != Manifest.load(self.path):
                after.save(self.path)

    def validate(self, plan: Plan, run: Run) -> None:
        """Run the `validate` commands of all files to write, before any file is written.

        In a command, `%s` is the new file and `%d` a private directory that holds all files of the call at their
        paths, for programs that read several.
        """
        for file in (*plan.write, *plan.adjust):
            file.attributes.check(file.dest)
        for directory in plan.make:
            directory.attributes.check(directory.path)
        checks = [file for file in plan.write if file.validate]
        if not checks:
            return
        with tempfile.TemporaryDirectory(prefix="template_tree-") as root:
            for file in (*self.files, *self.beginnings):
                copy = root + file.dest
                os.makedirs(os.path.dirname(copy), exist_ok=True)
                with open(copy, "wb") as stream:
                    os.chmod(copy, 0o700 if file.attributes.mode & 0o100 else 0o600)
                    # A program also needs what is only begun here, such as a certificate: as the host has it now.
                    found = None if file.force else disk.read(file.dest)
                    stream.write(file.content if found is None else found)
            for file in checks:
                parts = shlex.split(file.validate or "")
                code, out, err = run([part.replace("%s", root + file.dest).replace("%d", root) for part in parts])
                if code:
                    # Programs often print the line that they refuse.
                    said = "(its output is hidden: the file is secret)" if file.secret else (err or out).strip()
                    said = said.replace(root, "")
                    how = f"was refused by `{file.validate}` (exit code {code}), nothing was written"
                    raise TreeError(f"{file.dest} {how}: {said}")

    # --- helpers

    def _check_wanted(self) -> None:
        seen: set[str] = set()
        for file in (*self.files, *self.beginnings):
            if file.dest in seen:
                raise TreeError(f"{file.dest} is listed twice in {self.name}")
            seen.add(file.dest)
        for path in [*seen, *(directory.path for directory in self.directories)]:
            for parent in disk.parents(path):
                if parent in seen:
                    raise TreeError(f"{parent} is listed as a file, but {path} needs it as a directory")
        for directory in self.directories:
            if directory.path in seen:
                raise TreeError(f"{directory.path} is listed as a file and as a directory")

    def _check_possible(self, plan: Plan) -> None:
        for file in plan.write:
            if os.path.isdir(file.dest) and not os.path.islink(file.dest):
                raise TreeError(f"{file.dest} is a directory, and a file must go there; move the directory away")
        for path in [file.dest for file in plan.write] + [f"{directory.path}/" for directory in plan.make]:
            for parent in disk.parents(path):
                if os.path.lexists(parent) and not os.path.isdir(parent) and parent not in plan.remove:
                    raise TreeError(
                        f"{parent} is not a directory, so {path.rstrip('/')} can't be created in it; move it away"
                    )

    def _removable(self) -> list[str]:
        wanted = {file.dest for file in (*self.files, *self.beginnings)}
        ours = dict.fromkeys(self.before.files)
        # An interrupted call owns only the files that it did write.
        for dest, record in self.before.pending.items():
            if dest not in ours and disk.sha256(dest) == record["sha256"]:
                ours[dest] = None
        gone = [dest for dest in sorted(ours) if dest not in wanted and disk.is_file(dest)]
        claimed = self._claimed_elsewhere() if gone else set()
        return [dest for dest in gone if dest not in claimed]

    def _claimed_elsewhere(self) -> set[str]:
        """Return the paths that other calls own: a file may move from one call to another."""
        claimed: set[str] = set()
        folder = os.path.join(manifests.STATE_DIRECTORY, "trees")
        for entry in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
            path = os.path.join(folder, entry)
            if path != self.path and entry.endswith(".json") and not entry.startswith("."):
                claimed.update(Manifest.load(path).files)
        return claimed

    def _prunable(self, removed: Sequence[str]) -> list[str]:
        """Return directories that calls of this name made and that are no longer needed, deepest first."""
        needed = {directory.path for directory in self.directories}
        for path in [*(file.dest for file in (*self.files, *self.beginnings)), *needed]:
            needed.update(disk.parents(path))
        gone = {*removed, self.path} if self.absent else {*removed}
        prunable = []
        for path in sorted(self.before.created, reverse=True):
            if path in needed or not os.path.isdir(path):
                continue
            if all(os.path.join(path, entry) in gone for entry in os.listdir(path)):
                prunable.append(path)
                gone.add(path)
        return prunable

    def _missing_directories(self, plan: Plan) -> list[str]:
        """Return the directories to make, parents first."""
        paths = {directory.path for directory in plan.make}
        needing = [*(file.dest for file in plan.write), *paths]
        if plan.changed and not self.path.startswith(f"{manifests.STATE_DIRECTORY}/"):
            needing.append(self.path)
        for path in needing:
            paths.update(disk.parents(path))
        return sorted(path for path in paths if not os.path.isdir(path))

    def _write(self, files: Sequence[File]) -> None:
        staged: list[tuple[str, str]] = []
        try:
            for file in files:
                temporary = disk.temporary_name(file.dest)
                staged.append((temporary, file.dest))
                try:
                    self._stage(file, temporary)
                except OSError as error:
                    raise TreeError(f"{file.dest} can't be written: {error.strerror}; no file was changed") from error
            for temporary, _dest in staged:
                disk.sync(temporary)
            for temporary, dest in staged:
                os.rename(temporary, dest)
        finally:
            for temporary, _dest in staged:
                with contextlib.suppress(OSError):
                    os.unlink(temporary)

    def _stage(self, file: File, temporary: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with open(descriptor, "wb") as stream:
            stream.write(file.content)
            stream.flush()
            file.attributes.apply(descriptor, file.dest)
        self.label(temporary, file.dest)
