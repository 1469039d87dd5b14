# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""Decide when to seed services' data again."""
