"""Columns: from pages to chunks, frames and files, with one thread or several."""
