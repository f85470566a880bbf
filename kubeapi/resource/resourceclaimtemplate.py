"""ResourceClaimTemplate: the template of the claims that are made for pods."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from apimachinery.columns import AGE, NAME
from apimachinery.meta import Object, ObjectMeta
from apimachinery.model import Model, Required
from apimachinery.resource import Resource, Strategy
from kubeapi.resource._devices import GROUP
from kubeapi.resource.resourceclaim.model import ResourceClaimSpec
from kubeapi.resource.resourceclaim.resource import default_claim


class ResourceClaimTemplateSpec(Model, protobuf="metadata spec"):
    """The claims that are made."""

    metadata: ObjectMeta = Field(default_factory=ObjectMeta)
    """Labels and annotations of the claims; nothing else."""
    spec: Annotated[ResourceClaimSpec, Required()] = Field(default_factory=ResourceClaimSpec)
    """The spec of the claims."""


class ResourceClaimTemplate(Object, protobuf="metadata spec"):
    """Makes a ResourceClaim for each pod that names it."""

    spec: Annotated[ResourceClaimTemplateSpec, Required()] = Field(default_factory=ResourceClaimTemplateSpec)
    """The claims that are made. It can't be changed."""


class ResourceClaimTemplateStrategy(Strategy[ResourceClaimTemplate]):
    """Source: Kubernetes API reference, "ResourceClaimTemplate"."""

    generation_tracks_spec = False

    def default(self, obj: ResourceClaimTemplate) -> None:
        default_claim(obj.spec.spec)


RESOURCE = Resource(
    kind="ResourceClaimTemplate",
    plural="resourceclaimtemplates",
    model=ResourceClaimTemplate,
    group=GROUP,
    strategy=ResourceClaimTemplateStrategy(),
    columns=(NAME, AGE),
)
