# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The program `greenroom-database` on the data host, which systemd and playbooks run.

`guard` runs before PostgreSQL starts. It refuses to start an empty cluster whose backups exist, and restores them if an
operator has asked for it. `settle` runs after the start, until a recovery is over. `copy` restores one database as it
was at a point in time, beside the one in use; `promote` puts such a copy into its place.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from .calls import ClusterError
from .copies import copy
from .promotion import promote
from .start import guard, settle


def main(words: Sequence[str]) -> int:
    """Carry out one command; print what was done, or what is wrong."""
    parser = argparse.ArgumentParser(description="The PostgreSQL cluster of this host and its backups.")
    parser.add_argument("--stanza", required=True)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("command", choices=["guard", "settle", "copy", "promote"])
    parser.add_argument("names", nargs="*")
    options = parser.parse_args(words)
    os.umask(0o022)
    try:
        if options.command == "guard":
            print(guard(options.stanza))
        elif options.command == "settle":
            print(settle())
        elif options.command == "copy":
            database, into, point = options.names
            print(copy(options.stanza, database, into, point, options.check))
        else:
            database, source, kept = options.names
            print(promote(database, source, kept, options.check))
    except ClusterError as error:
        print(error, file=sys.stderr)
        return 1
    return 0
