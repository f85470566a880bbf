"""The kinds that the server has, by all names that users give them: pods, pod, po, deployments.apps, deploy.v1.apps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from apimachinery.errors import StatusError
from kubectl.api.client import ApiClient, Dict

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"


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
    subresources: tuple[str, ...] = ()

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


class TypeDiscovery:
    """Asks the server once, and only for what is needed: most verbs concern core types, which come first."""

    def __init__(self, api: ApiClient) -> None:
        self._api = api

    @property
    def types(self) -> list[ResourceType]:
        """All types, preferred versions first."""
        return [*self._core, *self._grouped]

    @property
    def preferred_types(self) -> list[ResourceType]:
        """All types, each in its preferred version alone."""
        first: dict[tuple[str, str], ResourceType] = {}
        for kind in self._each():
            first.setdefault((kind.group, kind.plural), kind)
        return list(first.values())

    @cached_property
    def _core(self) -> list[ResourceType]:
        return self._read("/api")

    @cached_property
    def _grouped(self) -> list[ResourceType]:
        return self._read("/apis")

    def _read(self, root: str) -> list[ResourceType]:
        answer = self._api.request("GET", root, accept=AGGREGATED)
        if answer.get("kind") == "APIGroupDiscoveryList":
            return [kind for group in answer["items"] for kind in _types_of(group)]
        types: list[ResourceType] = []
        for group_version in _group_versions(answer):
            try:
                listing = self._api.request("GET", f"{root}/{group_version}")
            except StatusError:
                continue  # one broken group must not hide the others
            types += _listed_types(group_version, listing["resources"])
        return types

    def _each(self) -> Iterator[ResourceType]:
        yield from self._core
        yield from self._grouped

    def find(self, name: str) -> ResourceType:
        """Finds a type by plural, singular, short name or kind, with an optional ".group" or ".version.group".

        Raises: UnknownType.
        """
        word, _, suffix = name.lower().partition(".")
        for kind in self._each():
            if word not in (kind.plural, kind.singular, kind.kind.lower(), *kind.short_names):
                continue
            if suffix in ("", kind.group, f"{kind.version}.{kind.group}") or (
                kind.group.startswith(suffix) and kind.group != ""
            ):
                return kind
        raise UnknownType(f'the server doesn\'t have a resource type "{name.partition(".")[0]}"')

    def by_kind(self, api_version: str, kind: str) -> ResourceType:
        """Raises: UnknownType."""
        for candidate in self._each():
            if (candidate.api_version, candidate.kind) == (api_version, kind):
                return candidate
        raise UnknownType(f'no matches for kind "{kind}" in version "{api_version}"')

    def find_all(self, name: str) -> list[ResourceType]:
        """The type of this name, or all types of a category such as "all". Raises: UnknownType."""
        try:
            return [self.find(name)]
        except UnknownType:
            if kinds := [kind for kind in self.preferred_types if name in kind.categories]:
                return kinds
            raise


def _types_of(group: Dict) -> Iterator[ResourceType]:
    for version in group.get("versions") or ():
        for item in version.get("resources") or ():
            yield ResourceType(
                group=group["metadata"].get("name") or "",
                version=version["version"],
                plural=item["resource"],
                singular=item.get("singularResource") or item["responseKind"]["kind"].lower(),
                kind=item["responseKind"]["kind"],
                namespaced=item["scope"] == "Namespaced",
                **_words(item),
                subresources=tuple(sub["subresource"] for sub in item.get("subresources") or ()),
            )


def _words(item: Dict) -> dict[str, tuple[str, ...]]:
    fields = {"verbs": "verbs", "short_names": "shortNames", "categories": "categories"}
    return {name: tuple(item.get(field) or ()) for name, field in fields.items()}


def _group_versions(answer: Dict) -> list[str]:
    """The group versions of a server that does not aggregate, preferred ones first."""
    names = list(answer.get("versions") or ())
    for group in answer.get("groups") or ():
        preferred = group["preferredVersion"]["groupVersion"]
        names += [preferred, *(v["groupVersion"] for v in group["versions"] if v["groupVersion"] != preferred)]
    return names


def _listed_types(group_version: str, items: list[Dict]) -> list[ResourceType]:
    group, _, version = group_version.rpartition("/")
    return [
        ResourceType(
            group=item.get("group", group),
            version=item.get("version", version),
            plural=item["name"],
            singular=item.get("singularName") or item["kind"].lower(),
            kind=item["kind"],
            namespaced=item["namespaced"],
            **_words(item),
            subresources=tuple(
                sub["name"].partition("/")[2] for sub in items if sub["name"].startswith(f"{item['name']}/")
            ),
        )
        for item in items
        if "/" not in item["name"]
    ]
