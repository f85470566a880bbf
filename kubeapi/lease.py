"""Lease: who holds a role (leader election) or is alive (a node's heartbeat), and until when."""

from __future__ import annotations

from pydantic import Field

from apimachinery.meta import Object
from apimachinery.model import Model, Time
from apimachinery.resource import Resource
from kubeapi._common import Int32


class LeaseSpec(Model):
    holderIdentity: str | None = None
    leaseDurationSeconds: Int32 | None = None
    acquireTime: Time | None = None
    renewTime: Time | None = None
    leaseTransitions: Int32 | None = None
    strategy: str | None = None
    preferredHolder: str | None = None


class Lease(Object):
    spec: LeaseSpec = Field(default_factory=LeaseSpec)


RESOURCE = Resource(kind="Lease", plural="leases", model=Lease, group="coordination.k8s.io", storage_prefix="leases")
