# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""The output of a run: its phases, changes, messages, progress and summary."""
