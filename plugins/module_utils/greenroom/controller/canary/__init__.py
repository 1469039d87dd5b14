# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""A canary step as a run follows it, and the metrics pages that are read beside it."""
