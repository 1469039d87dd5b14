# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""The faults of a drill on one host."""
