"""ResourceQuota: how much the objects of a namespace may use together."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from apimachinery.meta import Object
from apimachinery.model import Model, OneOf
from apimachinery.quantity import ResourceList


class ScopedResourceSelectorRequirement(Model, protobuf="scopeName operator values"):
    """A condition for the objects that a quota is about."""

    scopeName: str = ""
    """The aspect of the object that is looked at: `Terminating`, `NotTerminating`, `BestEffort`, `NotBestEffort`,
    `PriorityClass`, `CrossNamespacePodAffinity` or `VolumeAttributesClass`."""
    operator: Annotated[str, OneOf("DoesNotExist", "Exists", "In", "NotIn")] = ""
    """The comparison with the values: In, NotIn, Exists or DoesNotExist. Scopes that are not about a class take Exists
    alone."""
    values: list[str] | None = None
    """The names that In and NotIn compare with."""


class ScopeSelector(Model, protobuf="matchExpressions"):
    """Conditions that must all hold."""

    map_type = "atomic"

    matchExpressions: list[ScopedResourceSelectorRequirement] | None = None
    """The conditions."""


class ResourceQuotaSpec(Model, protobuf="hard scopes scopeSelector"):
    """What may be used."""

    hard: ResourceList | None = None
    """The most that may be used of each resource: `requests.cpu`, `limits.memory`, `pods`, `count/deployments.apps`."""
    scopes: list[str] | None = None
    """The scopes that an object must be in for the quota to be about it. Default: the quota is about all objects."""
    scopeSelector: ScopeSelector | None = None
    """The same with operators and values."""


class ResourceQuotaStatus(Model, protobuf="hard used"):
    """What is enforced and used at this moment."""

    hard: ResourceList | None = None
    """The most that may be used, as it is enforced."""
    used: ResourceList | None = None
    """The use of each resource by all objects of the namespace."""


class ResourceQuota(Object, protobuf="metadata spec status"):
    """Limits for all objects of a namespace together."""

    spec: ResourceQuotaSpec = Field(default_factory=ResourceQuotaSpec)
    """What may be used."""
    status: ResourceQuotaStatus = Field(default_factory=ResourceQuotaStatus)
    """What is enforced and used at this moment."""


EXISTS = "Exists"


def conditions(spec: ResourceQuotaSpec) -> list[ScopedResourceSelectorRequirement]:
    """Returns all conditions for the objects that a quota is about."""
    selector = spec.scopeSelector.matchExpressions if spec.scopeSelector is not None else None
    return [
        *(ScopedResourceSelectorRequirement(scopeName=scope, operator=EXISTS) for scope in spec.scopes or ()),
        *(selector or ()),
    ]
