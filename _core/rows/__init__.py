"""The one loop that reads the members of a row, what it reads them into, and the iterator that every scan is."""
