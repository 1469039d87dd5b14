# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""A cache of compiled templates, so that a template isn't compiled again for each task, host and run.

Without it, Ansible compiles a template each time it is used. A run without changes compiles about 350 different
templates 1,800 times, a quarter of the controller's CPU time. Jinja has a cache for compiled templates, but uses it
only for files. This module uses it for every template. The key has the template's text and all options that affect the
result, so a changed template gets another key, and the cache can't be out of date.

The files are in Jinja's own folder below the folder for temporary files; no other user can write there. They hold code
and no values. If there is no such folder, Ansible compiles templates as usual.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from importlib import import_module
from types import CodeType
from typing import Any

from ansible.release import __version__
from jinja2 import nodes
from jinja2.bccache import Bucket, BytecodeCache, FileSystemBytecodeCache
from jinja2.environment import Environment

# The text of the expression that is being compiled: Jinja's compiler only gets its syntax tree.
_EXPRESSION: ContextVar[str | None] = ContextVar("expression", default=None)


class CompiledTemplates:
    """The templates that this process or an earlier one has compiled.

    `options` returns all settings of an environment that affect the compiled code.
    """

    def __init__(self, cache: BytecodeCache, options: Callable[[Environment], object]) -> None:
        self.cache = cache
        self.options = options
        self.codes: dict[str, CodeType] = {}

    def code(self, environment: Environment, kind: str, text: str, compile_it: Callable[[], CodeType]) -> CodeType:
        """Return the code of a template; compile and store it if it isn't in the cache."""
        key = self.cache.get_cache_key(f"{kind} {self.options(environment)!r} {text}")
        if key not in self.codes:
            bucket = Bucket(environment, key, key)
            self.cache.load_bytecode(bucket)
            if bucket.code is None:
                bucket.code = compile_it()
                # A full disk or a deleted folder only costs time.
                with suppress(OSError):
                    self.cache.set_bucket(bucket)
            self.codes[key] = bucket.code
        return self.codes[key]


def keep_compiled() -> None:
    """Turn the cache on for this process and its children."""
    try:
        # Private parts of Ansible. Other versions may have them elsewhere; then there is no cache.
        inside = import_module("ansible._internal._templating._jinja_bits")
        names, contexts = inside._TEMPLATE_OVERRIDE_FIELD_NAMES, inside._TemplateCompileContext
        config = inside._TemplateConfig
        environment_class = inside.AnsibleEnvironment
        cache = FileSystemBytecodeCache()
    except (ImportError, AttributeError, RuntimeError):
        return

    def options(environment: Environment) -> object:
        context = contexts.current(optional=True)
        escape = bool(context and context.escape_backslashes)
        overrides = [getattr(environment, name) for name in names]
        return __version__, overrides, sorted(environment.extensions), escape, config.allow_embedded_templates

    wrap(environment_class, CompiledTemplates(cache, options))


def wrap(environment_class: type[Environment], compiled: CompiledTemplates) -> None:
    """Make a class of environments look for compiled templates before it compiles."""
    compile_template, compile_expression = environment_class.compile, environment_class.compile_expression

    def compile(self: Environment, source: str | nodes.Template, *arguments: Any, **named: Any) -> Any:
        kind, text = ("template", source) if isinstance(source, str) else ("expression", _EXPRESSION.get())
        if text is None or any(arguments) or any(named.values()):
            return compile_template(self, source, *arguments, **named)
        return compiled.code(self, kind, text, lambda: compile_template(self, source))

    def expression(self: Environment, source: str, *arguments: Any, **named: Any) -> Any:
        with _compiling(source):
            return compile_expression(self, source, *arguments, **named)

    environment_class.compile = compile  # type: ignore[method-assign]
    environment_class.compile_expression = expression  # type: ignore[method-assign]


@contextmanager
def _compiling(expression: str) -> Iterator[None]:
    token = _EXPRESSION.set(expression)
    try:
        yield
    finally:
        _EXPRESSION.reset(token)
