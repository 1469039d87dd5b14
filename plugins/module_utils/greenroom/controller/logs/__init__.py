# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""What the hosts of an environment have logged."""
