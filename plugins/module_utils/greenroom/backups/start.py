# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Before and after PostgreSQL starts: an empty cluster whose backups exist must not serve by accident."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .calls import DATA, PROGRAMS, ClusterError, call, sql
from .points import target
from .repository import last_backup, repository

# The cluster that may start without a question, and what an operator has decided: a point in time, `latest` or `none`.
STAMP = Path("/var/lib/greenroom/cluster.json")
DECISION = Path("/var/lib/greenroom/restore-from-backup")
# The folders of the databases that each new cluster has: template1, template0 and postgres.
NEW_DATABASES = {"1", "4", "5"}
# The repository's host may be set up by the same run.
WAIT_SECONDS = 180.0
# For how long a decision counts.
DECISION_SECONDS = 86400.0
# What pg_isready returns for a server that is starting.
REJECTS = 1


def system_id(data: Path) -> str:
    """Return the identity of the cluster in a folder; "" if there is none."""
    if not (data / "global/pg_control").exists():
        return ""
    found = re.search(r"system identifier:\s+(\d+)", call("env", "LC_ALL=C", PROGRAMS / "pg_controldata", data))
    return found[1] if found else ""


def is_new(data: Path) -> bool:
    """Return whether a cluster has only the databases that every new one has."""
    folders = {path.name for path in (data / "base").iterdir()} if (data / "base").is_dir() else set()
    return folders <= NEW_DATABASES | {"pgsql_tmp"}


def guard(stanza: str, data: Path = DATA, ask: Callable[[str, float], dict[str, Any]] = repository) -> str:
    """Return why PostgreSQL may start, after a restore if one is wanted; raise ClusterError if it may not."""
    own = system_id(data)
    decision = decided()
    # A restore whose recovery ended too early, such as before its point in time. An operator decides again.
    again = bool(decision) and (data / "recovery.signal").exists()
    if own and not again and (not is_new(data) or own == stamped()):
        # Nothing asks the repository here: PostgreSQL must start without it.
        if decision:
            DECISION.unlink()
            return "this host has a database, so nothing is restored; restore copies with playbooks/restore.yml"
        return "the cluster has data"
    if decision == "none":
        # It is done once. If it fails, the next run decides again.
        DECISION.unlink()
        if again:
            raise ClusterError(
                f"{data} has a restore that did not end. To start empty, delete that folder on this host first; or run "
                "again with -e restore_from_backup=latest"
            )
        if not own:
            make_empty(data)
        return "an operator decided to start empty"
    try:
        info = ask(stanza, WAIT_SECONDS)
    except ClusterError as error:
        DECISION.unlink(missing_ok=True)
        raise ClusterError(
            f"this host has no database yet, and it can't be told whether there are backups to restore: {error}. "
            "Repair that and run again, or start empty with -e restore_from_backup=none"
        ) from error
    if own and not again and (not info["backup"] or own in {str(each["system-id"]) for each in info["db"]}):
        return "there is nothing to restore"
    if not info["backup"] and not again:
        make_empty(data)
        return "there is nothing to restore"
    if not decision:
        raise ClusterError(
            "this host has no database, but the repository has backups of it, the last of "
            f"{last_backup(info)}. Nothing was started. Run again with -e restore_from_backup=latest, or a time such "
            "as 2026-01-02T02:30:00Z; -e restore_from_backup=none starts with an empty database, which is archived "
            "from the next playbooks/backup.yml on"
        )
    try:
        options = target(decision, info, datetime.now(UTC))
        ensure_folder(data)
        call("pgbackrest", f"--stanza={stanza}", "--delta", *options, "restore", what="the restore")
    except ClusterError:
        # The next run decides again.
        DECISION.unlink()
        raise
    return f"restored to {decision}"


def decided() -> str:
    """Return what an operator has decided lately: what a run left long ago must not decide about another loss."""
    try:
        if time.time() - DECISION.stat().st_mtime < DECISION_SECONDS:
            return DECISION.read_text(encoding="utf-8").strip()
        DECISION.unlink()
    except FileNotFoundError:
        pass
    return ""


def stamped() -> str:
    """Return the identity of the cluster that may start without a question."""
    try:
        return str(json.loads(STAMP.read_text(encoding="utf-8"))["system_id"])
    except (OSError, ValueError, KeyError):
        return ""


def ensure_folder(data: Path) -> None:
    """Create a cluster's folder, which belongs to postgres."""
    for folder in (data.parent, data):
        if not folder.exists():
            folder.mkdir(mode=0o700, parents=True)
            shutil.chown(folder, "postgres", "postgres")


def make_empty(data: Path) -> None:
    """Create an empty cluster where there is none."""
    ensure_folder(data)
    call(PROGRAMS / "initdb", "-D", data, "--encoding=UTF8", "--locale=C.UTF-8", what="initdb")


def settle(data: Path = DATA) -> str:
    """Wait until a recovery is over, and remember the cluster."""
    own = system_id(data)
    if own == stamped() and not DECISION.exists():
        return "nothing to wait for"
    try:
        while starting() or sql("SELECT pg_is_in_recovery()") == "t":
            time.sleep(0.5)
    except ClusterError as error:
        if not (data / "recovery.signal").exists():
            raise
        raise ClusterError(
            f"the recovery of the backup ended: {error}. PostgreSQL's messages are above. If it did not reach the "
            "point in time, the archive ends before that: run again with -e restore_from_backup=latest"
        ) from error
    STAMP.parent.mkdir(parents=True, exist_ok=True)
    part = STAMP.with_suffix(".part")
    part.write_text(json.dumps({"system_id": own}), encoding="utf-8")
    os.replace(part, STAMP)
    DECISION.unlink(missing_ok=True)
    return "the cluster is ready"


def starting() -> bool:
    """Return whether PostgreSQL runs but takes no connections yet. Its unit doesn't wait for a long recovery."""
    return subprocess.run([PROGRAMS / "pg_isready", "-q"], check=False, cwd="/").returncode == REJECTS
