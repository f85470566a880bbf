"""The storage classes as admission sees them."""

from __future__ import annotations

from apiserver.admission._plugin import Lookup
from kubeapi.storage.storageclass import GROUP, StorageClass, is_default_class


def storage_classes(lookup: Lookup) -> dict[str, StorageClass]:
    """Returns the classes by name, and under "" the default class; of several, the newest."""
    return lookup.derived(lookup.resource("storageclasses", GROUP), _by_name)


def _by_name(classes: list[StorageClass]) -> dict[str, StorageClass]:
    by_name = {item.name: item for item in classes}
    defaults = sorted((item for item in classes if is_default_class(item)), key=lambda item: item.name)
    if defaults:
        by_name[""] = max(defaults, key=lambda item: item.metadata.creationTimestamp or "")  # the first of equals
    return by_name
