"""Verbs that look into things, and into containers."""

from kubectl.invocation.command import CommandGroup

GROUP = CommandGroup("Troubleshooting and Debugging Commands", 4)
