# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""A slot's bundle, computed from the catalog: files, units, checks, routes and the activation."""
