# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""PostgreSQL and RabbitMQ: from what there should be and what there is to the statements between them."""
