# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""The slots of an environment: the status of the edge hosts, and the reports that an operator reads."""
