"""Verbs for labels, annotations and the shell."""

from kubectl.invocation.command import CommandGroup

GROUP = CommandGroup("Settings Commands", 6)
