"""Keys by their bytes, the order in which rows bring them, and which of them were requested."""
