"""Kinds that are not stored: one file that defines `VIRTUAL = Virtual(...)` answers the requests of each group."""
