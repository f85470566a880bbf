"""One verb a file; each serves every kind."""
