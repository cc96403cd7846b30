"""Fuzzing: targets with oracles, their corpus, and what runs them (README.md)."""
