# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""What a slot is made of, what an environment serves, and what an operator sees of it."""
