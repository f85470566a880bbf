"""Writing to the cluster: patches, deletions, waiting, and reports of the outcome."""
