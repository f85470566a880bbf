"""Makes kinds of CustomResourceDefinitions known to clients: their objects are dicts, beside `metadata`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml

from apimachinery.meta import Object
from apimachinery.resource import Resource

T = TypeVar("T", bound=Object)


def custom_resource(definition: Mapping[str, Any] | Path, model: type[T], version: str = "") -> Resource[T]:
    """Returns the kind of a CustomResourceDefinition, given as a manifest or as a file of YAML that holds one.

    `model` is the class of its objects: `CustomObject`, a class made from it, or a typed model. `version` is by default
    the stored one. Raises: ValueError where the definition has no such version; OSError; KeyError for another manifest.
    """
    manifest: Any = yaml.safe_load(definition.read_text()) if isinstance(definition, Path) else definition
    spec = manifest["spec"]
    names = spec["names"]
    versions = [item for item in spec["versions"] if (item["name"] == version if version else item["storage"])]
    if not versions:
        raise ValueError(f"{manifest['metadata']['name']} has no version {version}")
    return Resource(
        kind=names["kind"],
        plural=names["plural"],
        model=model,
        group=spec["group"],
        version=versions[0]["name"],
        namespaced=spec["scope"] == "Namespaced",
        list_kind_name=names.get("listKind", ""),
        status="status" in (versions[0].get("subresources") or {}),
    )
