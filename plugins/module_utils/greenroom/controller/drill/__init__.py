# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""A drill: its scenarios, its playbook runs, its verdict and its report."""
