"""Answers what every component asks about a pod's life: whether it has ended, and which init containers keep running.

Source: Kubernetes documentation, "Pod Lifecycle" and "Sidecar Containers".
"""

from __future__ import annotations

from typing import Protocol, TypeGuard

TERMINAL_PHASES = ("Succeeded", "Failed")

MIRROR_ANNOTATION = "kubernetes.io/config.mirror"
"""Marks the API's image of a static pod, which a kubelet runs by itself."""


def is_terminal(phase: str | None) -> TypeGuard[str]:
    """Tells that the pod has ended and will not run again."""
    return phase in TERMINAL_PHASES


class _Restartable(Protocol):
    @property
    def restartPolicy(self) -> str | None: ...  # noqa: N802


def is_sidecar(container: _Restartable) -> bool:
    """Tells that an init container starts in its turn and then runs beside the regular containers."""
    return container.restartPolicy == "Always"
