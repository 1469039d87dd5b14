# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""The folder services/: validation of service.yml, checks and secrets, and the release that results."""
