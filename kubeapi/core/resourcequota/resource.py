"""The ResourceQuota kind: the strategy of writes, and the columns."""

from __future__ import annotations

from apimachinery.columns import AGE, NAME
from apimachinery.errors import FieldError
from apimachinery.resource import Column, Resource, Strategy
from apimachinery.validation import IMMUTABLE, Errors
from kubeapi.core.resourcequota.model import ResourceQuota
from kubeapi.core.resourcequota.validation import check_amounts, check_spec


class ResourceQuotaStrategy(Strategy[ResourceQuota]):
    """Source: Kubernetes documentation, "Resource Quotas"."""

    generation_tracks_spec = False

    def validate(self, obj: ResourceQuota) -> list[FieldError]:
        errors = Errors()
        check_spec(errors, obj.spec)
        return errors

    def validate_update(self, obj: ResourceQuota, old: ResourceQuota) -> list[FieldError]:
        errors = Errors()
        if set(obj.spec.scopes or ()) != set(old.spec.scopes or ()):
            errors.invalid(("spec", "scopes"), obj.spec.scopes, IMMUTABLE)
        return errors

    def validate_status_update(self, obj: ResourceQuota, old: ResourceQuota) -> list[FieldError]:
        errors = Errors()
        check_amounts(errors, ("status", "hard"), obj.status.hard)
        check_amounts(errors, ("status", "used"), obj.status.used)
        return errors


def _uses(obj: ResourceQuota, *, limits: bool) -> str:
    """ "pods: 1/10, requests.cpu: 0/2": the use of the limits of containers, or of everything else."""
    used, hard = obj.status.used or {}, obj.status.hard or {}
    names = [name for name in sorted(hard) if name.startswith("limits.") is limits]
    return ", ".join(f"{name}: {used.get(name, '0')}/{hard[name]}" for name in names)


RESOURCE = Resource(
    kind="ResourceQuota",
    plural="resourcequotas",
    model=ResourceQuota,
    short_names=("quota",),
    strategy=ResourceQuotaStrategy(),
    status=True,
    returned_on_delete=True,
    columns=(
        NAME,
        Column(
            "Request",
            lambda obj, now: _uses(obj, limits=False),
            "The use of requests and numbers of objects, each with the most that is allowed.",
        ),
        Column(
            "Limit", lambda obj, now: _uses(obj, limits=True), "The use of limits, each with the most that is allowed."
        ),
        AGE,
    ),
)
