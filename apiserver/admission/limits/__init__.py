"""Plugins that hold a namespace, or the whole server, to limits."""
