"""mini-kubectl: the command line of the API. One verb a file in `commands/`."""
