# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""The packages that run on the controller only; modules never import them."""
