# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""Password hashes, which only the controller computes."""
