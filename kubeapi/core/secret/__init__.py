"""Secret: the kind, and the rules of the two types of it that hold tokens."""
