"""Runs: what has a history, whatever it is stored in."""
