# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""When services' invented data has to be made anew."""
