"""What other API servers serve behind this one, as a part of this server's discovery."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]
GroupVersion = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Foreign:
    """A version of a group that another server answers for."""

    group_rank: int
    version_rank: int
    resources: Sequence[Json] | None = None
    """The entries of its APIResourceList; None while the server can't be reached."""
    openapi_digest: str = ""
    """What tells its OpenAPI document from the next one; "" where it has none."""
    openapi_v2: bytes = b""
    """Its server's document of OpenAPI v2, which may have other versions as well; b"" where it has none."""

    def aggregated(self, version: str) -> Json:
        """Returns its part of the one document of aggregated discovery."""
        if self.resources is None:
            return {"version": version, "resources": [], "freshness": "Stale"}
        entries: dict[str, Json] = {}
        for item in self.resources:
            if "/" not in item["name"]:
                entries[item["name"]] = _entry(item)
        for item in self.resources:
            name, _, subresource = item["name"].partition("/")
            if subresource and name in entries:
                sub = {"subresource": subresource, "responseKind": _kind(item), "verbs": item.get("verbs") or []}
                entries[name].setdefault("subresources", []).append(sub)
        return {"version": version, "resources": list(entries.values()), "freshness": "Current"}


def _entry(item: Json) -> Json:
    entry: Json = {
        "resource": item["name"],
        "responseKind": _kind(item),
        "scope": "Namespaced" if item.get("namespaced") else "Cluster",
        "singularResource": item.get("singularName") or "",
        "verbs": item.get("verbs") or [],
    }
    return entry | {key: item[key] for key in ("shortNames", "categories") if item.get(key)}


def _kind(item: Json) -> Json:
    return {key: item.get(key) or "" for key in ("group", "version", "kind")}


class ForeignVersions:
    """All of them; `edition` tells one state from the next."""

    def __init__(self) -> None:
        self.edition = 0
        self.all: Mapping[GroupVersion, Foreign] = {}

    def replace(self, versions: Mapping[GroupVersion, Foreign]) -> None:
        if versions != self.all:
            self.all = versions
            self.edition += 1

    def merge(self, groups: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
        """Adds them to this server's own groups and versions, which come first."""
        merged = {group: list(versions) for group, versions in groups.items()}
        ranked = sorted(self.all.items(), key=lambda each: (-each[1].group_rank, each[0][0], -each[1].version_rank))
        for (group, version), _ in ranked:
            versions = merged.setdefault(group, [])
            if version not in versions:
                versions.append(version)
        return merged
