"""A pool that reuses the memory of columns which consumers have released."""
