# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""Images: pulling them, whether they fit the host, and whether what they run would start again."""
