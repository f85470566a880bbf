"""CustomResourceDefinition: served as an empty list, as this server does not take kinds at run time.

kubectl lists them before it reports an unknown kind. Without the list it would report a failure of the server.
"""

from __future__ import annotations

from pydantic import Field

from apimachinery.columns import NAME
from apimachinery.meta import Object
from apimachinery.resource import Column, Resource


class CustomResourceDefinition(Object):
    """A kind that is added to a cluster at run time."""

    spec: dict[str, object] = Field(default_factory=dict)
    """The definition of the kind: its group, names, scope, and the schema of each version."""


RESOURCE = Resource(
    kind="CustomResourceDefinition",
    plural="customresourcedefinitions",
    model=CustomResourceDefinition,
    group="apiextensions.k8s.io",
    namespaced=False,
    short_names=("crd", "crds"),
    categories=("api-extensions",),
    columns=(
        NAME,
        Column("Created At", lambda obj, now: obj.metadata.creationTimestamp, "The creation time.", "date"),
    ),
    verbs=("get", "list", "watch"),
)
