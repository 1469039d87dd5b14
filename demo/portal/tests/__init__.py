"""Tests with real programs; real.py lists what they need."""
