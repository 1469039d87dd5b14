# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""The steps of a canary, and the metrics pages and paths that it watches."""
