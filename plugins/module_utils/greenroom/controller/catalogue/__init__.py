# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""services/: what a service.yml, its checks and its secrets may say, and the release that follows."""
