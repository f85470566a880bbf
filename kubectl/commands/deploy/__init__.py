"""Verbs for what runs in many copies."""

from kubectl.invocation.command import CommandGroup

GROUP = CommandGroup("Deploy Commands", 2)
