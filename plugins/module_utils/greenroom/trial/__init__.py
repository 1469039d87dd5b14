# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""Trial starts: whether what a container runs would start again."""
