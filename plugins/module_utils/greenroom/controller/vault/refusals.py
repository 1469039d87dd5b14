# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""Vault's errors, each as one line that says what to do."""

from __future__ import annotations

from collections.abc import Iterable


def missing_line(
    environment: str,
    paths: Iterable[str],
    foreign: Iterable[str] = (),
    given: Iterable[str] = (),
    place: str = "Vault",
) -> str:
    """Return the line that names all missing secrets and what to do.

    Greenroom doesn't write those in `foreign`, and an operator puts those in `given` there. `place` is where the
    secrets are.
    """
    paths = set(paths)
    others, own = sorted(paths.intersection(foreign)), sorted(paths.intersection(given))
    advice = []
    if paths.difference(others, own):
        advice.append(f"run: ansible-playbook -i inventories/{environment} playbooks/secrets.yml -e create=missing")
    for path in own:
        advice.append(f"run: ansible-playbook -i inventories/{environment} playbooks/secret.yml -e put={path}")
    if others:
        advice.append(f"write {', '.join(others)} to {place} yourself (docs/secrets.md)")
    return f"secrets of {environment} are missing: {', '.join(sorted(paths))}; {'; '.join(advice)}"


def innermost(error: BaseException) -> str:
    """Return the innermost cause of a failed request, without the layers that wrap it."""
    seen = set()
    while id(error) not in seen:
        seen.add(id(error))
        inner = error.__cause__ or error.__context__ or getattr(error, "reason", None)
        if not isinstance(inner, BaseException) and error.args and isinstance(error.args[0], BaseException):
            inner = error.args[0]
        if isinstance(inner, BaseException):
            error = inner
    text = str(error).rsplit(": ", 1)[-1]
    return text or type(error).__name__


def tls_problem(error: BaseException, variable: str) -> str:
    """Return the end of the line for a failed TLS connection to the address in `variable`."""
    reason = innermost(error)
    if "certificate" in reason.lower() or "hostname" in reason.lower():
        return f": its certificate is not trusted ({reason}); check {variable} and environment_ca_file"
    return f" can't be reached with TLS ({reason}); check that it is running, and check {variable}"


def explain(error: BaseException, url: str, doing: str) -> str:
    """Return the line for an error at the Vault of `url` while `doing`.

    `error` is an exception of hvac or requests. It is identified by name, so neither must be installed here.
    """
    kinds = {kind.__name__ for kind in type(error).__mro__}
    # hvac's exceptions add method and address to their text; `errors` has only the server's messages.
    text = ", ".join(getattr(error, "errors", None) or [str(part) for part in error.args if part])
    refused = kinds & {"InvalidRequest", "Unauthorized", "Forbidden"}
    if "SSLError" in kinds:
        line = tls_problem(error, "secrets_url")
    elif "OSError" in kinds and "CA certificate" in text:
        line = f": {text}; check environment_ca_file"
    elif "OSError" in kinds:  # exceptions of requests are OSErrors, too
        line = f" can't be reached ({innermost(error)}); check that it is running, and check secrets_url"
    elif "VaultDown" in kinds and "sealed" in text.lower():
        line = " is sealed; unseal it (your own OpenBao: playbooks/vault-unseal.yml), then run this again"
    elif refused and doing.startswith("the login"):
        line = f" refuses {doing}: {text}; check secrets_auth and the files it names"
    elif "Forbidden" in kinds:
        line = f" refuses {doing} (permission denied); check the login (secrets_auth) and its policy"
    elif refused and "check-and-set" in text:
        line = f" refuses {doing}: another run created it meanwhile; run this again"
    else:
        line = f" failed at {doing}: {text}; see its log"
    return f"Vault at {url}{line}"
