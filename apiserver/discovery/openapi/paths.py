"""Every path that is served with its operations, independent of the version of OpenAPI.

Source: Kubernetes API concepts, "Resource URIs"; operation ids as in upstream's documents, which clients are made from.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from apimachinery.meta import DeleteOptions
from apimachinery.model import Model
from apimachinery.resource import Resource
from apiserver.discovery.openapi import parameters as query
from apiserver.discovery.openapi.metamodels import (
    APIGroup,
    APIGroupList,
    APIResourceList,
    APIVersions,
    Info,
    Status,
    WatchEvent,
)
from apiserver.subresources._subresource import Parameter, Subresource

JSON = "application/json"
WATCH_STREAM = "application/json;stream=watch"
YAML = "application/yaml"
BODY_TYPES = (JSON, YAML)
STRATEGIC = "application/strategic-merge-patch+json"
PATCH_TYPES = (
    "application/json-patch+json",
    "application/merge-patch+json",
    STRATEGIC,
    "application/apply-patch+yaml",
)
ANY = "*/*"

METHODS = {
    "get": "get", "create": "post", "update": "put", "patch": "patch", "delete": "delete", "options": "options",
    "head": "head",
}  # fmt: skip
WORDS = {"get": "read", "create": "create", "update": "replace", "patch": "patch", "delete": "delete"}


@dataclass(frozen=True, slots=True)
class ListOf:
    """An answer that is a list of a kind."""

    resource: Resource[Any]


Body = type[Model] | Resource[Any]
"""An object: its model, or its kind where that has a schema instead."""
Shape = Body | ListOf | None
"""A body: an object, a list, or None for plain text."""


@dataclass(frozen=True, slots=True)
class Operation:
    """`answers` are the shapes that a success may have, by status code; the first is the usual one."""

    method: str
    id: str
    description: str
    tag: str
    answers: dict[int, tuple[Shape, ...]]
    action: str = ""
    gvk: tuple[str, str, str] | None = None
    parameters: tuple[str | Parameter, ...] = ()
    body: Body | None = None
    body_types: tuple[str, ...] = ()
    body_required: bool = True
    produces: tuple[str, ...] = (JSON, YAML)
    deprecated: bool = False

    def extensions(self) -> dict[str, Any]:
        """The vendor extensions: the verb, and the group, version and kind."""
        extensions: dict[str, Any] = {}
        if self.action:
            extensions["x-kubernetes-action"] = self.action
        if self.gvk:
            extensions["x-kubernetes-group-version-kind"] = dict(
                zip(("group", "version", "kind"), self.gvk, strict=True)
            )
        return extensions


@dataclass(frozen=True, slots=True)
class Path:
    """`document` is the OpenAPI v3 document that has it: "api/v1"."""

    document: str
    path: str
    parameters: tuple[str, ...]
    operations: tuple[Operation, ...]


def body_of(resource: Resource[Any]) -> Body:
    return resource if resource.schema is not None else resource.model


def group_name(group: str) -> str:
    """Spells a group as in operation ids: "" -> "Core", "rbac.authorization.k8s.io" -> "RbacAuthorization"."""
    return "".join(word.title() for word in (group or "core").removesuffix(".k8s.io").split("."))


def tag_of(group: str, version: str = "") -> str:
    name = group_name(group)
    name = name[0].lower() + name[1:]
    return f"{name}_{version}" if version else name


class ResourcePaths:
    """The paths of one resource with its subresources."""

    def __init__(self, resource: Resource[Any], subresources: Iterable[tuple[Subresource, Body | None]]) -> None:
        self._resource = resource
        self._subresources = subresources
        self._stem = group_name(resource.group) + resource.version.title()
        self._scoped = ("Namespaced" if resource.namespaced else "") + resource.kind
        self._gvk = (resource.group, resource.version, resource.kind)
        self._tag = tag_of(resource.group, resource.version)
        self._place: tuple[str, ...] = ("namespace",) if resource.namespaced else ()

    def all(self) -> Iterator[Path]:
        """Yields the paths that have operations."""
        return (path for path in self._candidates() if path.operations)

    def _candidates(self) -> Iterator[Path]:
        resource = self._resource
        scope = "/namespaces/{namespace}" if resource.namespaced else ""
        collection = f"{scope}/{resource.plural}"
        item = f"{collection}/{{name}}"
        listed, named = self._place, (*self._place, "name")
        yield self._path(collection, listed, self._collection())
        yield self._path(item, named, self._item())
        for sub, model in self._subresources:
            yield from self._subresource(f"{item}/{sub.name}", named, sub, model)
        everywhere = f"/{resource.plural}"
        if resource.namespaced:
            yield self._path(everywhere, (), self._if("list", self._list(f"{resource.kind}ForAllNamespaces")))
        if "watch" in resource.verbs and resource.schema is None:  # the old way, which custom resources don't have
            yield self._path(f"/watch{collection}", listed, [self._watch(f"{self._scoped}List", "watchlist")])
            yield self._path(f"/watch{item}", named, [self._watch(self._scoped, "watch")])
            if resource.namespaced:
                operation = self._watch(f"{resource.kind}ListForAllNamespaces", "watchlist")
                yield self._path(f"/watch{everywhere}", (), [operation])

    def _path(self, path: str, parameters: tuple[str, ...], operations: Iterable[Operation]) -> Path:
        root = self._resource.root
        return Path(root[1:], root + path, parameters, tuple(operations))

    def _if(self, verb: str, operation: Operation) -> list[Operation]:
        return [operation] if verb in self._resource.verbs else []

    def _collection(self) -> Iterator[Operation]:
        resource = self._resource
        yield from self._if("list", self._list(self._scoped))
        yield from self._if("create", self._write("create", self._scoped, body_of(resource)))
        deletion = self._operation(
            "delete", f"delete{self._stem}Collection{self._scoped}", f"Delete all selected {resource.plural}."
        )
        yield from self._if(
            "deletecollection",
            replace(
                deletion,
                action="deletecollection",
                answers={200: (ListOf(resource), Status)},
                parameters=query.DELETE_COLLECTION,
                **_DELETE_BODY,
            ),
        )

    def _item(self) -> Iterator[Operation]:
        resource = self._resource
        yield from self._if("get", self._read(self._scoped, body_of(resource)))
        for verb in ("update", "patch"):
            yield from self._if(verb, self._write(verb, self._scoped, body_of(resource)))
        usual: tuple[Shape, ...] = (Status, body_of(resource))
        deletion = replace(
            self._operation("delete", f"delete{self._stem}{self._scoped}", f"Delete a {resource.kind}."),
            answers=dict.fromkeys((200, 202), usual[::-1] if resource.returned_on_delete else usual),
            parameters=query.DELETE,
            **_DELETE_BODY,
        )
        yield from self._if("delete", deletion)

    def _operation(self, verb: str, name: str, description: str) -> Operation:
        return Operation(METHODS[verb], name, description, self._tag, {}, METHODS[verb], self._gvk)

    def _list(self, name: str) -> Operation:
        resource = self._resource
        return replace(
            self._operation("get", f"list{self._stem}{name}", f"List {resource.plural}, or watch them change."),
            action="list",
            answers={200: (ListOf(resource),)},
            parameters=query.LIST,
            produces=(JSON, YAML, WATCH_STREAM) if "watch" in resource.verbs else (JSON, YAML),
        )

    def _watch(self, name: str, action: str) -> Operation:
        text = f"Watch {self._resource.plural} change. Deprecated in favour of a list with `watch`."
        return replace(
            self._operation("get", f"watch{self._stem}{name}", text),
            action=action,
            answers={200: (WatchEvent,)},
            parameters=query.LIST,
            produces=(JSON, WATCH_STREAM),
            deprecated=True,
        )

    def _read(self, name: str, model: Body, what: str = "") -> Operation:
        return replace(
            self._operation("get", f"read{self._stem}{name}", f"Read {what or 'a ' + self._resource.kind}."),
            answers={200: (model,)},
            parameters=query.GET,
        )

    def _write(self, verb: str, name: str, model: Body, what: str = "") -> Operation:
        word = WORDS[verb]
        operation = self._operation(verb, f"{word}{self._stem}{name}", f"{word.title()} {what or self._article()}.")
        codes = {"create": (201, 200, 202), "update": (200, 201), "patch": (200, 201)}[verb]
        return replace(
            operation,
            answers=dict.fromkeys(codes, (model,)),
            parameters=query.PATCH if verb == "patch" else query.WRITE,
            body=model,
            body_types=self._patch_types() if verb == "patch" else BODY_TYPES,
        )

    def _patch_types(self) -> tuple[str, ...]:
        custom = self._resource.schema is not None
        return tuple(item for item in PATCH_TYPES if item != STRATEGIC or not custom)

    def _article(self) -> str:
        kind = self._resource.kind
        return f"an {kind}" if kind[0] in "AEIOU" else f"a {kind}"

    def _subresource(self, path: str, place: tuple[str, ...], sub: Subresource, model: Body | None) -> Iterator[Path]:
        name = self._scoped + sub.name.title()
        what = f"{sub.name} of {self._article()}"
        gvk = (sub.group, sub.version, sub.kind)
        operations: list[Operation] = []
        if sub.kind.endswith("Options"):
            yield from self._connect(path, place, sub, gvk)
            return
        for verb in sub.verbs:
            if sub.name == "log":
                plain = replace(self._read(name, Status, what), answers={200: (None,)}, produces=("text/plain",))
                operations.append(replace(plain, parameters=sub.parameters))
            elif verb == "get" and model is not None:
                operations.append(self._read(name, model, what))
            elif verb in WORDS and model is not None:
                operation = self._write(verb, name, model, what)
                if verb == "create":
                    operation = replace(operation, answers=dict.fromkeys(operation.answers, (model, Status)))
                operations.append(operation)
        yield self._path(path, place, [replace(operation, gvk=gvk) for operation in operations])

    def _connect(
        self, path: str, place: tuple[str, ...], sub: Subresource, gvk: tuple[str, str, str]
    ) -> Iterator[Path]:
        what = f"Connect to {sub.name} of {self._article()}."

        verbs = [*sub.handlers, "head"] if sub.name == "proxy" else list(sub.handlers)

        def operations(suffix: str, parameters: tuple[Parameter, ...]) -> Iterator[Operation]:
            for verb in sorted(set(verbs)):
                method = METHODS[verb]
                name = f"connect{self._stem}{method.title()}{self._scoped}{sub.name.title()}{suffix}"
                answers: dict[int, tuple[Shape, ...]] = {200: (None,)}
                yield Operation(method, name, what, self._tag, answers, "connect", gvk, parameters, produces=(ANY,))

        yield self._path(path, place, operations("", sub.parameters))
        if sub.name == "proxy":
            yield self._path(path + "/{path}", (*place, "path"), operations("WithPath", ()))


_DELETE_BODY: Any = {"body": DeleteOptions, "body_types": BODY_TYPES, "body_required": False}


def discovery_paths(groups: dict[str, list[str]]) -> Iterator[Path]:
    """Yields the paths of discovery; `groups` has the versions of each group."""
    yield _discovery("api", "/api/", "getCoreAPIVersions", "core", APIVersions, "The versions of the core group.")
    yield _discovery("apis", "/apis/", "getAPIVersions", "apis", APIGroupList, "All groups except the core group.")
    for group, versions in groups.items():
        if group:
            name = f"get{group_name(group)}APIGroup"
            yield _discovery(f"apis/{group}", f"/apis/{group}/", name, tag_of(group), APIGroup, f"The group {group}.")
        for version in versions:
            root = f"apis/{group}/{version}" if group else f"api/{version}"
            name = f"get{group_name(group)}{version.title()}APIResources"
            text = f"The resources of {f'{group}/{version}' if group else version}."
            yield _discovery(root, f"/{root}/", name, tag_of(group, version), APIResourceList, text)
    yield _discovery("version", "/version/", "getCodeVersion", "version", Info, "The version of the server.")
    for root, tag, name, text in (
        (".well-known/openid-configuration", "WellKnown", "Configuration", "Where the keys of the token issuer are."),
        ("openid/v1/jwks", "openid", "Keyset", "The keys of the token issuer, as a JSON Web Key Set."),
    ):
        yield _discovery(root, f"/{root}/", f"getServiceAccountIssuerOpenID{name}", tag, None, text)


def _discovery(document: str, path: str, name: str, tag: str, model: type[Model] | None, text: str) -> Path:
    return Path(document, path, (), (Operation("get", name, text, tag, {200: (model,)}, produces=(JSON,)),))
