"""Arrow's C data interface: record batches as rows and columns, and columns as streams."""
