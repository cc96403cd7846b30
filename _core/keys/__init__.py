"""Keys by their bytes, the order in which rows have them, and which of them were requested."""
