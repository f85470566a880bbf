"""Verbs for the first day: they make, show and change objects."""

from kubectl.invocation.command import CommandGroup

GROUP = CommandGroup("Basic Commands", 1)
