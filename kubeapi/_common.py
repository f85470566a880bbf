"""Small types and helpers that several kinds share."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from apimachinery.model import Model

Int32 = Annotated[int, Field(ge=-(2**31), lt=2**31)]
Int64 = Annotated[int, Field(ge=-(2**63), lt=2**63)]
"""Integers as wide as the wire's: a wider one is refused on decode, as clients could not read it back."""
IntOrString = Int32 | str


class LocalObjectReference(Model):
    map_type = "atomic"

    name: str = ""


class TypedLocalObjectReference(Model):
    map_type = "atomic"

    apiGroup: str | None = None
    kind: str = ""
    name: str = ""


class TypedObjectReference(Model):
    apiGroup: str | None = None
    kind: str = ""
    name: str = ""
    namespace: str | None = None


class SecretReference(Model):
    map_type = "atomic"

    name: str | None = None
    namespace: str | None = None


class ObjectReference(Model):
    """Names an object, or by `fieldPath` a part of it."""

    map_type = "atomic"

    kind: str | None = None
    namespace: str | None = None
    name: str | None = None
    uid: str | None = None
    apiVersion: str | None = None
    resourceVersion: str | None = None
    fieldPath: str | None = None
