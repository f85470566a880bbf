"""Binding: assigns a pod to a node. Schedulers send it to `pods/NAME/binding`, or to its own path."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from apimachinery.meta import Object
from apimachinery.model import Required
from apimachinery.resource import Resource
from kubeapi.core._references import ObjectReference


class Binding(Object, protobuf="metadata target"):
    """Binds the pod of the same name to a node. Only the node's name is stored, in the pod."""

    target: Annotated[ObjectReference, Required()] = Field(default_factory=ObjectReference)
    """The node."""


RESOURCE = Resource(kind="Binding", plural="bindings", model=Binding, verbs=("create",), stored=False)
