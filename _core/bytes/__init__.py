"""Bytes: the bounds-checked cursor, vectors, numbers, checksums; and the messages of faults."""
