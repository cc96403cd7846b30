"""JSON text, exactly as Python's json reads it: tokens, strings, values, skipping and writing."""
