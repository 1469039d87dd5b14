# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""The watch of a canary on its hosts: figures, statistical tests, probes, metrics pages and the verdict."""
