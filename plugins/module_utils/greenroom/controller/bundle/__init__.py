# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""What a slot's bundle consists of, computed from the catalogue."""
