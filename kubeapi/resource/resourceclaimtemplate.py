"""ResourceClaimTemplate: the template of the claims that are made for pods."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from apimachinery.columns import AGE, NAME
from apimachinery.errors import FieldError
from apimachinery.meta import Object, ObjectMeta
from apimachinery.model import Model, Required
from apimachinery.resource import Resource, Strategy
from apimachinery.validation import Errors
from kubeapi.resource._devices import GROUP
from kubeapi.resource.resourceclaim.model import ResourceClaimSpec
from kubeapi.resource.resourceclaim.resource import default_claim
from kubeapi.resource.resourceclaim.validation import check_claim_spec


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
    compiles = True

    def default(self, obj: ResourceClaimTemplate) -> None:
        default_claim(obj.spec.spec)

    def validate(self, obj: ResourceClaimTemplate) -> list[FieldError]:
        errors, meta = Errors(), obj.spec.metadata
        errors.check_annotations(("spec", "metadata", "annotations"), meta.annotations)
        errors.check_labels(("spec", "metadata", "labels"), meta.labels)
        check_claim_spec(errors, ("spec", "spec"), obj.spec.spec)
        return errors

    def validate_update(self, obj: ResourceClaimTemplate, old: ResourceClaimTemplate) -> list[FieldError]:
        errors = Errors()
        errors.check_immutable(("spec",), obj.spec, old.spec)
        return errors


RESOURCE = Resource(
    kind="ResourceClaimTemplate",
    plural="resourceclaimtemplates",
    model=ResourceClaimTemplate,
    group=GROUP,
    strategy=ResourceClaimTemplateStrategy(),
    columns=(NAME, AGE),
)
