"""The text of `describe`: a section of its own for each kind that has one, and one for all others."""
