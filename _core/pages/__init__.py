"""Pages: raw bytes and where their rows are, a module for each encoding."""
