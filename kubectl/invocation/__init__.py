"""One invocation of a verb: its command line, its flags and its connection to the cluster."""
