# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The data host's PostgreSQL cluster, its backups and copies of its databases: a program for the host itself."""
