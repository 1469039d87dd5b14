# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""Helpers for every package: durable files, names, masked secrets and HTTP requests."""
