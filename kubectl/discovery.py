"""Which kinds the server has, and what a user may call them: pods, pod, po, deployments.apps, deploy.v1.apps."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from apimachinery.errors import StatusError
from kubectl.client import Api


@dataclass(frozen=True)
class ResourceType:
    """One resource as discovery lists it."""

    group: str
    version: str
    plural: str
    singular: str
    kind: str
    namespaced: bool
    verbs: tuple[str, ...]
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def full_name(self) -> str:
        """ "pods", "deployments.apps"."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def display(self) -> str:
        """ "pod", "deployment.apps": what stands before the slash in messages."""
        return f"{self.singular}.{self.group}" if self.group else self.singular

    def path(self, namespace: str = "", name: str = "", subresource: str = "") -> str:
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        if namespace and self.namespaced:
            root += f"/namespaces/{namespace}"
        return "/".join(part for part in (f"{root}/{self.plural}", name, subresource) if part)


class UnknownType(Exception):
    """The server has no such resource type."""


class Discovery:
    """Asks once per invocation, and only for what is needed."""

    def __init__(self, api: Api) -> None:
        self._api = api

    @cached_property
    def group_versions(self) -> list[str]:
        """Preferred versions first: "v1", "apps/v1", …"""
        found = list(self._api.request("GET", "/api")["versions"])
        for group in self._api.request("GET", "/apis")["groups"]:
            preferred = group["preferredVersion"]["groupVersion"]
            found.append(preferred)
            found += [v["groupVersion"] for v in group["versions"] if v["groupVersion"] != preferred]
        return found

    @cached_property
    def types(self) -> list[ResourceType]:
        found: list[ResourceType] = []
        for group_version in self.group_versions:
            root = f"/apis/{group_version}" if "/" in group_version else f"/api/{group_version}"
            try:
                listing = self._api.request("GET", root)
            except StatusError:
                continue  # one broken group must not hide the others
            found += [_type(group_version, item) for item in listing["resources"] if "/" not in item["name"]]
        return found

    def find(self, name: str) -> ResourceType:
        """By plural, singular, short name or kind, with an optional ".group" or ".version.group".

        Raises: UnknownType.
        """
        word, _, suffix = name.lower().partition(".")
        for kind in self.types:
            if word not in (kind.plural, kind.singular, kind.kind.lower(), *kind.short_names):
                continue
            if suffix in ("", kind.group, f"{kind.version}.{kind.group}".rstrip(".")) or (
                kind.group.startswith(suffix) and kind.group != ""
            ):
                return kind
        raise UnknownType(f'the server doesn\'t have a resource type "{name}"')

    def by_kind(self, api_version: str, kind: str) -> ResourceType:
        """Raises: UnknownType."""
        found = next((t for t in self.types if t.api_version == api_version and t.kind == kind), None)
        if found is None:
            raise UnknownType(f'no matches for kind "{kind}" in version "{api_version}"')
        return found

    def category(self, name: str) -> list[ResourceType]:
        """The types of a category such as "all"; empty where it is none."""
        return [kind for kind in self.types if name in kind.categories]


def _type(group_version: str, item: dict[str, Any]) -> ResourceType:
    group, _, version = group_version.rpartition("/")
    return ResourceType(
        group=item.get("group", group),
        version=item.get("version", version),
        plural=item["name"],
        singular=item.get("singularName") or item["kind"].lower(),
        kind=item["kind"],
        namespaced=item["namespaced"],
        verbs=tuple(item.get("verbs", ())),
        short_names=tuple(item.get("shortNames") or ()),
        categories=tuple(item.get("categories") or ()),
    )
