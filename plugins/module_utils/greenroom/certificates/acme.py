# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""A certificate by ACME, which Debian's lego orders with a key and an account that all edge hosts have.

HAProxy answers the challenge HTTP-01 on every edge host by itself, because the response depends on nothing but the
account. So it doesn't matter which edge host the CA asks.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ..common.durable import write
from . import reading
from .reading import CertificateError

MINUTES = 10
"""How long an order may take: a record in DNS needs time until the CA sees it."""
WAIT = 120.0
"""For how many seconds an edge host leaves the order to the hosts before it."""
POLL = 5.0
PORT = 443


def obtain(settings: Mapping[str, Any], names: Sequence[str], days: int) -> str:
    """Return the certificate and its chain (PEM): another edge host's, or a new one. Raises CertificateError.

    `settings` has directory, email, key, account_key, folder, and what the challenge needs; `peers` are the addresses
    of the other edge hosts, `before` those that come before this one.
    """
    key = Path(settings["key"]).read_text(encoding="utf-8")
    public = reading.public_key(key)
    end = time.monotonic() + WAIT
    while True:
        answering = set()
        for address in settings["peers"]:
            found = reading.served(address, PORT, names[0])
            if found:
                answering.add(address)
            if found and _fits("\n".join(found), public, names, days):
                return "\n".join(found) + "\n"
        # All begin at the same time after a run. The first one that is there orders, and the others take over what
        # it serves.
        if not answering & set(settings["before"]) or time.monotonic() >= end:
            return _order(settings, key, public, names)
        time.sleep(POLL)


def _fits(chain: str, public: str, names: Sequence[str], days: int) -> bool:
    found = reading.read(chain)
    return found.key == public and not found.due(names, days, time.time())


def _order(settings: Mapping[str, Any], key: str, public: str, names: Sequence[str]) -> str:
    """Let lego order a certificate for the key, and return it with its chain."""
    folder = Path(settings["folder"])
    _keep_account(folder, settings)
    shutil.rmtree(folder / "certificates", ignore_errors=True)
    request = folder / "request.csr"
    subject = ",".join(f"DNS:{name}" for name in names)
    arguments = ("-new", "-key", settings["key"], "-subj", "/", "-addext", f"subjectAltName={subject}")
    request.write_text(reading.openssl("req", *arguments), encoding="utf-8")
    command = ["lego", "--accept-tos", "--path", str(folder), "--server", settings["directory"]]
    command += ["--email", settings["email"], "--csr", str(request)]
    environment = {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(folder), **settings["secrets"]}
    if settings["server_ca"]:
        environment["LEGO_CA_CERTIFICATES"] = settings["server_ca"]
    if settings["hook"]:
        environment["EXEC_PATH"] = settings["hook"]
        command += ["--dns", "exec"]
        command += [] if settings["dns_check"] else ["--dns.disable-cp"]
        command += [part for server in settings["resolvers"] for part in ("--dns.resolvers", server)]
    else:
        # lego writes its response to a folder that nobody reads.
        command += ["--http", "--http.webroot", str(folder)]
    try:
        done = subprocess.run(
            [*command, "run"], env=environment, capture_output=True, text=True, timeout=60 * MINUTES, check=False
        )
    except FileNotFoundError:
        raise CertificateError("the command lego is missing; run site.yml, which installs it") from None
    except subprocess.TimeoutExpired:
        raise CertificateError(f"the order at {settings['directory']} took more than {MINUTES} minutes") from None
    if done.returncode != 0:
        lines = (done.stderr + done.stdout).strip().splitlines() or ["no reason given"]
        print("\n".join(lines), file=sys.stderr)
        raise CertificateError(f"the order at {settings['directory']} failed: {lines[-1]}; see the unit's journal")
    made = [file for file in (folder / "certificates").glob("*.crt") if not file.name.endswith(".issuer.crt")]
    chain = made[0].read_text(encoding="utf-8") if made else ""
    if reading.read(chain).key != public:
        raise CertificateError(f"{settings['directory']} issued a certificate for another key")
    return "\n".join(reading.certificates(chain)) + "\n"


def _keep_account(folder: Path, settings: Mapping[str, Any]) -> None:
    """Put the account's key where lego looks for it, so that all edge hosts have one account."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    # As lego names the folder of a server and a file: a port's colon becomes an underscore.
    server = urlsplit(settings["directory"]).netloc.replace(":", "_")
    own = folder / "accounts" / server / settings["email"] / "keys" / f"{settings['email']}.key"
    wanted = settings["account_key"].strip() + "\n"
    if not own.exists() or own.read_text(encoding="utf-8") != wanted:
        # A registration of another account is no use.
        shutil.rmtree(folder / "accounts" / server, ignore_errors=True)
        own.parent.mkdir(mode=0o700, parents=True)
        write(str(own), wanted.encode(), 0o600)
