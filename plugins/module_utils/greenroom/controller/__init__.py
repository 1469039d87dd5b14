# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""What runs on the controller only: no module and no host imports it."""
