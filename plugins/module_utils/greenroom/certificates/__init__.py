# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""How a host renews its own certificates, by Vault or ACME."""
