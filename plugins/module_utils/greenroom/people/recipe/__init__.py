# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""The recipe of a set of synthetic users, and its personas."""
