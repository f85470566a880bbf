"""The verbs, one a file, in folders that are the groups of the overview."""
