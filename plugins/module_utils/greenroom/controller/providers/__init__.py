# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""Providers: outside services, what services get of them, and credentials that don't belong."""
