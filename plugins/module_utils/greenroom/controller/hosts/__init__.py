# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""What hosts get from the catalogue and the inventory."""
