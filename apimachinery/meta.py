"""What every object and every list carries."""

from __future__ import annotations

from typing import Annotated, Generic, TypeVar

from pydantic import Field

from apimachinery.model import MergeKey, Model, Time

O = TypeVar("O", bound="Object")  # noqa: E741


class OwnerReference(Model):
    map_type = "atomic"

    apiVersion: str = ""
    kind: str = ""
    name: str = ""
    uid: str = ""
    controller: bool | None = None
    blockOwnerDeletion: bool | None = None


class ManagedFieldsEntry(Model):
    manager: str | None = None
    operation: str | None = None
    apiVersion: str | None = None
    time: Time | None = None
    fieldsType: str | None = None
    fieldsV1: Annotated[dict[str, object], "FieldsV1"] | None = None
    subresource: str | None = None


class ObjectMeta(Model):
    name: str | None = None
    generateName: str | None = None
    namespace: str | None = None
    uid: str | None = None
    resourceVersion: str | None = None
    generation: int | None = None
    creationTimestamp: Time | None = None
    deletionTimestamp: Time | None = None
    deletionGracePeriodSeconds: int | None = None
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None
    ownerReferences: Annotated[list[OwnerReference], MergeKey("uid")] | None = None
    finalizers: Annotated[list[str], MergeKey("")] | None = None
    managedFields: list[ManagedFieldsEntry] | None = None
    selfLink: str | None = None


class Object(Model):
    """A stored object. A kind's model subclasses it and adds `spec`, `status`, `data` …"""

    kind: str | None = None
    apiVersion: str | None = None
    metadata: ObjectMeta = Field(default_factory=ObjectMeta)

    @property
    def name(self) -> str:
        return self.metadata.name or ""

    @property
    def namespace(self) -> str:
        """ "" for cluster-scoped objects."""
        return self.metadata.namespace or ""

    @property
    def key(self) -> str:
        """ "namespace/name", or "name" for cluster-scoped objects: how queues and logs name objects."""
        meta = self.metadata
        return f"{meta.namespace}/{meta.name}" if meta.namespace else meta.name or ""

    @property
    def labels(self) -> dict[str, str]:
        return self.metadata.labels or {}

    @property
    def annotations(self) -> dict[str, str]:
        return self.metadata.annotations or {}


def split_key(key: str) -> tuple[str, str]:
    """ "ns/name" -> ("ns", "name"); "name" -> ("", "name")."""
    namespace, _, name = key.rpartition("/")
    return namespace, name


def controller_of(obj: Object) -> OwnerReference | None:
    """The owner reference with `controller: true`, if any."""
    return next((ref for ref in obj.metadata.ownerReferences or () if ref.controller), None)


class ListMeta(Model):
    resourceVersion: str | None = None
    continue_: str | None = Field(default=None, alias="continue")
    remainingItemCount: int | None = None


class ObjectList(Model, Generic[O]):
    kind: str | None = None
    apiVersion: str | None = None
    metadata: ListMeta = Field(default_factory=ListMeta)
    items: list[O] = Field(default_factory=list)


class LabelSelectorRequirement(Model):
    key: str = ""
    operator: str = ""
    values: list[str] | None = None


class LabelSelector(Model):
    map_type = "atomic"

    matchLabels: dict[str, str] | None = None
    matchExpressions: list[LabelSelectorRequirement] | None = None


class Condition(Model):
    """The common status condition of newer kinds (`metav1.Condition`)."""

    type: str = ""
    status: str = ""
    observedGeneration: int | None = None
    lastTransitionTime: Time | None = None
    reason: str = ""
    message: str = ""


class Preconditions(Model):
    uid: str | None = None
    resourceVersion: str | None = None


class DeleteOptions(Model):
    kind: str | None = None
    apiVersion: str | None = None
    gracePeriodSeconds: int | None = None
    preconditions: Preconditions | None = None
    orphanDependents: bool | None = None
    propagationPolicy: str | None = None
    dryRun: list[str] | None = None
