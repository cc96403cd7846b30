"""Stands in for PyTorch, which is too large to install for one recipe."""
