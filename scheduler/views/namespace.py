"""Models the labels of namespaces, by which pod affinity may choose them."""

from __future__ import annotations

from apimachinery.meta import Object
from apimachinery.resource import Resource


class Namespace(Object):
    pass


RESOURCE = Resource(kind="Namespace", plural="namespaces", model=Namespace, namespaced=False)
