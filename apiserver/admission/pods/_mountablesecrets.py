"""Limits a pod to the Secrets that its service account lists, where the account is annotated so.

Source: Kubernetes documentation, "Service Accounts", "Enforce mountable secrets" (deprecated upstream, and still held).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from componentbase.flags import TRUE
from kubeapi.core.serviceaccount import ServiceAccount

ENFORCED = "kubernetes.io/enforce-mountable-secrets"


def forbidden_secrets(spec: Any, account: ServiceAccount) -> Iterator[str]:
    """Yields why the pod may not refer to Secrets that it refers to."""
    if account.annotations.get(ENFORCED) not in TRUE:
        return
    mountable = {ref.name for ref in account.secrets or ()}
    for where, name in _references(spec):
        if name not in mountable:
            who = f"service account {account.name}"
            yield f'{where}="{name}" is not allowed because {who} does not reference that secret'
    pulling = {ref.name for ref in account.imagePullSecrets or ()}
    for index, ref in enumerate(spec.imagePullSecrets or ()):
        if ref.name not in pulling:
            yield (
                f'imagePullSecrets[{index}].name="{ref.name}" is not allowed because service account {account.name} '
                "does not reference that imagePullSecret"
            )


def _references(spec: Any) -> Iterator[tuple[str, str]]:
    """Yields where a Secret is named, and its name."""
    for volume in spec.volumes or ():
        if volume.secret is not None:
            yield "volume with secret.secretName", volume.secret.secretName
    for prefix, containers in (
        ("init container", spec.initContainers),
        ("container", spec.containers),
        ("ephemeral container", spec.ephemeralContainers),
    ):
        for container in containers or ():
            for env in container.env or ():
                if env.valueFrom is not None and env.valueFrom.secretKeyRef is not None:
                    where = f"{prefix} {container.name} with envVar {env.name} referencing secret.secretName"
                    yield where, env.valueFrom.secretKeyRef.name
            for source in container.envFrom or ():
                if source.secretRef is not None:
                    where = f"{prefix} {container.name} with envFrom referencing secret.secretName"
                    yield where, source.secretRef.name
