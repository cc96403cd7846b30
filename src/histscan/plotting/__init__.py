"""Plots keys of a run's history to PNG, SVG and PDF."""
