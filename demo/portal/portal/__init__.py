"""A small real web service for Greenroom to deploy: sign-in through Kratos, orders in PostgreSQL."""
