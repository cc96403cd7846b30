"""The compiled core: pages of raw bytes in, rows or columns out; no I/O of its own."""
