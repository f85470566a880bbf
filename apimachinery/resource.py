"""What makes a kind a resource: its path, model, strategy, columns and subresources; one `RESOURCE` per kind's file."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from apimachinery.errors import FieldError
from apimachinery.meta import DeleteOptions, Object
from apimachinery.names import dns_subdomain_errors

T = TypeVar("T", bound="Object")

ALL_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")


@dataclass(frozen=True, slots=True)
class Column:
    """A Table column. `value(obj, now)` gives the cell (str or int); priority 1 shows only with `-o wide`.

    `now` is Unix seconds, for ages; `kind` is the Table's `type` ("string", "integer", "date").
    """

    name: str
    value: Callable[[Any, float], object]
    type: str = "string"
    format: str = ""
    description: str = ""
    priority: int = 0


class Strategy(Generic[T]):
    """The kind's own rules, pure: no I/O and no clock. Objects are the request's own copies and changed in place."""

    generation_tracks_spec = True
    """Whether a changed `spec` raises `metadata.generation` (it starts at 1)."""
    resets_status = True
    """Whether create drops and update keeps `status`, which is then written through the status subresource alone."""
    allow_unconditional_update = True
    """Whether a PUT without resourceVersion is taken as "whatever is stored"."""
    allow_create_on_update = False
    """Whether a PUT on a missing name creates it (upstream: Lease, Node's heartbeats' kinds, Event …)."""

    def default(self, obj: T) -> None:
        """Sets defaults that are no constant of one field (those are the model's own); runs on every decode."""

    def prepare_create(self, obj: T) -> None:
        """Clears or sets what a client may not decide."""

    def prepare_update(self, obj: T, old: T) -> None:
        """Carries over what a client may not change."""

    def prepare_status_update(self, obj: T, old: T) -> None:
        """Runs for writes to `status`; the generic store has put `old`'s spec and most of metadata back already."""

    def validate(self, obj: T) -> list[FieldError]:
        """All that is wrong with the object on its own; names and metadata are checked generically."""
        return []

    def validate_create(self, obj: T) -> list[FieldError]:
        """`validate`, and what is asked of new objects alone."""
        return self.validate(obj)

    def validate_update(self, obj: T, old: T) -> list[FieldError]:
        """What may not change between `old` and `obj`; `validate(obj)` has run already."""
        return []

    def validate_status_update(self, obj: T, old: T) -> list[FieldError]:
        return []

    def prepare_subresource_update(self, obj: T, old: T, subresource: str) -> None:
        """Runs for writes to other subresources that are the whole object: puts back what they may not change."""

    def validate_subresource_update(self, obj: T, old: T, subresource: str) -> list[FieldError]:
        return []

    def validate_name(self, name: str) -> list[str]:
        """Messages for a bad name; DNS subdomain unless a kind says otherwise."""
        return dns_subdomain_errors(name)

    def grace_period_seconds(self, obj: T, options: DeleteOptions) -> int | None:
        """For graceful deletion (Pod): seconds the object stays with a deletionTimestamp; None deletes at once."""
        return None

    def create_warnings(self, obj: T) -> list[str]:
        """Texts for `Warning: 299` headers."""
        return []


@dataclass(frozen=True)
class Scale:
    """Where a kind with a `scale` subresource keeps its numbers, as attribute paths."""

    spec_replicas: str = "spec.replicas"
    status_replicas: str = "status.replicas"
    selector: str = "spec.selector"


@dataclass(frozen=True)
class View:
    """A kind without storage of its own: another kind's objects in another shape. Both functions are pure.

    Objects go to and fro as plain JSON types; either function may change and return what it is given.
    """

    of: Resource[Any]
    to_view: Callable[[dict[str, Any]], dict[str, Any]]
    """What is stored -> what this kind's clients see."""
    from_view: Callable[[dict[str, Any]], dict[str, Any]]
    fields: Mapping[str, str]
    """Field selectors of this kind -> those of the stored one."""


@dataclass(frozen=True)
class Resource(Generic[T]):
    """A kind as the API serves it. `RESOURCE = Resource(...)` in the kind's file is all it takes."""

    kind: str
    plural: str
    model: type[T]
    group: str = ""
    version: str = "v1"
    namespaced: bool = True
    singular: str = ""
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    strategy: Strategy[T] = field(default_factory=Strategy)
    columns: tuple[Column, ...] = ()
    fields: Mapping[str, Callable[[T], str]] = field(default_factory=dict)
    """Field selectors beyond metadata.name and metadata.namespace: "spec.nodeName" -> its value ("" when absent)."""
    status: bool = False
    scale: Scale | None = None
    verbs: tuple[str, ...] = ALL_VERBS
    """None for a kind that is only the body of a subresource, and has no path of its own."""
    storage_prefix: str = ""
    """Key below /registry/, where it is not `plural` (upstream: services/specs, services/endpoints, minions …)."""

    stored: bool = True
    """False: every request is answered by computation (see `apiserver/virtual/`), and nothing is kept."""
    view: View | None = None
    deprecated: str = ""
    """What clients are told with every answer, where the kind should not be used any more."""

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def singular_name(self) -> str:
        return self.singular or self.kind.lower()

    @property
    def list_kind(self) -> str:
        return self.kind + "List"

    @property
    def root(self) -> str:
        """ "/api/v1" or "/apis/apps/v1"."""
        return f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"

    def path(self, namespace: str = "", name: str = "", subresource: str = "") -> str:
        """The URL path of a collection, an object or its subresource; names are used as they are."""
        path = self.root
        if namespace and self.namespaced:
            path += f"/namespaces/{namespace}"
        path += f"/{self.plural}"
        if name:
            path += f"/{name}"
        if subresource:
            path += f"/{subresource}"
        return path

    def __repr__(self) -> str:
        return f"<Resource {self.plural} {self.api_version}>"


def resource_of(model: type[T]) -> Resource[T]:
    """The `RESOURCE` of the file a kind's model is defined in, or of the `resource.py` beside it.

    Raises: LookupError when neither has one for this model.
    """
    resource = getattr(sys.modules[model.__module__], "RESOURCE", None)
    if resource is None and model.__module__.endswith(".model"):
        module = importlib.import_module(model.__module__.removesuffix("model") + "resource")
        resource = getattr(module, "RESOURCE", None)
    if not isinstance(resource, Resource) or resource.model is not model:
        raise LookupError(f"{model.__module__} defines no RESOURCE for {model.__name__}")
    return resource
