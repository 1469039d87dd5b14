# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""Generate the traits of synthetic users from an identity schema and a seed."""
