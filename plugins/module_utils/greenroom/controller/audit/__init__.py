# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""The history of the runs, on the controller."""
