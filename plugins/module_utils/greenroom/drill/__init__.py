# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""A drill's faults on one host."""
