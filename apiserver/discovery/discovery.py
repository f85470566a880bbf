"""Tells clients what the server serves: /api, /apis, groups, their versions and resources; plain and aggregated.

Source: Kubernetes API concepts, "API Discovery"; `metav1.APIResourceList`, `apidiscovery.k8s.io/v2`.
"""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import orjson

from apimachinery.catalogue import Catalogue
from apimachinery.resource import Resource
from apiserver.discovery.foreign import ForeignVersions
from apiserver.subresources._subresource import Subresource, Subresources

Json = dict[str, Any]

FIRST_GROUPS = (
    "",
    "apiregistration.k8s.io",
    "apps",
    "events.k8s.io",
    "authentication.k8s.io",
    "authorization.k8s.io",
    "autoscaling",
    "batch",
    "certificates.k8s.io",
    "networking.k8s.io",
    "policy",
    "rbac.authorization.k8s.io",
    "storage.k8s.io",
    "admissionregistration.k8s.io",
    "apiextensions.k8s.io",
    "scheduling.k8s.io",
    "coordination.k8s.io",
    "node.k8s.io",
    "discovery.k8s.io",
    "resource.k8s.io",
    "flowcontrol.apiserver.k8s.io",
)
"""Upstream's order, before all others by name: clients prefer what comes first."""


class Discovery:
    """Documents made when the first client asks, and again after kinds have come or gone."""

    def __init__(
        self, catalogue: Catalogue, subresources: Subresources, server_address: str, foreign: ForeignVersions
    ) -> None:
        self._catalogue = catalogue
        self._foreign = foreign
        self._subresources = subresources
        self._server_address = server_address
        self.settle: Callable[[], Awaitable[None]] = _nothing_to_wait_for
        """Returns once all kinds are served that are defined at the moment of the call."""
        self._edition = -1, -1
        self._by_version: dict[tuple[str, str], list[Resource[Any]]] = {}
        self._groups: dict[str, list[str]] = {}
        self._aggregated: dict[tuple[str, str], bytes] = {}
        self._etags: dict[tuple[str, str], str] = {}

    def _refresh(self) -> None:
        catalogue = self._catalogue
        edition = catalogue.edition, self._foreign.edition
        if self._edition == edition:
            return
        self._edition = edition
        self._by_version = {}
        for resource in sorted(catalogue, key=lambda resource: resource.plural):
            self._by_version.setdefault((resource.group, resource.version), []).append(resource)
        groups = catalogue.groups()
        first = [group for group in FIRST_GROUPS if group in groups]
        own = {group: groups[group] for group in first + sorted(set(groups) - set(first))}
        self._groups = self._foreign.merge(own)
        self._aggregated.clear()
        self._etags.clear()

    def paths(self) -> Iterator[str]:
        """Where each of these documents is."""
        self._refresh()
        yield from ("/api", "/apis")
        for group, versions in self._groups.items():
            if group:
                yield f"/apis/{group}"
            yield from (f"/apis/{group}/{version}" if group else f"/api/{version}" for version in versions)

    def core_versions(self) -> Json:
        """/api"""
        self._refresh()
        address = {"clientCIDR": "0.0.0.0/0", "serverAddress": self._server_address}
        return {"kind": "APIVersions", "versions": self._groups.get("", []), "serverAddressByClientCIDRs": [address]}

    def group_list(self) -> Json:
        """/apis"""
        self._refresh()
        groups = [self._group(name) for name in self._groups if name]
        return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}

    def group(self, name: str) -> Json | None:
        """/apis/NAME"""
        self._refresh()
        if not name or name not in self._groups:
            return None
        return {"kind": "APIGroup", "apiVersion": "v1", **self._group(name)}

    def _group(self, name: str) -> Json:
        versions = [{"groupVersion": f"{name}/{version}", "version": version} for version in self._groups[name]]
        return {"name": name, "versions": versions, "preferredVersion": versions[0]}

    def resource_list(self, group: str, version: str) -> Json | None:
        """/api/v1 or /apis/GROUP/VERSION"""
        self._refresh()
        resources = self._by_version.get((group, version))
        if resources is None:
            return None
        entries = [entry for resource in resources for entry in self._entries(resource)]
        group_version = f"{group}/{version}" if group else version
        version_of_list = {"apiVersion": "v1"} if group else {}
        return {"kind": "APIResourceList", **version_of_list, "groupVersion": group_version, "resources": entries}

    def _entries(self, resource: Resource[Any]) -> list[Json]:
        entry: Json = {
            "name": resource.plural,
            "singularName": resource.singular_name,
            "namespaced": resource.namespaced,
            "kind": resource.kind,
            "verbs": list(resource.verbs),
        }
        if resource.short_names:
            entry["shortNames"] = list(resource.short_names)
        if resource.categories:
            entry["categories"] = list(resource.categories)
        if resource.stored:
            entry["storageVersionHash"] = storage_version_hash(resource)
        return [entry, *(self._sub_entry(resource, sub) for sub in self._subresources.of(resource))]

    def _sub_entry(self, resource: Resource[Any], sub: Subresource) -> Json:
        entry: Json = {
            "name": f"{resource.plural}/{sub.name}",
            "singularName": "",
            "namespaced": resource.namespaced,
            "kind": sub.kind,
            "verbs": sub.verbs,
        }
        if sub.group and (sub.group, sub.version) != (resource.group, resource.version):
            entry |= {"group": sub.group, "version": sub.version}
        return entry

    # -- aggregated: everything in one document

    def aggregated(self, name: str, version: str) -> bytes:
        """`name` is "api" or "apis"."""
        self._refresh()
        key = (name, version)
        if key not in self._aggregated:
            self._aggregated[key] = orjson.dumps(self._aggregate(version, core=name == "api"))
        return self._aggregated[key]

    def etag(self, name: str, version: str) -> str:
        body = self.aggregated(name, version)
        key = (name, version)
        if key not in self._etags:
            self._etags[key] = hashlib.sha256(body).hexdigest().upper()
        return self._etags[key]

    def _aggregate(self, version: str, *, core: bool) -> Json:
        items = [
            {
                "metadata": {"name": group} if group else {},
                "versions": [self._aggregated_version(group, version) for version in versions],
            }
            for group, versions in self._groups.items()
            if (group == "") is core
        ]
        return {
            "kind": "APIGroupDiscoveryList",
            "apiVersion": f"apidiscovery.k8s.io/{version}",
            "metadata": {},
            "items": items,
        }

    def _aggregated_version(self, group: str, version: str) -> Json:
        if (foreign := self._foreign.all.get((group, version))) is not None:
            return foreign.aggregated(version)
        resources = [self._aggregated_resource(resource) for resource in self._by_version[(group, version)]]
        return {"version": version, "resources": resources, "freshness": "Current"}

    def _aggregated_resource(self, resource: Resource[Any]) -> Json:
        entry: Json = {
            "resource": resource.plural,
            "responseKind": {"group": "", "version": "", "kind": resource.kind},
            "scope": "Namespaced" if resource.namespaced else "Cluster",
            "singularResource": resource.singular_name,
            "verbs": list(resource.verbs),
        }
        if resource.short_names:
            entry["shortNames"] = list(resource.short_names)
        if resource.categories:
            entry["categories"] = list(resource.categories)
        if subs := self._subresources.of(resource):
            entry["subresources"] = [
                {
                    "subresource": sub.name,
                    "responseKind": _response_kind(resource, sub),
                    "verbs": sub.verbs,
                }
                for sub in subs
            ]
        return entry


async def _nothing_to_wait_for() -> None:
    """No kinds come at run time."""


def _response_kind(resource: Resource[Any], sub: Subresource) -> dict[str, str]:
    """Names the kind of a subresource's body; its group and version only where they differ from the resource's."""
    if (sub.group, sub.version) == (resource.group, resource.version):
        return {"group": "", "version": "", "kind": sub.kind}
    return {"group": sub.group, "version": sub.version, "kind": sub.kind}


def storage_version_hash(resource: Resource[Any]) -> str:
    """Changes when a kind comes to be stored in another version; the same as upstream's."""
    if resource.view is not None:
        resource = resource.view.of
    name = f"{resource.group}/{resource.version}/{resource.kind}"
    return b64encode(hashlib.sha256(name.encode()).digest()[:8]).decode()
