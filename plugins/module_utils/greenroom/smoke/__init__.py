# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""Smoke checks: the requests of one check, what it expects of the responses, and all checks at once."""
