# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""The configuration that hosts get from the catalog and the inventory."""
