"""A small web service, so that there is something real to deploy: sign-in through Kratos, orders in PostgreSQL."""
