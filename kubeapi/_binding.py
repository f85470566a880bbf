"""Binding: the body of `POST …/pods/NAME/binding`, by which a scheduler gives a pod its node."""

from __future__ import annotations

from pydantic import Field

from apimachinery.meta import Object
from kubeapi._common import ObjectReference


class Binding(Object):
    target: ObjectReference = Field(default_factory=ObjectReference)
