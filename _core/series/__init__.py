"""Columns of numbers that several runs share: selected rows, rows on a common axis, statistics of groups."""
