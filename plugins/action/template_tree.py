# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Action of `template_tree`: renders all files on the controller, then calls the module once."""

from __future__ import annotations

import os
import pathlib
import stat
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from ansible import constants
from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure, AnsibleError, AnsibleUndefinedVariable
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.module_utils.greenroom.controller.modules.action import CompiledModule
from ansible.module_utils.greenroom.modules import template_tree
from ansible.module_utils.greenroom.tree import options as tree_options
from ansible.module_utils.greenroom.tree import undo
from ansible.module_utils.greenroom.tree.files import (
    Attributes,
    File,
    TreeError,
    clean_path,
    compress,
    matches,
    pack,
    parse_mode,
)
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.template import generate_ansible_template_vars, trust_as_template

TEMPLATE_SUFFIX = ".j2"
# The options that the module needs.
SENT = ("name", "directories", "units", "state", "apply", "metadata", "manifest", "requires", "confirm_files")
NEWLINES = {"\\n": "\n", "\\r": "\r", "\\r\\n": "\r\n"}
# How a comment starts and ends, by the suffix of the file's name. Other suffixes get no marker, because a comment may
# break a format without comments. Files without a suffix are mostly in /etc and use `#`.
COMMENTS = {
    "#": "acl bash build cfg cnf conf config container crontab env hcl image ini kube list local map mount network nft "
    "path pod properties pp py rb repo rules service sh slice socket sources target timer toml volume yaml yml",
    "//": "js ts jsonc",
    ";": "zone",
    "--": "lua sql",
}
COMMENT_OF = {f".{suffix}": comment for comment, suffixes in COMMENTS.items() for suffix in suffixes.split()}
BRACKETS = {".html": ("<!-- ", " -->"), ".xml": ("<!-- ", " -->"), ".css": ("/* ", " */")}


class ActionModule(CompiledModule):  # type: ignore[misc]  # Ansible has no types
    """Renders the files and calls the program or the module."""

    ARGUMENTS = template_tree.ARGUMENTS
    RULES = template_tree.RULES
    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the module's result; first confirm changes that could have locked the controller out."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        for undone in result.get("undone", ()):
            self._display.warning(undone_line(str((task_vars or {}).get("inventory_hostname")), **undone))
        if result.get("armed"):
            self._confirm(result["armed"])
        return result

    def _confirm(self, names: list[str]) -> None:
        """Open a new connection, and with it keep the host from undoing the changes of these trees."""
        what = " and ".join(names)
        then = (
            f"The host puts the previous files back by itself within {undo.SECONDS} s. Then fix the cause and run again"
        )
        self._connection.reset()
        try:
            done = self._low_level_execute_command(undo.confirmation(names))
        except AnsibleConnectionFailure as error:
            raise AnsibleConnectionFailure(
                f"no new connection to the host since the change of {what}: {error}. {then}."
            ) from error
        if done["rc"] == undo.UNDONE:
            raise AnsibleActionFail(f"a new connection to the host came too late, so it undid the change of {what}")
        if done["rc"]:
            said = (done["stderr"] or done["stdout"]).strip()
            raise AnsibleActionFail(f"a new connection can't confirm the change of {what}: {said}. {then}.")

    def arguments(self, variables: dict[str, Any]) -> dict[str, Any]:
        """Return the module's arguments, with all files rendered."""
        _checked, options = self.validate_argument_spec(argument_spec=tree_options.OPTIONS, **tree_options.CHOICES)
        try:
            if options["roles"] is None:
                return self._arguments(options, variables)
            trees = [tree for role in options["roles"] for tree in self._trees(role, variables)]
            return {"roles": options["roles"], "packages": options["packages"], "_trees": compress(trees)}
        except TreeError as error:
            raise AnsibleActionFail(str(error)) from error

    def _arguments(self, options: dict[str, Any], variables: dict[str, Any]) -> dict[str, Any]:
        """Return the module's arguments for one tree, with its files rendered."""
        files = [] if options["state"] == "absent" else list(self._files(options, variables))
        arguments = {name: options[name] for name in SENT if options[name] is not None}
        arguments["_files"] = pack(file for file in files if not file.secret)
        arguments["_secret_files"] = pack(file for file in files if file.secret)
        return arguments

    def _trees(self, role: str, variables: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Yield the module's arguments for each tree of a role that this host gets."""
        folder = self._role(role)
        name = f"__{role}_trees"
        own = {
            **self._role_variables(folder, "defaults"),
            **self._role_variables(folder, "vars"),
            **variables,
            **{"role_name": role, "role_path": folder, "ansible_search_path": [folder]},
        }
        if name not in own:
            raise TreeError(f"the role {role} has no trees: set {name} in {folder}/vars/main.yml")
        templar = self._templar.copy_with_new_env(available_variables=own)
        if not boolean(templar.template(own.get(f"{role}_wanted", True))):
            return
        for tree in own[name]:
            # Skip it before rendering: a tree that isn't wanted may lack variables, such as a missing slot's bundle.
            if not boolean(templar.template(tree.get("wanted", True))):
                continue
            checked = ArgumentSpecValidator(tree_options.ROLE_TREE).validate(templar.template(tree))
            if checked.error_messages:
                raise TreeError(f"{name} of the role {role}: {'; '.join(checked.error_messages)}")
            yield self._arguments(checked.validated_parameters, own)

    def _role(self, role: str) -> str:
        """Return the folder of a role, which is beside the playbook or in the roles path."""
        places = [os.path.join(self._loader.get_basedir(), "roles"), *constants.DEFAULT_ROLES_PATH]
        for place in places:
            folder = os.path.join(place, role)
            if os.path.isdir(folder):
                return os.path.abspath(folder)
        raise TreeError(f"can't find the role {role} in {', '.join(places)}")

    def _role_variables(self, folder: str, kind: str) -> dict[str, Any]:
        """Return a role's own `defaults` or `vars`."""
        path = os.path.join(folder, kind, "main.yml")
        # Nothing changes the content, and a copy would take longer than reading it.
        return (os.path.isfile(path) and self._loader.load_from_file(path, unsafe=True, trusted_as_template=True)) or {}

    def _files(self, options: dict[str, Any], variables: dict[str, Any]) -> Iterator[File]:
        """Yield all wanted files, rendered."""
        rules = options["attributes"]
        for pattern, rule in rules.items():
            if not isinstance(rule, dict):
                raise TreeError(f"attributes of {pattern!r} must be a dictionary such as {{mode: '0640'}}")
            unknown = set(rule) - set(tree_options.ITEM_ATTRIBUTES)
            if unknown:
                names, known = ", ".join(sorted(unknown)), ", ".join(tree_options.ITEM_ATTRIBUTES)
                raise TreeError(f"attributes of {pattern!r}: unknown {names} (known: {known})")
        for item in options["trees"]:
            root = self._find(item["src"], variables)
            if not os.path.isdir(root):
                raise TreeError(f"{root} is not a directory: list single templates in `files`")
            for source in _walk(root):
                dest = clean_path(f"{item['dest']}/{os.path.relpath(source, root)}".removesuffix(TEMPLATE_SUFFIX))
                yield self._file({**item, "dest": dest}, [item, *_fitting(dest, rules)], source, options, variables)
        for item in options["files"]:
            found = self._find(item["src"], variables) if item["content"] is None else None
            yield self._file(item, [*_fitting(item["dest"], rules), item], found, options, variables)

    def _file(
        self,
        item: dict[str, Any],
        layers: list[dict[str, Any]],
        source: str | None,
        options: dict[str, Any],
        variables: dict[str, Any],
    ) -> File:
        """Return one wanted file; later layers of attributes win."""
        dest = clean_path(item["dest"])
        chosen = {
            name: next((layer[name] for layer in reversed(layers) if layer.get(name) is not None), None)
            for name in tree_options.ITEM_ATTRIBUTES
        }
        secret = bool(chosen["secret"])
        mode = chosen["mode"] or ("0600" if secret else "0644")
        if mode == "preserve" and source:
            mode = f"{stat.S_IMODE(os.stat(source).st_mode):04o}"
        attributes = Attributes(parse_mode(mode, dest), chosen["owner"], chosen["group"])
        if chosen["validate"] and "%s" not in chosen["validate"] and "%d" not in chosen["validate"]:
            raise TreeError(f"{dest}: validate must contain %s, the new file, or %d, a directory with all files")
        if source and os.path.isdir(source):
            raise TreeError(f"{source} is a directory: list it in `trees`")
        if source is None:
            # A template with a single expression keeps its type. Accept integers, because they have only one text form.
            if isinstance(item["content"], int) and not isinstance(item["content"], bool):
                item["content"] = str(item["content"])
            if not isinstance(item["content"], str):
                raise TreeError(f"{dest}: content must be text; use a filter such as to_nice_json for data")
            content = item["content"].encode()
        elif source.endswith(TEMPLATE_SUFFIX):
            text = self._render(item, source, dest, secret, variables)
            comment = chosen["comment"]
            text = add_marker(text, dest, options["marker"], comment, newline(item))
            content = text.encode(item["output_encoding"])
        else:
            real = self._loader.get_real_file(source)  # decrypted, if it is a vault
            content = pathlib.Path(real).read_bytes()
            self._loader.cleanup_tmp_file(real)
        return File(dest, content, attributes, chosen["validate"], secret, item.get("force", True))

    def _find(self, path: str, variables: dict[str, Any]) -> str:
        """Return the path of a source: in the role's templates, beside the playbook, or an absolute path."""
        places = variables.get("ansible_search_path") or self._task.get_search_path()
        try:
            found: str | None = self._loader.path_dwim_relative_stack(places, "templates", path)
        except AnsibleError as error:
            raise AnsibleActionFail(str(error)) from error
        if found is None:
            raise AnsibleActionFail(f"Unable to find '{path}' in expected paths (use -vvvvv to see paths)")
        return found

    def _render(self, item: dict[str, Any], source: str, dest: str, secret: bool, variables: dict[str, Any]) -> str:
        """Render one template as ansible.builtin.template does."""
        given = {**variables, **item["vars"]}
        generated = generate_ansible_template_vars(path=item.get("src") or source, fullpath=source, dest_path=dest)
        if "ansible_managed" in given:
            generated.pop("ansible_managed")
        folders = [*variables.get("ansible_search_path", []), self._loader.get_basedir(), os.path.dirname(source)]
        templar = self._templar.copy_with_new_env(
            searchpath=[place for folder in folders for place in (os.path.join(folder, "templates"), folder)],
            available_variables={**given, **generated},
        )
        overrides = {name: item[name] for name in tree_options.OVERRIDES}
        overrides["newline_sequence"] = newline(item)
        template = trust_as_template(self._loader.get_text_file_contents(source))
        try:
            rendered = templar.template(template, escape_backslashes=False, overrides=overrides)
        except AnsibleUndefinedVariable as error:
            raise AnsibleActionFail(f"{source}, for {dest}: {error}") from error
        except AnsibleError as error:
            if secret:
                # The error may quote a secret value.
                raise AnsibleActionFail(f"{source}, for {dest}: can't be rendered (hidden: secret)") from None
            raise AnsibleActionFail(f"{source}, for {dest}: {error}") from error
        return "" if rendered is None else str(rendered)


def undone_line(host: str, name: str, at: int) -> str:
    """Return the message that a host has undone a change."""
    when = f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S} UTC"
    return (
        f"{host}: {name} went back to its previous files at {when}, because the run that changed them opened no new "
        "connection to the host"
    )


def newline(item: dict[str, Any]) -> str:
    """Return the line ending of an item; with single quotes, YAML keeps escapes as they are."""
    sequence = str(item["newline_sequence"])
    sequence = NEWLINES.get(sequence, sequence)
    if sequence not in NEWLINES.values():
        raise TreeError(f"{item['dest']}: newline_sequence must be one of \\n, \\r or \\r\\n")
    return sequence


def add_marker(text: str, dest: str, marker: str, comment: str | None, line_end: str = "\n") -> str:
    """Return a rendered text with the marker as a comment, unless the text has it already.

    The marker is the first line, or the second one after `#!` or `<?xml`. `comment` is the start of a comment; with
    None, it depends on the file's name.
    """
    name = os.path.basename(dest)
    suffix = os.path.splitext(name)[1]
    if comment is not None:
        start, end = comment and f"{comment} ", ""
    elif suffix in BRACKETS:
        start, end = BRACKETS[suffix]
    else:
        start, end = f"{COMMENT_OF.get(suffix, '' if suffix else '#')} ".lstrip(), ""
    if not marker or not start or marker in text:
        return text
    line = f"{start}{marker}{end}{line_end}"
    if text.startswith(("#!", "<?xml")):
        first, rest = text.split(line_end, 1) if line_end in text else (text, "")
        return f"{first}{line_end}{line}{rest}"
    return line + text


def _fitting(dest: str, rules: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the attribute rules that apply to a destination, in the order they were written."""
    return [rule for pattern, rule in rules.items() if matches(dest, [pattern])]


def _walk(root: str) -> Iterator[str]:
    """Yield the files below a folder, sorted, without Python's caches."""
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if name != "__pycache__")
        for name in sorted(names):
            yield os.path.join(folder, name)
