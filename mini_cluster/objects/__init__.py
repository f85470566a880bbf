"""The objects that a cluster needs beside those that its API server makes by itself."""
