"""Runs in files, and the contracts of all runs."""
