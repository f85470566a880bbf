"""A small kind and its encoded objects, for tests of storage."""

from __future__ import annotations

from typing import Any

from apimachinery.meta import Object, ObjectMeta
from apimachinery.model import Model, encode
from apimachinery.resource import Resource
from apiserver.storage.table import Table


class WidgetSpec(Model):
    nodeName: str | None = None
    size: int = 1
    filler: str | None = None


class Widget(Object):
    spec: WidgetSpec | None = None


class Tag(Object):
    """Cluster-scoped, without selectable fields."""


WIDGETS: Resource[Widget] = Resource(
    kind="Widget",
    plural="widgets",
    model=Widget,
    fields={
        "spec.nodeName": lambda widget: (widget.spec and widget.spec.nodeName) or "",
        "spec.size": lambda widget: str(widget.spec.size) if widget.spec else "",
    },
)
TAGS: Resource[Tag] = Resource(kind="Tag", plural="tags", model=Tag, group="example.com", namespaced=False)


def widget(name: str, namespace: str = "default", labels: dict[str, str] | None = None, **spec: Any) -> bytes:
    meta = ObjectMeta(name=name, namespace=namespace, labels=labels)
    return encode(Widget(kind="Widget", apiVersion="v1", metadata=meta, spec=WidgetSpec(**spec)))


def tag(name: str, labels: dict[str, str] | None = None) -> bytes:
    return encode(Tag(kind="Tag", apiVersion="example.com/v1", metadata=ObjectMeta(name=name, labels=labels)))


def put(
    table: Table,
    revision: int,
    name: str,
    namespace: str = "default",
    labels: dict[str, str] | None = None,
    **spec: Any,
) -> Any:
    """Puts a widget into a table as the watch would; the Change."""
    key = table.key(namespace, name)
    return table.put(table.make_entry(key, widget(name, namespace, labels, **spec), revision))
