"""Namespace: a scope for names."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from apimachinery.meta import Object
from apimachinery.model import MergeKey, Model, Time
from apimachinery.resource import Resource


class NamespaceSpec(Model):
    finalizers: list[str] | None = None


class NamespaceCondition(Model):
    type: str = ""
    status: str = ""
    lastTransitionTime: Time | None = None
    reason: str | None = None
    message: str | None = None


class NamespaceStatus(Model):
    phase: str | None = None
    conditions: Annotated[list[NamespaceCondition], MergeKey("type")] | None = None


class Namespace(Object):
    spec: NamespaceSpec = Field(default_factory=NamespaceSpec)
    status: NamespaceStatus = Field(default_factory=NamespaceStatus)


RESOURCE = Resource(
    kind="Namespace", plural="namespaces", model=Namespace, namespaced=False, short_names=("ns",), status=True
)
