# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""Notifications about a cutover, to a webhook and by mail."""
