"""HTML for notebooks: tables, values and small curves. Knows nothing of runs."""
