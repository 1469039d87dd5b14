# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""Which slot serves the public: the record, the steps between two records, and HAProxy on an edge host."""
