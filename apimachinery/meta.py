"""What every object and every list carries."""

from __future__ import annotations

from typing import Annotated, Generic, TypeVar

from pydantic import Field

from apimachinery.model import MergeKey, Model, Time

O = TypeVar("O", bound="Object")  # noqa: E741


class OwnerReference(Model, protobuf="kind - name uid apiVersion controller* blockOwnerDeletion*"):
    """Names an object in the same namespace, or a cluster-scoped one, that this object belongs to."""

    map_type = "atomic"

    apiVersion: str = ""
    """The group and version of the owner's kind."""
    kind: str = ""
    """The kind of the owner."""
    name: str = ""
    """The name of the owner."""
    uid: str = ""
    """The uid of the owner: one of the same name that was made later is not meant."""
    controller: bool | None = None
    """Whether the owner is the one controller that manages this object. At most one reference may say so."""
    blockOwnerDeletion: bool | None = None
    """Whether an owner that is deleted in the foreground waits until this object is gone."""


class ManagedFieldsEntry(Model):
    """The fields that one manager set by one way of writing, and when."""

    manager: str | None = None
    """The name of whoever wrote the fields: a program, or the field manager it named."""
    operation: str | None = None
    """How the fields were written: Apply by server-side apply, Update by any other write."""
    apiVersion: str | None = None
    """The group and version that the fields are named in."""
    time: Time | None = None
    """When the manager last changed a field of this entry, or came to own another."""
    fieldsType: str | None = None
    """The form of fieldsV1; FieldsV1 is the only one."""
    fieldsV1: Annotated[dict[str, object], "FieldsV1"] | None = None
    """The fields themselves, as a tree of their names."""
    subresource: str | None = None
    """The subresource by which they were written, such as status; absent for the object itself."""


class ObjectMeta(
    Model,
    protobuf="name generateName namespace selfLink uid resourceVersion generation creationTimestamp deletionTimestamp "
    "deletionGracePeriodSeconds* labels annotations ownerReferences finalizers",
):
    """What every stored object has, whatever its kind: identity, labels, owners and history."""

    name: str | None = None
    """The name, unique for the kind within its namespace. It can't be changed."""
    generateName: str | None = None
    """A prefix from which the server makes a name with five random characters, where `name` is not given."""
    namespace: str | None = None
    """The namespace the object lives in, "default" for most clients that don't say. It can't be changed. Absent for
    cluster-scoped kinds."""
    uid: str | None = None
    """The server's own id of this object: another one of the same name, made later, has another uid."""
    resourceVersion: str | None = None
    """The revision at which the object was last written. To be compared for equality only; a write that carries an old
    one is refused as a conflict."""
    generation: int | None = None
    """A number that grows with each change of what is wanted, which is `spec` for most kinds. Starts at 1."""
    creationTimestamp: Time | None = None
    """When the server stored the object first."""
    deletionTimestamp: Time | None = None
    """When the object is to be gone, or its grace period is over. Set by the server on a deletion that has to wait; it
    can't be taken back."""
    deletionGracePeriodSeconds: int | None = None
    """Seconds between the request to delete the object and its deletionTimestamp. May only be shortened."""
    labels: dict[str, str] | None = None
    """Short keys and values by which objects are selected. Keys may have a DNS prefix; values have at most 63
    characters."""
    annotations: dict[str, str] | None = None
    """Keys and values of any length, up to 256 KiB together, that tools keep with the object. They are not selected
    by."""
    ownerReferences: Annotated[list[OwnerReference], MergeKey("uid")] | None = None
    """The objects that this one belongs to. When all of them are gone the garbage collector deletes it."""
    finalizers: Annotated[list[str], MergeKey("")] | None = None
    """Who has to do something before the object may go. A deletion waits until the list is empty."""
    managedFields: list[ManagedFieldsEntry] | None = None
    """Which manager set which fields. Kept by the server for server-side apply; an empty list clears it."""
    selfLink: str | None = None
    """No longer set. It was the path of the object."""


class Object(Model):
    """A stored object. A kind's model subclasses it and adds `spec`, `status`, `data` …"""

    kind: str | None = None
    """The kind of the object in CamelCase, such as Pod. May be left out in a request: the path says it already."""
    apiVersion: str | None = None
    """The group and version that the object is written in, such as apps/v1, or v1 for the core group."""
    metadata: ObjectMeta = Field(default_factory=ObjectMeta)
    """The object's name, labels, owners and what else all objects have."""

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
    """What every list has."""

    resourceVersion: str | None = None
    """The revision that the list shows: a watch from here on misses nothing."""
    continue_: str | None = Field(default=None, alias="continue")
    """A token for the next page, where the list has more items than were asked for."""
    remainingItemCount: int | None = None
    """How many items follow this page; absent when unknown or when selectors are used."""


class ObjectList(Model, Generic[O]):
    """A list of objects of one kind."""

    kind: str | None = None
    """The kind of the objects with List after it, such as PodList."""
    apiVersion: str | None = None
    """The group and version that the items are written in."""
    metadata: ListMeta = Field(default_factory=ListMeta)
    """The revision of the list, and the way to its next page."""
    items: list[O] = Field(default_factory=list)
    """The objects, by namespace and name."""


class LabelSelectorRequirement(Model, protobuf="key operator values"):
    """A condition on one label."""

    key: str = ""
    """The label that the condition is about."""
    operator: str = ""
    """How the label is compared: In, NotIn, Exists or DoesNotExist."""
    values: list[str] | None = None
    """What In and NotIn compare with, at least one. Must be empty for Exists and DoesNotExist."""


class LabelSelector(Model, protobuf="matchLabels matchExpressions"):
    """Selects objects by their labels; all conditions must hold. Empty, it selects everything."""

    map_type = "atomic"

    matchLabels: dict[str, str] | None = None
    """Labels that must be there with exactly these values."""
    matchExpressions: list[LabelSelectorRequirement] | None = None
    """Conditions beyond equality."""


class Condition(Model, protobuf="type status observedGeneration lastTransitionTime reason message"):
    """The common status condition of newer kinds (`metav1.Condition`)."""

    type: str = ""
    """What is observed, in CamelCase, such as Ready."""
    status: str = ""
    """Whether it is so: True, False or Unknown."""
    observedGeneration: int | None = None
    """The metadata.generation that the observation was made for."""
    lastTransitionTime: Time | None = None
    """When `status` last changed from one value to another."""
    reason: str = ""
    """One CamelCase word that says why, for machines."""
    message: str = ""
    """A sentence that says why, for people."""


class Preconditions(Model, protobuf="uid resourceVersion"):
    """What must be true of an object for a deletion to take place; otherwise it is a conflict."""

    uid: str | None = None
    """The uid that the object must have."""
    resourceVersion: str | None = None
    """The revision that the object must be at."""


class DeleteOptions(Model, protobuf="gracePeriodSeconds* preconditions orphanDependents* propagationPolicy dryRun"):
    """How an object is to be deleted."""

    kind: str | None = None
    """DeleteOptions, or nothing."""
    apiVersion: str | None = None
    """The group and version of the options, such as v1."""
    gracePeriodSeconds: Annotated[int, Field(ge=-(2**63), lt=2**63)] | None = None
    """Seconds that the object has to end by itself; 0 deletes at once. Default: what the kind says, 30 for pods."""
    preconditions: Preconditions | None = None
    """What must be true of the object, or nothing is deleted."""
    orphanDependents: bool | None = None
    """Replaced by propagationPolicy: true is the same as Orphan."""
    propagationPolicy: str | None = None
    """What becomes of the objects that this one owns: Background deletes them afterwards, Foreground before it, Orphan
    leaves them."""
    dryRun: list[str] | None = None
    """["All"] checks the request and deletes nothing."""
