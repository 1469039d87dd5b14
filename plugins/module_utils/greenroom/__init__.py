# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""The logic of Greenroom in plain Python, without Ansible."""
