"""Curves of a run's history, as pictures."""
