"""`pods/resize`: changes the CPU and memory of a pod that runs."""

from __future__ import annotations

from apiserver.handlers.get import get
from apiserver.handlers.patch import patch
from apiserver.handlers.update import update
from apiserver.subresources._subresource import Subresource

SUBRESOURCE = Subresource(
    "pods", "resize", {"get": get, "update": update, "patch": patch}, kind="Pod", changes_spec=True
)
