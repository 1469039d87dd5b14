# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Runs `ansible-playbook` without its start: one process has imported Ansible, and each run is a fork of it.

Importing Ansible and reading its own descriptions takes more CPU time than most plays of the tests. A fork reads its
configuration again. If a setting differs that was read during the imports, the fork starts the program itself instead.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import hashlib
import importlib
import os
import pickle
import shlex
import signal
import subprocess
import sys
import tempfile
import threading
import types
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any, ClassVar, NoReturn

from tests import warm_client, warm_modules, warm_server

ROOT = Path(__file__).resolve().parents[1]
PROGRAM = str(Path(sys.executable).with_name("ansible-playbook"))
# Seconds, only against a hang: a busy machine takes its time.
LONGEST = 800
# A test's own configuration needs these values of the project's, because Ansible reads them when it is imported.
SETTINGS = {"inject_facts_as_vars": "false", "nocows": "true", "timeout": "10"}
# As hosts have it. This, too, is read when Ansible is imported.
PIPELINED = {"ANSIBLE_PIPELINING": "true"}
# What most runs import, besides what ansible.cli.playbook does.
LATER = (
    *("ansible.executor.process.worker", "ansible.plugins.callback", "ansible.plugins.connection.local"),
    *("ansible.plugins.inventory", "ansible.plugins.action", "ansible.plugins.lookup", "ansible.plugins.vars"),
    *(f"ansible.plugins.filter.{name}" for name in ("core", "encryption", "mathstuff", "urls", "urlsplit")),
    *(f"ansible.plugins.test.{name}" for name in ("core", "files", "mathstuff", "uri")),
    "ansible.plugins.strategy.linear",
    *("cryptography.x509", "jsonschema", "jsonschema.validators"),
)
# Ansible's own plugins that most runs load. Reading what they say of their options takes longer than the import.
PLUGINS = {
    "become_loader": ("sudo",),
    "callback_loader": ("default",),
    "connection_loader": ("local", "ssh"),
    "inventory_loader": ("auto", "host_list", "ini", "script", "toml", "yaml"),
    "shell_loader": ("sh",),
}


class Server(warm_server.Server):
    """The process that has imported Ansible, as the tests see it."""

    def __init__(self, *words: str, **variables: str) -> None:
        self.folder = tempfile.TemporaryDirectory()
        usual = {"NO_COLOR": "1", "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), **variables}
        super().__init__("tests.warm_start", Path(self.folder.name), *words, **usual)

    def program(self) -> Path:
        """Return a folder for PATH, with an `ansible-playbook` for programs that start it."""
        folder = Path(self.folder.name) / "bin"
        folder.mkdir(exist_ok=True)
        file = folder / "ansible-playbook"
        command = [sys.executable, "-IS", str(Path(__file__).with_name("warm_client.py")), self.place]
        file.write_text(f'#!/bin/sh\nexec {shlex.join(command)} "$@"\n')
        file.chmod(0o755)
        return folder

    def close(self) -> None:
        """End the process."""
        super().close()
        self.folder.cleanup()


@functools.cache
def server(*words: str) -> Server:
    """Start the process once for all tests of this one.

    `modules`: its runs start modules as forks, too.
    """
    started = Server(*words, **(PIPELINED if "modules" in words else {}))
    atexit.register(started.close)
    return started


class Done(subprocess.CompletedProcess[str]):
    """A run that has ended. `seconds` is the CPU time of its processes on this machine."""

    def __init__(self, args: Sequence[str], returncode: int, stdout: str, stderr: str, seconds: float) -> None:
        super().__init__(args, returncode, stdout, stderr)
        self.seconds = seconds


def run(
    words: Sequence[str],
    cwd: Path,
    env: Mapping[str, str] | None = None,
    *,
    merged: bool = False,
    longest: float | None = None,
    modules: bool = True,
) -> Done:
    """Run `ansible-playbook` with these arguments to its end, well or not. `merged`: errors are in the output, too.

    Its output is a file, so it has no colors. It is killed after `longest` seconds, and if the test is interrupted.
    `modules`: modules on this machine are forks, too, and pipelined, as on hosts.
    """
    variables = {"NO_COLOR": "1", **(PIPELINED if modules else {}), **(os.environ if env is None else env)}
    wanted = ("modules",) if modules else ()
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        files = [out.fileno(), (out if merged else err).fileno()]
        with warm_client.ask(server(*wanted).place, words, str(cwd), variables, files) as answers:
            number = int(answers.readline())
            timer = threading.Timer(longest or LONGEST, os.kill, (number, signal.SIGKILL))
            timer.start()
            try:
                code, seconds = answers.readline().split()
            except BaseException:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(number, signal.SIGKILL)
                raise
            finally:
                timer.cancel()
        return Done([PROGRAM, *words], int(code), _text(out), _text(err), float(seconds))


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode()


class Watched(types.ModuleType):
    """Ansible's settings during the imports: it notes which of them are read."""

    names: ClassVar[set[str]] = set()

    def __getattribute__(self, name: str) -> Any:
        Watched.names.add(name)
        return super().__getattribute__(name)


class Ansible:
    """Ansible in the process that has imported it, and in its forks."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = warm_server.early(os.environ)
        self.constants: Any = importlib.import_module("ansible.constants")
        settings = self.constants.config.get_configuration_definitions()
        self._import()
        self.loader: Any = importlib.import_module("ansible.plugins.loader")
        self._read_descriptions()
        self._keep_packed()
        # Loaders of plugins have the lists of their paths, which a fork replaces.
        names = {id(value): name for name, value in vars(self.constants).items() if isinstance(value, list)}
        self.paths = {
            loader: names[id(loader.config)]
            for loader in vars(self.loader).values()
            if isinstance(loader, self.loader.PluginLoader) and id(loader.config) in names
        }
        self.used = Watched.names.intersection(settings) - set(self.paths.values())
        self.early = self._values()

    def _import(self) -> None:
        """Import most of what a run imports, and note the settings that are read meanwhile."""
        config = self.constants.config
        read = config.get_config_value_and_origin

        def watch(name: str, *words: Any, **more: Any) -> Any:
            Watched.names.add(name)
            return read(name, *words, **more)

        config.get_config_value_and_origin = watch
        self.constants.__class__ = Watched
        self.playbook: Any = importlib.import_module("ansible.cli.playbook")
        for name in (*LATER, *_own_modules()):
            importlib.import_module(name)
        plugins: Any = importlib.import_module("ansible.plugins.loader")
        for loader, names in PLUGINS.items():
            for name in names:
                getattr(plugins, loader).get(f"ansible.builtin.{name}", class_only=True)
        self.constants.__class__ = types.ModuleType
        del config.get_config_value_and_origin

    def _values(self) -> dict[str, Any]:
        """The settings that imports used, and whether each has its default."""
        read = self.constants.config.get_config_value_and_origin
        found = {name: read(name, variables=vars(self.constants)) for name in self.used}
        return {name: (value, origin == "default") for name, (value, origin) in found.items()}

    def _read_descriptions(self) -> None:
        """Keep what Ansible's own YAML files say. Each fork has its own copy."""
        settings = self.constants.config._base_defs
        self.constants.config.__class__._read_config_yaml_file = lambda *_: settings
        finder: Any = importlib.import_module("ansible.utils.collection_loader._collection_finder")
        read = finder._meta_yml_to_dict
        content = (Path(self.loader.__file__).parents[1] / "config/ansible_builtin_runtime.yml").read_bytes()
        meta = read(content, ("ansible.builtin", "runtime.yml"))
        finder._meta_yml_to_dict = lambda text, name: meta if text == content else read(text, name)

    def _keep_packed(self) -> None:
        """Keep the files that a module needs, which Ansible would find again in each run.

        They are kept by the module's text, and only if they are Ansible's or the project's own, which no test changes.
        """
        common: Any = importlib.import_module("ansible.executor.module_common")
        pack = common.recursive_finder
        usual = {ROOT / "plugins/module_utils", Path(self.loader.__file__).parents[1] / "module_utils"}

        def packed(*given: Any) -> Any:
            name, full_name, text, archive, now, extensions = given
            places = self.loader.module_utils_loader._get_paths(subdirs=False)
            own = [path for path in places if Path(path).is_dir()]
            if extensions.extension_names or not usual.issuperset(map(Path, own)):
                return pack(*given)
            place = repr((name, full_name, text, own, self.constants.COLLECTIONS_PATHS)).encode()
            file = self.folder / hashlib.sha256(place).hexdigest()
            if not file.exists():
                meta = pack(*given)
                members = {member.filename: archive.read(member) for member in archive.infolist()}
                part = file.with_suffix(f".{os.getpid()}")
                part.write_bytes(pickle.dumps((meta, members)))
                part.rename(file)
                return meta
            meta, members = pickle.loads(file.read_bytes())
            for member, content in members.items():
                archive.writestr(common._make_zinfo(member, now, zf=archive), content)
            return meta

        common.recursive_finder = packed

    def configure(self) -> bool:
        """Read this run's configuration. Returns whether all that imports had read is unchanged."""
        config = self.constants.config
        known = config._plugins
        importlib.reload(self.constants)
        # What plugins say of their options doesn't depend on the configuration.
        self.constants.config._plugins = known
        # Some modules have imported the object itself.
        config.__dict__.update(self.constants.config.__dict__)
        self.constants.config = config
        for loader, name in self.paths.items():
            loader.config = getattr(self.constants, name)
        return warm_server.early(os.environ) == self.environment and self._values() == self.early

    def become(self, request: Mapping[str, Any], files: Sequence[int]) -> NoReturn:
        """Make this process one run of Ansible."""
        warm_server.adopt(request, files, 1)
        sys.argv = [PROGRAM, *request["words"]]
        sys.path[0] = str(Path(PROGRAM).parent)
        if not self.configure():
            os.execv(PROGRAM, sys.argv)
        sys.exit(self.playbook.main())


def _own_modules() -> list[str]:
    """Make the project's module_utils importable, as its vars plugin does, and return their names."""
    folder = ROOT / "plugins/module_utils"
    importlib.import_module("ansible.module_utils").__path__.append(str(folder))
    found = sorted(path.relative_to(folder).with_suffix("").parts for path in folder.glob("greenroom/**/*.py"))
    return [".".join(("ansible.module_utils", *parts)).removesuffix(".__init__") for parts in found]


def main(words: Sequence[str]) -> None:
    """Be the process that has imported Ansible, and start the one for its modules."""
    modules = None
    if "modules" in words[3:]:
        place = Path(words[2], "modules")
        place.mkdir()
        modules = warm_server.Server("tests.warm_modules", place)

    def prepare(folder: Path) -> warm_server.Become:
        ansible = Ansible(folder)
        if modules:
            warm_modules.use(modules.place)
        return ansible.become

    warm_server.main(words, prepare, modules.close if modules else lambda: None)


if __name__ == "__main__":
    main(sys.argv[1:])
