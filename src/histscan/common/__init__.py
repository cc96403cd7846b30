"""Shared by all packages: steps of rows, lazy properties and locks that work after forks, atomic files."""
