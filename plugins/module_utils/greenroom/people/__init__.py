# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""Synthetic users in Ory Kratos: creating, updating and removing them as a recipe says."""
