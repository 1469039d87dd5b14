# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""The status page of an environment, which a host serves by itself."""
