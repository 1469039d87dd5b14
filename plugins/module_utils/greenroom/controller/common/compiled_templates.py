# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Templates that are compiled once, not once for each task, host and run.

Ansible compiles every template anew wherever it is used: a run without a change compiles some 350 different ones
1,800 times, a quarter of all that the controller computes. Jinja has a cache of compiled templates, but asks it for
files only. Here it is asked for every template. Its key is the text of the template together with all that decides
what comes out, so that a changed template is another one: what is kept can't be out of date.

The files lie in a folder of Jinja's own that nobody else may write to, below the folder for temporary files. They hold
code, never values. Where there can't be such a folder, templates are compiled as ever.
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

# The text of the expression that is being compiled, which reaches Jinja's compiler only as a tree.
_EXPRESSION: ContextVar[str | None] = ContextVar("expression", default=None)


class CompiledTemplates:
    """What was compiled, by this process or by an earlier one.

    `options` gives everything beside the text that decides what an environment makes of a template.
    """

    def __init__(self, cache: BytecodeCache, options: Callable[[Environment], object]) -> None:
        self.cache = cache
        self.options = options
        self.codes: dict[str, CodeType] = {}

    def code(self, environment: Environment, kind: str, text: str, compile_it: Callable[[], CodeType]) -> CodeType:
        """Return the code of a template; compile it, and keep that, where nobody has done so yet."""
        key = self.cache.get_cache_key(f"{kind} {self.options(environment)!r} {text}")
        if key not in self.codes:
            bucket = Bucket(environment, key, key)
            self.cache.load_bytecode(bucket)
            if bucket.code is None:
                bucket.code = compile_it()
                # A full disk, or a folder that somebody emptied, costs time only.
                with suppress(OSError):
                    self.cache.set_bucket(bucket)
            self.codes[key] = bucket.code
        return self.codes[key]


def keep_compiled() -> None:
    """Keep what Ansible compiles from now on, in this process and in all that it starts."""
    try:
        # Ansible's own inside, which another version may have elsewhere.
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
    """Let a class of environments ask for compiled templates before it compiles."""
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
