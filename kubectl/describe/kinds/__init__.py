"""The descriptions of kinds: a folder for each group, a file for each kind."""
