"""Plugins that look at one pod alone."""
