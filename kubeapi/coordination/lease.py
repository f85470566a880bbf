"""Lease: who holds a role (leader election) or is alive (a node's heartbeat), and until when."""

from __future__ import annotations

from pydantic import Field

from apimachinery.columns import AGE, NAME
from apimachinery.errors import FieldError
from apimachinery.meta import Object
from apimachinery.model import Int32, MicroTime, Model
from apimachinery.names import qualified_name_errors
from apimachinery.resource import Column, Resource, Strategy
from apimachinery.validation import POSITIVE, Errors


class LeaseSpec(
    Model,
    protobuf="holderIdentity leaseDurationSeconds* acquireTime renewTime leaseTransitions* strategy preferredHolder",
):
    """Who holds the lease, and until when."""

    holderIdentity: str | None = None
    """The name of the holder; absent when nobody holds it."""
    leaseDurationSeconds: Int32 | None = None
    """Seconds after renewTime at which others may take it."""
    acquireTime: MicroTime | None = None
    """When the holder got it."""
    renewTime: MicroTime | None = None
    """When the holder last showed that it is alive."""
    leaseTransitions: Int32 | None = None
    """How often it went from one holder to another."""
    strategy: str | None = None
    """How the next holder is chosen, where that is coordinated: OldestEmulationVersion."""
    preferredHolder: str | None = None
    """Who should get it next."""


class Lease(Object, protobuf="metadata spec"):
    """Says who has a role, such as leading, or who is alive."""

    spec: LeaseSpec = Field(default_factory=LeaseSpec)
    """The holder and its times."""


class LeaseStrategy(Strategy[Lease]):
    """Source: Kubernetes documentation, "Leases"."""

    generation_tracks_spec = False
    allow_unconditional_update = False
    allow_create_on_update = True

    def validate(self, obj: Lease) -> list[FieldError]:
        errors, spec = Errors(), obj.spec
        if spec.leaseDurationSeconds is not None and spec.leaseDurationSeconds <= 0:
            errors.invalid(("spec", "leaseDurationSeconds"), spec.leaseDurationSeconds, POSITIVE)
        errors.check_not_negative(("spec", "leaseTransitions"), spec.leaseTransitions)
        if spec.strategy is not None:
            errors.check_messages(("spec", "strategy"), spec.strategy, _strategy_errors(spec.strategy))
        if spec.preferredHolder and not spec.strategy:
            errors.forbidden(("spec", "preferredHolder"), "may only be specified if `strategy` is defined")
        return errors


def _strategy_errors(strategy: str) -> list[str]:
    """A strategy of Kubernetes' own, or one with a vendor's domain."""
    if "/" not in strategy and strategy != "OldestEmulationVersion":
        return ["must be OldestEmulationVersion or a qualified name with a domain"]
    return qualified_name_errors(strategy)


RESOURCE = Resource(
    kind="Lease",
    plural="leases",
    model=Lease,
    group="coordination.k8s.io",
    strategy=LeaseStrategy(),
    columns=(
        NAME,
        Column("Holder", lambda obj, now: obj.spec.holderIdentity or "", description="Who holds the lease."),
        AGE,
    ),
)
