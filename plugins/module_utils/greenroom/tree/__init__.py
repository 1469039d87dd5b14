# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""`template_tree` on a host: files, packages and systemd units, what changes, and how that is shown."""
