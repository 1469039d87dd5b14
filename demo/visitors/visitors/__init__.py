"""Synthetic people who use the portal: a few all day long (simulate), or many at once (load)."""
