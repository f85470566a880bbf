"""ResourceQuotaConfiguration: the kinds whose use is refused in a namespace without a quota for it.

Source: Kubernetes documentation, "Resource Quotas: Limit Priority Class consumption by default".
"""

from __future__ import annotations

from typing import Any

from apimachinery.model import Model
from apimachinery.validation import Errors
from apiserver.admission.limits._charge import Limited
from componentbase.configfile import decode_config, require_valid
from kubeapi.core.resourcequota.model import ScopedResourceSelectorRequirement

KIND = "ResourceQuotaConfiguration"


class LimitedResource(Model):
    """A kind whose use is limited by default."""

    apiGroup: str | None = None
    """The group of the kind."""
    resource: str = ""
    """Its plural."""
    matchContains: list[str] | None = None
    """Parts of the names of resources that need a quota: `cpu` stands for requests.cpu as well."""
    matchScopes: list[ScopedResourceSelectorRequirement] | None = None
    """Scopes whose objects need a quota with that scope."""


class ResourceQuotaConfiguration(Model):
    """The configuration as it stands in the file."""

    limitedResources: list[LimitedResource] | None = None
    """The kinds that are limited by default."""


KINDS = {("apiserver.config.k8s.io/v1", KIND): ResourceQuotaConfiguration}


def read_limited(document: Any) -> tuple[Limited, ...]:
    """Raises: ConfigFileError."""
    items = decode_config(document, KINDS).limitedResources or []
    errors = Errors()
    for index, item in enumerate(items):
        if not item.resource:
            errors.required(("limitedResources", index, "resource"))
    require_valid(KIND, errors)
    return tuple(
        Limited(item.apiGroup or "", item.resource, tuple(item.matchContains or ()), tuple(item.matchScopes or ()))
        for item in items
    )
