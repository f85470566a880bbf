"""Kinds of which nothing is kept: one file that defines `VIRTUAL = Virtual(...)` answers the requests of each group."""
