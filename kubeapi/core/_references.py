"""References from one object to another, which several kinds share."""

from __future__ import annotations

from typing import Annotated

from apimachinery.absent.empty import NullIfEmpty
from apimachinery.model import OMIT_EMPTY, Model, Required


class LocalObjectReference(Model, protobuf="name"):
    """Names an object of a known kind in the same namespace."""

    map_type = "atomic"

    name: Annotated[str, Required(False), OMIT_EMPTY] = ""
    """The name of the object."""


class TypedLocalObjectReference(Model, protobuf="apiGroup* kind name"):
    """Names an object of any kind in the same namespace."""

    map_type = "atomic"

    apiGroup: Annotated[str, NullIfEmpty(), Required(False)] = ""
    """The API group of the object's kind; null for the core group."""
    kind: str = ""
    """The object's kind."""
    name: str = ""
    """The object's name."""


class TypedObjectReference(Model, protobuf="apiGroup* kind name namespace*"):
    """Names an object of any kind, possibly in another namespace."""

    apiGroup: Annotated[str, NullIfEmpty(), Required(False)] = ""
    """The API group that the kind belongs to; null for the core group."""
    kind: str = ""
    """The kind of the referenced object."""
    name: str = ""
    """The name of the referenced object."""
    namespace: str | None = None
    """The namespace of the referenced object; absent for the same one."""


class ObjectReference(Model, protobuf="kind namespace name uid apiVersion resourceVersion fieldPath"):
    """Names an object or, by `fieldPath`, a part of it."""

    map_type = "atomic"

    kind: str | None = None
    """The kind of the object that the reference names."""
    namespace: str | None = None
    """The namespace of that object; absent for cluster-scoped kinds."""
    name: str | None = None
    """The name of that object."""
    uid: str | None = None
    """The uid of that object."""
    apiVersion: str | None = None
    """The group and version of that object's kind."""
    resourceVersion: str | None = None
    """The revision of that object."""
    fieldPath: str | None = None
    """A part of that object, such as spec.containers{web}."""


class SecretReference(Model, protobuf="name namespace"):
    """Names a Secret in a namespace."""

    map_type = "atomic"

    name: str | None = None
    """The name of the Secret."""
    namespace: str | None = None
    """The namespace of the Secret."""
