"""From a request's path to the handler that answers it. A new kind or subresource adds no route."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from apimachinery.errors import BadRequest, MethodNotAllowed, NotFound, object_not_found, quote
from apimachinery.names import path_segment_errors
from apimachinery.resource import Resource
from apiserver.handlers._shared import with_warnings
from apiserver.handlers.api import AnyServices, Handler, bind, quick_answer_of
from apiserver.handlers.create import create
from apiserver.handlers.delete import delete
from apiserver.handlers.deletecollection import delete_collection
from apiserver.handlers.get import get
from apiserver.handlers.list import list_
from apiserver.handlers.patch import patch
from apiserver.handlers.update import update
from apiserver.handlers.watch import watch
from apiserver.registry.store import Store
from apiserver.request.info import RequestInfo
from apiserver.request.message import Answer, Request
from apiserver.subresources._subresource import Subresource, Subresources

HANDLERS: dict[str, Handler] = {
    "create": create,
    "delete": delete,
    "deletecollection": delete_collection,
    "get": get,
    "list": list_,
    "patch": patch,
    "update": update,
    "watch": watch,
}
DOTS = (".", "..")
NAMED = frozenset({"get", "update", "patch", "delete"})


@dataclass(frozen=True, slots=True)
class Route:
    handler: Callable[[Request], Awaitable[Answer]]
    long_running: bool = False
    answer_now: Callable[[Request], bytes] | None = None
    """Tries to answer without waiting; b"" leaves the request to the handler."""
    foreign: bool = False
    """Another server answers: what its resources are called is not known here."""


class Routes:
    """All served resources with what they answer; found by group, version, plural, subresource and verb."""

    def __init__(
        self,
        services: AnyServices,
        subresources: Subresources,
        virtual: Mapping[tuple[str, str], Mapping[str, Handler]],
    ) -> None:
        """`virtual`: (group, plural) of kinds that nothing is stored of -> verb -> handler; "*" is any plural."""
        self._services = services
        self._subresources = subresources
        self._virtual = virtual
        self._resources: dict[tuple[str, str, str], Resource[Any]] = {}
        self._routes: dict[tuple[str, str, str, str], dict[str, Route]] = {}
        self._of_any: dict[tuple[str, str], dict[str, Route]] = {}
        for store in services.stores:
            self.add(store)
        self._built_in = {resource.group for resource in self._resources.values()}
        self.settle: Callable[[], Awaitable[None]] | None = None
        """Returns once all kinds are served that are defined at the moment of the call."""

    def add(self, store: Store[Any]) -> None:
        """Serves a resource and its subresources."""
        services, resource = self._services, store.resource
        path = (resource.group, resource.version, resource.plural)
        self._resources[path] = resource
        handlers = self._virtual.get((resource.group, resource.plural), HANDLERS)
        self._routes[(*path, "")] = {
            verb: _route(handlers[verb], store, services, verb == "watch") for verb in resource.verbs
        }
        if of_any := self._virtual.get((resource.group, "*")):
            self._of_any[(resource.group, resource.version)] = {
                verb: _route(handler, store, services, False) for verb, handler in of_any.items()
            }
        for subresource in self._subresources.of(resource):
            self._routes[(*path, subresource.name)] = {
                verb: _sub_route(handler, store, services, subresource)
                for verb, handler in subresource.handlers.items()
            }

    def remove(self, resource: Resource[Any]) -> None:
        path = (resource.group, resource.version, resource.plural)
        del self._resources[path]
        for name in ("", *(subresource.name for subresource in self._subresources.of(resource))):
            del self._routes[(*path, name)]

    def find(self, info: RequestInfo) -> Route:
        """Raises: NotFound for a path that nothing is served at, MethodNotAllowed for a verb it does not answer,
        BadRequest for a name that no object can have."""
        verbs = self._routes.get((info.group, info.version, info.resource, info.subresource))
        if verbs is None and self.settle is not None and info.group not in self._built_in:
            return Route(self._find_later, long_running=info.verb == "watch")
        return self._found(info, verbs)

    async def _find_later(self, request: Request) -> Answer:
        """Answers for a kind that another API server may just have begun to serve."""
        info = request.info
        assert self.settle is not None
        await self.settle()
        verbs = self._routes.get((info.group, info.version, info.resource, info.subresource))
        return await self._found(info, verbs).handler(request)

    def _found(self, info: RequestInfo, verbs: dict[str, Route] | None) -> Route:
        if verbs is None and info.namespace and (of_any := self._of_any.get((info.group, info.version))):
            if info.verb not in of_any:
                raise not_allowed()
            return of_any[info.verb]
        resource = self._resources.get((info.group, info.version, info.resource))
        if verbs is None and info.subresource and resource is not None and resource.schema is not None:
            raise object_not_found(info.resource, info.group, info.name)
        if verbs is None or (info.rest and info.subresource != "proxy"):
            raise not_served()
        namespaced = resource is not None and resource.namespaced
        if not namespaced and info.namespace and info.resource != "namespaces":
            raise not_served()
        if namespaced and not info.namespace and (info.name or info.verb == "get") and info.verb != "watch":
            raise not_served()
        route = verbs.get(info.verb)
        if route is None or (namespaced and not info.namespace and info.verb in ("create", "deletecollection")):
            raise not_allowed()
        if not info.name and info.verb in NAMED:
            raise not_allowed()
        if info.name and not info.subresource and info.verb == "create":
            raise not_allowed()
        if "%" in info.name or info.name in DOTS:
            raise BadRequest(f"Name parameter invalid: {quote(info.name)}: {';'.join(path_segment_errors(info.name))}")
        return route


def _route(handler: Handler, store: Store[Any], services: AnyServices, long_running: bool) -> Route:
    bound = bind(handler, store, services)
    if store.resource.deprecated:
        return Route(_warning_of_deprecation(bound, store.resource), long_running)
    return Route(bound, long_running, quick_answer_of(handler, store))


def _sub_route(handler: Handler, store: Store[Any], services: AnyServices, subresource: Subresource) -> Route:
    route = _route(handler, store, services, subresource.long_running)
    return replace(route, handler=_admitted(route.handler, store, subresource)) if subresource.connects else route


def _admitted(
    handler: Callable[[Request], Awaitable[Answer]], store: Store[Any], subresource: Subresource
) -> Callable[[Request], Awaitable[Answer]]:
    """Has admission look at what a connection is for, before it is made."""

    async def handle(request: Request) -> Answer:
        options = {"kind": subresource.kind, "apiVersion": "v1", **subresource.options(request.query)}
        where = store.namespace_of(request.info), request.info.name
        await store.admit_connection(*where, options, request.user, subresource=subresource.name)
        return await handler(request)

    return handle


def _warning_of_deprecation(
    handler: Callable[[Request], Awaitable[Answer]], resource: Resource[Any]
) -> Callable[[Request], Awaitable[Answer]]:
    """Adds the deprecation warning of the kind to each answer that is not a stream, to refusals as well."""

    async def handle(request: Request) -> Answer:
        return await with_warnings([resource.deprecated], handler(request))

    return handle


def not_served() -> NotFound:
    return NotFound("the server could not find the requested resource", {})


def not_allowed() -> MethodNotAllowed:
    return MethodNotAllowed("the server does not allow this method on the requested resource", {})
