"""Functions of expressions: one file that defines `LIBRARY = Library(...)` is the whole extension."""
