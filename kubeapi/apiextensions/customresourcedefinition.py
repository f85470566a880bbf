"""CustomResourceDefinition: can be read, and there are none: this server takes no kinds at run time.

kubectl lists them before it says that a kind is unknown; without a list it says that the server is at fault.
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
        Column("Created At", lambda obj, now: obj.metadata.creationTimestamp, "date", description="When it was made."),
    ),
    verbs=("get", "list", "watch"),
)
