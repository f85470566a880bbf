"""Verbs for whoever keeps the nodes."""

from kubectl.invocation.command import CommandGroup

GROUP = CommandGroup("Cluster Management Commands", 3)
