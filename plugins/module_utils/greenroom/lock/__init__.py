# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""The environment's lock on the host that keeps it."""
