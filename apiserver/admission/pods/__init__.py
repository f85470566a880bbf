"""Plugins for pods alone."""
