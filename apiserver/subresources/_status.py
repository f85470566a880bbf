"""`status`: the same object, of which a write changes the status alone."""

from __future__ import annotations

from typing import Any

from apimachinery.resource import Resource
from apiserver.handlers.get import get
from apiserver.handlers.patch import patch
from apiserver.handlers.update import update
from apiserver.subresources._subresource import Subresource


def status_of(resource: Resource[Any]) -> Subresource:
    return Subresource(
        resource.plural,
        "status",
        {"get": get, "update": update, "patch": patch},
        kind=resource.kind,
        group=resource.group,
        version=resource.version,
        resource_group=resource.group,
        resource_version=resource.version,
    )
