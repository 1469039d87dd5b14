# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""What a synthetic user is like: traits made from an identity schema and a seed."""
