"""Names the daemon and its controllers; `kubeclient/manager.py` runs them."""

from __future__ import annotations

from typing import Any

from kubeclient import manager
from kubeclient.controller import ControllerSpec

NAME = "kube-controller-manager"


def collect_controllers() -> dict[str, ControllerSpec[Any]]:
    """Returns the spec of every file in `controllers/` by the controller's name. Raises: CatalogueError."""
    return manager.collect_controllers("controller_manager.controllers")
