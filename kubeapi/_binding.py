"""Binding: the body of `POST …/pods/NAME/binding`, by which a scheduler gives a pod its node."""

from __future__ import annotations

from apimachinery.meta import Object
from kubeapi._common import ObjectReference, always


class Binding(Object):
    target: ObjectReference = always()
