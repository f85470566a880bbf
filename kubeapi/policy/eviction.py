"""Eviction (policy/v1): the body of `POST …/pods/NAME/eviction`."""

from __future__ import annotations

from apimachinery.meta import DeleteOptions, Object
from apimachinery.resource import Resource


class Eviction(Object, protobuf="metadata deleteOptions"):
    """Requests the deletion of a pod, unless a PodDisruptionBudget forbids it."""

    deleteOptions: DeleteOptions | None = None
    """The options of the deletion."""


RESOURCE = Resource(kind="Eviction", plural="evictions", model=Eviction, group="policy", verbs=())
