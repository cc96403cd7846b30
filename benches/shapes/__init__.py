"""Every shape of row in every encoding, against the libraries that read the same text."""
