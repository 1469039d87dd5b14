# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""Smoke checks: the requests of a check, the responses that it expects, and the run of all checks."""
