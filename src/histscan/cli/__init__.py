"""The ``histscan`` command."""
