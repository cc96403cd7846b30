"""Rows of Python objects as cells."""
