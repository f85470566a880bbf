"""Eviction (policy/v1): the body of `POST …/pods/NAME/eviction`."""

from __future__ import annotations

from apimachinery.meta import DeleteOptions, Object
from apimachinery.resource import Resource


class Eviction(Object, protobuf="metadata deleteOptions"):
    """Asks that a pod be deleted, unless that would leave too few of its kind."""

    deleteOptions: DeleteOptions | None = None
    """How the pod is to be deleted."""


RESOURCE = Resource(kind="Eviction", plural="evictions", model=Eviction, group="policy", verbs=())
