# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""The checks of an environment's input before a run contacts any host."""
