"""Bytes: the bounds-checked cursor, vectors, numbers, checksums; and the words for what can be wrong with them."""
