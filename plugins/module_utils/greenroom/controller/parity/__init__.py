# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""Snapshots of two environments compared: what differs, what may, and what nobody can tell."""
