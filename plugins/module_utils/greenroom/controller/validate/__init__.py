# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""What is wrong with an environment's input, as far as that is known before any host is contacted."""
