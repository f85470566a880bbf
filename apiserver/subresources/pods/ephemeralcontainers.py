"""`pods/ephemeralcontainers`: adds containers to a pod that runs, for debugging."""

from __future__ import annotations

from apiserver.handlers.get import get
from apiserver.handlers.patch import patch
from apiserver.handlers.update import update
from apiserver.subresources._subresource import Subresource

SUBRESOURCE = Subresource(
    "pods", "ephemeralcontainers", {"get": get, "update": update, "patch": patch}, kind="Pod", changes_spec=True
)
