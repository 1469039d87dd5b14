# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""Is a candidate as good as the live slot? Figures, exact tests, own probes and the verdict."""
