# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""The live slot: its state file, the steps between two states, and HAProxy on an edge host."""
