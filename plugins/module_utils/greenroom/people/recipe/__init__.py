# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""What a set of synthetic users consists of: its recipe and its personas."""
