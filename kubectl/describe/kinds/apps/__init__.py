"""The descriptions of the kinds in apps."""
