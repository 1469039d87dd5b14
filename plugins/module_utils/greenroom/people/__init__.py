# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""Synthetic users in Ory Kratos: who they are, who is missing, and how that is made up for."""
