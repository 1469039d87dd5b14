# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""A run's side of the environment's lock."""
