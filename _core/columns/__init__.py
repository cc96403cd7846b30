"""Columns: from members of rows to cells, chunks and their types."""
