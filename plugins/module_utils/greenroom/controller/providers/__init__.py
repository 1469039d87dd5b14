# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""A load test: the reasons why it can't run."""
