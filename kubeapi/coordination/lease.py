"""Lease: the holder of a role (leader election) or a sign of life (the heartbeat of a node), with its times."""

from __future__ import annotations

from pydantic import Field

from apimachinery.columns import AGE, NAME
from apimachinery.errors import FieldError
from apimachinery.meta import Object
from apimachinery.model import Int32, MicroTime, Model
from apimachinery.resource import Column, Resource, Strategy
from apimachinery.validation import POSITIVE, Errors

NODE_LEASES = "kube-node-lease"
"""The namespace of the nodes' heartbeats."""


class LeaseSpec(
    Model,
    protobuf="holderIdentity* leaseDurationSeconds* acquireTime renewTime leaseTransitions* strategy* preferredHolder*",
):
    """The holder of the lease and its times."""

    holderIdentity: str | None = None
    """The name of the holder; absent when the lease is free."""
    leaseDurationSeconds: Int32 | None = None
    """Seconds after renewTime until others may take the lease."""
    acquireTime: MicroTime | None = None
    """The time at which the holder acquired the lease."""
    renewTime: MicroTime | None = None
    """The time at which the holder last renewed the lease."""
    leaseTransitions: Int32 | None = None
    """The number of times that the lease changed hands."""
    strategy: str | None = None
    """The rule for choosing the next holder in coordinated leader election: OldestEmulationVersion."""
    preferredHolder: str | None = None
    """The candidate that should get the lease next."""


class Lease(Object, protobuf="metadata spec"):
    """Records the holder of a role, such as a leader, or a sign of life."""

    spec: LeaseSpec = Field(default_factory=LeaseSpec)
    """The holder and its times."""


class LeaseStrategy(Strategy[Lease]):
    """Source: Kubernetes documentation, "Leases"."""

    generation_tracks_spec = False
    plain_finalizers = True
    allow_unconditional_update = False
    allow_create_on_update = True

    def prepare_create(self, obj: Lease) -> None:
        """Drops the fields of coordinated leader election, which upstream has switched off by default."""
        obj.spec.strategy = obj.spec.preferredHolder = None

    def prepare_update(self, obj: Lease, old: Lease) -> None:
        self.prepare_create(obj)

    def validate(self, obj: Lease) -> list[FieldError]:
        errors, spec = Errors(), obj.spec
        if spec.leaseDurationSeconds is not None and spec.leaseDurationSeconds <= 0:
            errors.invalid(("spec", "leaseDurationSeconds"), spec.leaseDurationSeconds, POSITIVE)
        errors.check_not_negative(("spec", "leaseTransitions"), spec.leaseTransitions)
        return errors


RESOURCE = Resource(
    kind="Lease",
    plural="leases",
    model=Lease,
    group="coordination.k8s.io",
    strategy=LeaseStrategy(),
    columns=(
        NAME,
        Column("Holder", lambda obj, now: obj.spec.holderIdentity or "", "The holder of the lease."),
        AGE,
    ),
)
