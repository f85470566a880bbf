"""ServiceAccount: the identity of pods towards the API."""

from __future__ import annotations

from typing import Annotated

from apimachinery.columns import AGE, NAME
from apimachinery.meta import Object
from apimachinery.model import MergeKey
from apimachinery.resource import Resource
from kubeapi.core._references import LocalObjectReference, ObjectReference


class ServiceAccount(Object, protobuf="metadata secrets imagePullSecrets automountServiceAccountToken*"):
    """An identity for the processes in pods."""

    secrets: Annotated[list[ObjectReference], MergeKey("name")] | None = None
    """Secrets that pods of the account may mount."""
    imagePullSecrets: list[LocalObjectReference] | None = None
    """Secrets with credentials for pulling images, for pods that do not name any."""
    automountServiceAccountToken: bool | None = None
    """Whether pods of the account get a token. A pod may override it. Default: true."""


RESOURCE = Resource(
    kind="ServiceAccount",
    plural="serviceaccounts",
    model=ServiceAccount,
    short_names=("sa",),
    returned_on_delete=True,
    columns=(NAME, AGE),
)
