# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""Dashboards for Grafana."""
