"""Verbs that work on manifests and whole objects."""

from kubectl.invocation.command import CommandGroup

GROUP = CommandGroup("Advanced Commands", 5)
