"""Asks an API server for every resource that it serves, with its path, verbs and names."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import orjson

from apimachinery.errors import StatusError
from apimachinery.meta import Object
from apimachinery.resource import Resource
from kubeclient.rest import RestClient


@dataclass(frozen=True, slots=True)
class APIResource:
    """One resource or subresource ("pods", "pods/log") of one group version."""

    group: str
    version: str
    name: str
    kind: str
    namespaced: bool
    verbs: tuple[str, ...] = ()
    singular_name: str = ""
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def is_subresource(self) -> bool:
        return "/" in self.name

    def metadata_only(self) -> Resource[Object]:
        """Returns the resource for requests that read the objects' metadata alone."""
        return Resource(
            kind=self.kind,
            plural=self.name,
            model=Object,
            group=self.group,
            version=self.version,
            namespaced=self.namespaced,
        )


@dataclass(frozen=True, slots=True)
class Discovery:
    """All resources, core group first, in the server's order; `failed` group versions could not be read."""

    resources: tuple[APIResource, ...]
    failed: tuple[str, ...] = ()


async def discover(rest: RestClient, *, preferred: bool = True) -> Discovery:
    """Asks for all groups and their resources; of each group the preferred version alone, unless told otherwise.

    Raises: StatusError, ConnectionError, TimeoutError when the groups can't be read; a single unreadable group version
    (an extension's server is away) is named in `failed` instead.
    """
    core, groups = await asyncio.gather(rest.request("GET", "/api"), rest.request("GET", "/apis"))
    group_versions = [("", str(version)) for version in orjson.loads(core).get("versions") or ()]
    for group in orjson.loads(groups).get("groups") or ():
        versions = [group["preferredVersion"]] if preferred and group.get("preferredVersion") else group["versions"]
        group_versions += [(group["name"], item["version"]) for item in versions]
    parts = await asyncio.gather(*(resources_of(rest, group, version) for group, version in group_versions))
    resources = tuple(resource for part in parts if part is not None for resource in part)
    pairs = zip(group_versions, parts, strict=True)
    failed = tuple(f"{group}/{version}".lstrip("/") for (group, version), part in pairs if part is None)
    return Discovery(resources, failed)


async def resources_of(rest: RestClient, group: str, version: str) -> list[APIResource] | None:
    """Returns the resources of one group version, None where the server can't tell them."""
    path = f"/apis/{group}/{version}" if group else f"/api/{version}"
    try:
        document = orjson.loads(await rest.request("GET", path))
    except StatusError:
        return None
    return [_resource(group, version, item) for item in document.get("resources") or ()]


def _resource(group: str, version: str, item: dict[str, Any]) -> APIResource:
    return APIResource(
        group=group,
        version=version,
        name=item["name"],
        kind=item["kind"],
        namespaced=bool(item.get("namespaced")),
        verbs=tuple(item.get("verbs") or ()),
        singular_name=item.get("singularName") or item["kind"].lower(),
        short_names=tuple(item.get("shortNames") or ()),
        categories=tuple(item.get("categories") or ()),
    )
