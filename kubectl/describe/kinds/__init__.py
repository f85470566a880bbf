"""The descriptions of kinds, one a file of the kind's name in lower case."""
