# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""PostgreSQL and RabbitMQ: the desired state, the state on the server, and the statements that bridge the two."""
