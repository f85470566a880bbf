"""Plugins for requests for certificates."""
