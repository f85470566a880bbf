"""The definition of a kind: path, model, strategy, columns and subresources. Each kind's file has one `RESOURCE`."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, ClassVar, Generic, Protocol, TypeVar

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
    description: str = ""
    type: str = "string"
    format: str = ""
    priority: int = 0


class Strategy(Generic[T]):
    """The kind's own rules. They are pure: without I/O and clock. Objects are copies of the request's own, changed in
    place."""

    generation_tracks_spec = True
    """Whether a changed `spec` raises `metadata.generation` (it starts at 1)."""
    resets_status = True
    """Whether create drops `status` and update keeps it, so that only the status subresource writes it."""
    kept_by_status: tuple[str, ...] = ("ownerReferences",)
    """The members of `metadata` that a write to the status keeps, and so does not own."""
    ignored_members: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    """Subresource ("" for the object itself) -> the top members that a write to it never changes, and so does not own;
    `status` need not be named."""
    allow_unconditional_update = True
    """Whether a PUT without resourceVersion is taken as "whatever is stored"."""
    orphans_dependents = False
    """Whether a deletion without a propagation policy leaves the dependents of the object alone."""
    plain_finalizers = False
    """Whether finalizers need no domain in their names: upstream asks for one in kinds of its older groups alone."""
    allow_create_on_update = False
    """Whether a PUT to a missing name creates the object (upstream: Lease, Event …)."""

    compiles = False
    """Whether checking an object compiles what it holds, such as expressions: that is done in a thread."""

    def default(self, obj: T) -> None:
        """Sets defaults that depend on other fields; constants are the model's own. Runs at every decoding."""

    def record_requester(
        self, obj: T, name: str, uid: str, groups: Sequence[str], extra: Mapping[str, Sequence[str]]
    ) -> None:
        """Notes who creates the object, for kinds that tell; runs before `prepare_create`."""

    def prepare_create(self, obj: T) -> None:
        """Sets or clears the fields that a client must not decide."""

    def prepare_update(self, obj: T, old: T) -> None:
        """Carries over the fields that a client must not change."""

    def prepare_status_update(self, obj: T, old: T) -> None:
        """Runs for writes to `status`, after the generic store has restored the spec and most of the metadata of
        `old`."""

    def validate(self, obj: T) -> list[FieldError]:
        """Lists the errors in the object on its own. Names and metadata are checked generically."""
        return []

    def validate_create(self, obj: T) -> list[FieldError]:
        """Lists the errors of `validate`, and those that concern new objects only."""
        return self.validate(obj)

    def validate_update(self, obj: T, old: T) -> list[FieldError]:
        """Lists forbidden changes between `old` and `obj`, after `validate(obj)`."""
        return []

    def validate_status_update(self, obj: T, old: T) -> list[FieldError]:
        return []

    def prepare_subresource_update(self, obj: T, old: T, subresource: str) -> None:
        """Restores the fields that a write to another subresource of the whole object must not change."""

    def validate_subresource_update(self, obj: T, old: T, subresource: str) -> list[FieldError]:
        return []

    def validate_name(self, name: str) -> list[str]:
        """Returns messages for a bad name. The default rule is a DNS subdomain."""
        return dns_subdomain_errors(name)

    def grace_period_seconds(self, obj: T, options: DeleteOptions) -> int | None:
        """Returns the seconds for which a deleted object stays with a deletionTimestamp (Pod); None deletes it at
        once."""
        return None

    def create_warnings(self, obj: T) -> list[str]:
        """Returns texts for `Warning: 299` headers."""
        return []

    def update_warnings(self, obj: T, old: T) -> list[str]:
        """Returns the same for an update of anything but the status."""
        return []

    def delete_warnings(self, options: DeleteOptions) -> list[str]:
        """Returns the same for a deletion, whatever comes of it."""
        return []


class Schema(Protocol):
    """The schema of a kind that is defined at run time; its objects are plain JSON types."""

    def read(self, stored: bytes) -> bytes:
        """Returns an object of the store in today's form: in the storage version, pruned, with defaults."""
        ...

    def raw(self) -> dict[str, Any]:
        """Returns the schema itself, in the form of OpenAPI v3."""
        ...

    @property
    def by_webhook(self) -> bool:
        """Tells whether a webhook converts objects between the versions of the kind."""
        ...

    def convert(self, value: bytes) -> bytes:
        """Returns an encoded object of another version in this one, where no webhook is needed for that."""
        ...

    async def convert_by_webhook(self, values: Sequence[bytes]) -> list[bytes]:
        """Returns encoded objects of other versions in this one, where a webhook converts them. Raises: StatusError."""
        ...

    def merge_types(self) -> Any:
        """Returns the form of an object for managed fields, the same one each time."""
        ...


@dataclass(frozen=True)
class Scale:
    """The attribute paths of the numbers that the `scale` subresource of a kind reads and writes."""

    spec_replicas: str = "spec.replicas"
    status_replicas: str = "status.replicas"
    selector: str = "spec.selector"


@dataclass(frozen=True)
class View:
    """A kind that shows the stored objects of another kind in another form. Both functions are pure.

    Objects are passed as plain JSON types; either function may change and return its argument.
    """

    of: Resource[Any]
    to_view: Callable[[dict[str, Any]], dict[str, Any]]
    """Turns a stored object into the form of this kind."""
    from_view: Callable[[dict[str, Any]], dict[str, Any]]
    fields: Mapping[str, str]
    """Field selectors of this kind -> those of the stored one."""


@dataclass(frozen=True)
class Resource(Generic[T]):
    """A kind as the API serves it. `RESOURCE = Resource(...)` in the kind's file registers it."""

    kind: str
    plural: str
    model: type[T]
    group: str = ""
    version: str = "v1"
    namespaced: bool = True
    singular: str = ""
    list_kind_name: str = ""
    """The kind of lists, where it is not the kind with "List" behind it."""
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    strategy: Strategy[T] = field(default_factory=Strategy)
    columns: tuple[Column, ...] = ()
    row_conditions: Callable[[T], tuple[Mapping[str, str], ...]] = lambda obj: ()
    """What a Table says of an object's row besides its cells."""
    fields: Mapping[str, Callable[[T], str]] = field(default_factory=dict)
    """Field selectors beyond metadata.name and metadata.namespace: "spec.nodeName" -> its value ("" when absent)."""
    status: bool = False
    scale: Scale | None = None
    verbs: tuple[str, ...] = ALL_VERBS
    """Empty for a kind that is only the body of a subresource, without a path of its own."""
    storage_prefix: str = ""
    """Key below /registry/, where it is not `plural` (upstream: services/specs, services/endpoints, minions …)."""

    stored: bool = True
    """False if requests are answered by computation (see `apiserver/virtual/`) and objects are not stored."""
    view: View | None = None
    returned_on_delete: bool = False
    """Whether a DELETE is answered with the last state instead of a Status, as upstream has it."""
    expires: bool = False
    """Whether objects vanish by themselves, `--event-ttl` after their last write."""
    schema: Schema | None = None
    """None for a kind whose model says all."""
    deprecated: str = ""
    """The warning that clients get with every answer, if the kind is deprecated."""

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def singular_name(self) -> str:
        return self.singular or self.kind.lower()

    @property
    def list_kind(self) -> str:
        return self.list_kind_name or self.kind + "List"

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
    """Returns the `RESOURCE` of the file that defines a kind's model, or a model that this one extends, or of the
    `resource.py` beside it.

    Raises: LookupError when neither has one for this model.
    """
    return _resource_of(model)


@cache
def _resource_of(model: type[Any]) -> Resource[Any]:
    resource = getattr(sys.modules[model.__module__], "RESOURCE", None)
    if resource is None and model.__module__.endswith(".model"):
        module = importlib.import_module(model.__module__.removesuffix("model") + "resource")
        resource = getattr(module, "RESOURCE", None)
    if not isinstance(resource, Resource) or not issubclass(model, resource.model):
        raise LookupError(f"{model.__module__} defines no RESOURCE for {model.__name__}")
    return resource
