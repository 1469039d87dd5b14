# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""Helpers that several plugins use."""
