# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""What a host is like, read without changing it, for comparing environments."""
