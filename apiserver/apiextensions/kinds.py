"""The resources that a CustomResourceDefinition stands for, one for each version that is served. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson

from apimachinery.catalogue import version_rank
from apimachinery.custom import CustomObject
from apimachinery.resource import Resource, Scale
from apiserver.apiextensions.columns import columns_of, fields_of
from apiserver.apiextensions.objects import CustomSchema, CustomStrategy
from kubeapi.apiextensions.customresourcedefinition import ESTABLISHED, NAMESPACED, WEBHOOK

Dict = dict[str, Any]

VERBS = ("delete", "deletecollection", "get", "list", "patch", "create", "update", "watch")
"""In upstream's order."""


@dataclass(frozen=True)
class CustomKind:
    """A definition as it is served. Two with equal `signature` serve the same."""

    name: str
    signature: bytes
    conversion: Dict
    stored: Resource[CustomObject]
    """The version that objects are stored in, served or not."""
    served: tuple[Resource[CustomObject], ...]
    """The versions that are served, the preferred one first."""
    is_terminating: bool

    def refer(self, definition: bytes) -> None:
        """Takes another encoding of the same definition, so that the old one can go."""
        for resource in (self.stored, *self.served):
            if isinstance(resource.schema, CustomSchema):
                resource.schema.definition = definition


def read_kind(definition: bytes) -> CustomKind | None:
    """The kind of an encoded definition, None while it is not to be served."""
    document = orjson.loads(definition)
    spec, status, meta = document["spec"], document.get("status") or {}, document["metadata"]
    conditions = {item["type"]: item["status"] for item in status.get("conditions") or ()}
    if conditions.get(ESTABLISHED) != "True":
        return None
    names = status.get("acceptedNames") or {}
    is_terminating = "deletionTimestamp" in meta
    ranked = sorted(spec["versions"], key=lambda version: (version_rank(version["name"]), version["name"]))
    by_version = {version["name"]: _resource(definition, spec, names, version) for version in ranked}
    stored = next(by_version[version["name"]] for version in ranked if version["storage"])
    served = tuple(by_version[version["name"]] for version in ranked if version["served"])
    signature = orjson.dumps([meta["uid"], spec, names, is_terminating])
    return CustomKind(meta["name"], signature, spec.get("conversion") or {}, stored, served, is_terminating)


def _resource(definition: bytes, spec: Dict, names: Dict, version: Dict) -> Resource[CustomObject]:
    api_version = f"{spec['group']}/{version['name']}"
    subresources = version.get("subresources") or {}
    has_status, scale = "status" in subresources, _scale(subresources.get("scale"))
    by_webhook = (spec.get("conversion") or {}).get("strategy") == WEBHOOK
    schema = CustomSchema(definition, version["name"], api_version, by_webhook=by_webhook)
    return Resource(
        kind=names["kind"],
        plural=names["plural"],
        model=CustomObject,
        group=spec["group"],
        version=version["name"],
        namespaced=spec["scope"] == NAMESPACED,
        singular=names.get("singular") or "",
        list_kind_name=names.get("listKind") or "",
        short_names=tuple(names.get("shortNames") or ()),
        categories=tuple(names.get("categories") or ()),
        strategy=CustomStrategy(schema, has_status=has_status, scale=scale),
        columns=columns_of(version.get("additionalPrinterColumns") or ()),
        fields=fields_of(version.get("selectableFields") or ()),
        status=has_status,
        scale=scale,
        verbs=VERBS,
        storage_prefix=f"{spec['group']}/{names['plural']}",
        schema=schema,
        deprecated=_deprecation(version, api_version, names["kind"]),
    )


def _scale(paths: Dict | None) -> Scale | None:
    if paths is None:
        return None
    return Scale(
        paths["specReplicasPath"].removeprefix("."),
        paths["statusReplicasPath"].removeprefix("."),
        (paths.get("labelSelectorPath") or "").removeprefix("."),
    )


def _deprecation(version: Dict, api_version: str, kind: str) -> str:
    if not version.get("deprecated"):
        return ""
    return version.get("deprecationWarning") or f"{api_version} {kind} is deprecated"
