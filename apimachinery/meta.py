"""Metadata of objects and lists, and the types that they share."""

from __future__ import annotations

from typing import Annotated, Generic, TypeVar

from pydantic import Field

from apimachinery.absent.empty import NullIfEmpty
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
    """The uid of the owner. A later object of the same name has another uid, and is not the owner."""
    controller: bool | None = None
    """Whether the owner is the one controller that manages this object. At most one reference may say so."""
    blockOwnerDeletion: bool | None = None
    """Whether an owner that is deleted in the foreground waits until this object is gone."""


class ManagedFieldsEntry(Model, protobuf="manager operation apiVersion time - fieldsType fieldsV1* subresource"):
    """The fields that one manager set by one way of writing, and when."""

    manager: str | None = None
    """The name of the writer: a program, or the field manager that it named."""
    operation: str | None = None
    """The way in which the fields were written: Apply for server-side apply, Update for any other write."""
    apiVersion: str | None = None
    """The group and version that the fields are named in."""
    time: Time | None = None
    """When the manager last changed a field of this entry, or came to own another."""
    fieldsType: str | None = None
    """The form of fieldsV1; FieldsV1 is the only one."""
    fieldsV1: Annotated[dict[str, object], "FieldsV1"] | None = None
    """The fields themselves, as a tree of their names."""
    subresource: str | None = None
    """The subresource through which the fields were written, such as status; absent for the object itself."""


class ObjectMeta(
    Model,
    protobuf="name generateName namespace selfLink uid resourceVersion generation creationTimestamp deletionTimestamp "
    "deletionGracePeriodSeconds* labels annotations ownerReferences finalizers",
):
    """The metadata of every stored object, whatever its kind: identity, labels, owners and history."""

    name: str | None = None
    """The name, unique for the kind within its namespace. It can't be changed."""
    generateName: str | None = None
    """A prefix. Where `name` is not given, the server appends five random characters to it to make the name."""
    namespace: str | None = None
    """The namespace that the object lives in. Most clients use "default" unless told otherwise. It can't be changed.
    Absent for cluster-scoped kinds."""
    uid: str | None = None
    """The id that the server gives the object. A later object of the same name has another one."""
    resourceVersion: str | None = None
    """The revision at which the object was last written. Compare it for equality only. A write that carries an old
    revision is refused as a conflict."""
    generation: int | None = None
    """A number that grows with each change of the desired state, which is `spec` for most kinds. It starts at 1."""
    creationTimestamp: Time | None = None
    """CreationTimestamp is a timestamp of the time at which the server first stored the object."""
    deletionTimestamp: Time | None = None
    """The time at which the grace period of a deletion ends. The server sets it when a deletion has to wait. It can't
    be unset."""
    deletionGracePeriodSeconds: int | None = None
    """Seconds between the request to delete the object and its deletionTimestamp. They can only be shortened."""
    labels: dict[str, str] | None = None
    """Short keys and values by which objects are selected. Keys may have a DNS prefix; values have at most 63
    characters."""
    annotations: dict[str, str] | None = None
    """Keys and values that tools keep with the object, up to 256 KiB together. Selectors do not see them."""
    ownerReferences: Annotated[list[OwnerReference], MergeKey("uid")] | None = None
    """The objects that this one belongs to. When all of them are gone, the garbage collector deletes this one."""
    finalizers: Annotated[list[str], MergeKey("")] | None = None
    """The names of those who have work to do before the object is removed. A deletion waits until the list is empty."""
    managedFields: list[ManagedFieldsEntry] | None = None
    """The managers and the fields that each of them set. The server keeps this for server-side apply; an empty list
    clears it."""
    selfLink: str | None = None
    """No longer set. Formerly the path of the object."""


class Object(Model):
    """A stored object. A kind's model subclasses it and adds `spec`, `status`, `data` …"""

    kind: str | None = None
    """The kind of the object in CamelCase, such as Pod. A request may leave it out, as the path implies it."""
    apiVersion: str | None = None
    """APIVersion defines the group and version of the object as written, such as apps/v1, or v1 for the core group."""
    metadata: ObjectMeta = Field(default_factory=ObjectMeta)
    """Standard object's metadata: its name, labels, owners and history."""

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
    for ref in obj.metadata.ownerReferences or ():
        if ref.controller:
            return ref
    return None


class ListMeta(Model):
    """The metadata of every list."""

    resourceVersion: str | None = None
    """The revision that the list shows. A watch that starts from it misses no change."""
    continue_: str | None = Field(default=None, alias="continue")
    """A token for the next page, where the list has more items than the request asked for."""
    remainingItemCount: int | None = None
    """The number of items after this page; absent when it is unknown or when selectors are used."""


class ObjectList(Model, Generic[O]):
    """A list of objects of one kind."""

    kind: str | None = None
    """The kind of the objects followed by List, such as PodList."""
    apiVersion: str | None = None
    """The group and version that the items are written in."""
    metadata: ListMeta = Field(default_factory=ListMeta)
    """The revision of the list, and the token for its next page."""
    items: list[O] = Field(default_factory=list)
    """The objects, sorted by namespace and name."""


class LabelSelectorRequirement(Model, protobuf="key operator values"):
    """A condition on one label."""

    key: str = ""
    """The key of the label."""
    operator: str = ""
    """The comparison: In, NotIn, Exists or DoesNotExist."""
    values: list[str] | None = None
    """The values that In and NotIn compare with, at least one. Must be empty for Exists and DoesNotExist."""


class LabelSelector(Model, protobuf="matchLabels matchExpressions"):
    """Selects objects by their labels; all conditions must hold. An empty selector selects everything."""

    map_type = "atomic"

    matchLabels: dict[str, str] | None = None
    """Labels that the object must have with exactly these values."""
    matchExpressions: list[LabelSelectorRequirement] | None = None
    """Conditions other than equality."""


class Condition(Model, protobuf="type status observedGeneration lastTransitionTime reason message"):
    """The common status condition of newer kinds (`metav1.Condition`)."""

    type: str = ""
    """The aspect that is observed, in CamelCase, such as Ready."""
    status: str = ""
    """The result of the observation: True, False or Unknown."""
    observedGeneration: int | None = None
    """The metadata.generation that the observation was made for."""
    lastTransitionTime: Annotated[Time, NullIfEmpty()] = ""
    """The time at which `status` last changed."""
    reason: str = ""
    """The reason in one CamelCase word, for programs."""
    message: str = ""
    """The reason in a sentence, for people."""


class StatusCondition(Model):
    """The fields that the conditions of the older kinds share; each kind names its types, and may add times."""

    type: str = ""
    """The aspect of the object."""
    status: str = ""
    """The result of the observation: True, False or Unknown."""
    lastTransitionTime: Annotated[Time, NullIfEmpty()] = ""
    """The time at which `status` last changed."""
    reason: str | None = None
    """The reason in one CamelCase word, for programs."""
    message: str | None = None
    """The reason in a sentence, for people."""


class Preconditions(Model, protobuf="uid* resourceVersion*"):
    """Conditions that an object must meet to be deleted; otherwise the request fails with a conflict."""

    uid: str | None = None
    """The uid that the object must have."""
    resourceVersion: str | None = None
    """The revision that the object must have."""


class DeleteOptions(Model, protobuf="gracePeriodSeconds* preconditions orphanDependents* propagationPolicy* dryRun"):
    """Options of a deletion."""

    kind: str | None = None
    """DeleteOptions, or absent."""
    apiVersion: str | None = None
    """The group and version of the options, such as v1."""
    gracePeriodSeconds: Annotated[int, Field(ge=-(2**63), lt=2**63)] | None = None
    """Seconds that the object has to end by itself; 0 deletes it at once. The default depends on the kind; for pods it
    is 30."""
    preconditions: Preconditions | None = None
    """Conditions that the object must meet; otherwise nothing is deleted."""
    orphanDependents: bool | None = None
    """Deprecated in favour of propagationPolicy: true is the same as Orphan."""
    propagationPolicy: str | None = None
    """The treatment of the objects that this one owns: Background deletes them afterwards, Foreground deletes them
    first, Orphan keeps them."""
    dryRun: list[str] | None = None
    """["All"] checks the request and deletes nothing."""
