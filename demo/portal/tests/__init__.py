"""Tests against the real things; see real.py for what they need."""
