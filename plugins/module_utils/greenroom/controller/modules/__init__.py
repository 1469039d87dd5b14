# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""Calls of modules that hosts have compiled."""
