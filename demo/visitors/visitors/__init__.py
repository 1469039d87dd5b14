"""Synthetic users of the portal: a few all day (simulate), or many at once (load)."""
