"""The descriptions of core kinds."""
