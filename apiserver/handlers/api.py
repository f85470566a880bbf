"""A handler: the function that answers one verb of a resource or subresource, with the services that it names."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import Field, dataclass, fields
from functools import partial
from inspect import Parameter, signature
from typing import Any, ClassVar, Protocol

from apimachinery.catalogue import CatalogueError
from apiserver.auth.authentication.authenticator import Authenticator
from apiserver.auth.authentication.tokens import ServiceAccountTokens
from apiserver.auth.authorization.authorizer import Authorizer
from apiserver.proxy.kubelet import KubeletClient
from apiserver.registry.store import Store
from apiserver.registry.stores import Stores
from apiserver.request.message import Answer, Request
from apiserver.storage import CachedStorage
from componentbase.clock import Clock

Handler = Callable[..., Awaitable[Answer]]
"""`async def handler(request, store, *, SERVICE…)`: `store` is the registry of the resource that the path names; each
keyword-only parameter gets the field of the services of its name."""

QuickAnswer = Callable[[Request, Store[Any]], bytes]
"""Returns the body of an answer that needs no waiting; b"" leaves the request to the handler. Raises: StatusError."""


class AnyServices(Protocol):
    """A dataclass of the services that handlers may name."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    @property
    def stores(self) -> Stores: ...


@dataclass(frozen=True)
class Services:
    """The services that a handler may name."""

    authenticator: Authenticator
    authorizer: Authorizer
    clock: Clock
    kubelet: KubeletClient
    storage: CachedStorage
    stores: Stores
    tokens: ServiceAccountTokens


def bind(handler: Handler, store: Store[Any], services: AnyServices) -> Callable[[Request], Awaitable[Answer]]:
    """The handler with everything but the request. Raises: CatalogueError for a service that does not exist."""
    wanted = [item.name for item in signature(handler).parameters.values() if item.kind is Parameter.KEYWORD_ONLY]
    if unknown := set(wanted) - {field.name for field in fields(services)}:
        raise CatalogueError(f"a handler of {store.resource} asks for services that do not exist: {sorted(unknown)}")
    return partial(handler, store=store, **{name: getattr(services, name) for name in wanted})


def answers_now(quick: QuickAnswer) -> Callable[[Handler], Handler]:
    """Decorates a handler some of whose requests are answered without waiting, and so without a task."""

    def decorate(handler: Handler) -> Handler:
        handler.answer_now = quick  # type: ignore[attr-defined]
        return handler

    return decorate


def quick_answer_of(handler: Handler, store: Store[Any]) -> Callable[[Request], bytes] | None:
    quick: QuickAnswer | None = getattr(handler, "answer_now", None)
    return None if quick is None else lambda request: quick(request, store)
