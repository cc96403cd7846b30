"""Memory of columns that consumers have returned, for the next ones."""
