# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""The host's part of `template_tree`: files, packages, systemd units, the plan of changes and the differences."""
