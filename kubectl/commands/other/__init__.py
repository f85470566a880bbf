"""Verbs about the server, the kubeconfig and mini-kubectl itself."""

from kubectl.invocation.command import CommandGroup

GROUP = CommandGroup("Other Commands", 7)
