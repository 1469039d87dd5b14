# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""Files written as a whole, names, masked secrets and HTTP requests: what every package may use."""
