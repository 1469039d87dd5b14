# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""Health checks of services on their host: whether a program is ready, and whether it stays up meanwhile."""
