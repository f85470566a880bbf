"""The admission plugin, and the chain of plugins that concern a request.

Source: Kubernetes documentation, "Admission Controllers".
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from prometheus_client.registry import Collector

from apimachinery.catalogue import Catalogue, collect
from apimachinery.errors import FieldError, Forbidden, object_details, resource_name
from apimachinery.meta import Object
from apimachinery.model import decode
from apimachinery.resource import Resource
from apiserver.admission._order import place_of
from apiserver.auth.authorization.authorizer import Authorizer
from apiserver.proxy.services import ServiceLocator
from apiserver.request.user import User
from apiserver.storage import CachedStorage
from apiserver.storage.interface import Entry
from componentbase.configfile import ConfigFileError

D = TypeVar("D")

NO_CONFIGURATIONS: Mapping[str, Any] = {}

CREATE = "CREATE"
UPDATE = "UPDATE"
DELETE = "DELETE"
CONNECT = "CONNECT"


@dataclass(slots=True)
class Attributes:
    """The request as admission sees it. `obj` is None for DELETE, `old` is None for CREATE; plugins change `obj` in
    place."""

    operation: str
    resource: Resource[Any]
    subresource: str
    namespace: str
    name: str
    obj: Any
    old: Any
    user: User
    dry_run: bool = False
    warnings: tuple[str, ...] = ()
    """Warnings of plugins to the client; only the answer to a request that succeeds carries them."""
    audit_annotations: dict[str, str] | None = None
    """What plugins add to the request's audit event, also when they refuse the request; None if it has no event."""
    round: int = 0
    """1 when the chain is run once more, as a policy or webhook has changed the object."""
    changed: bool = False
    """A policy or webhook has changed the object."""
    left: dict[Hashable, Any] = field(default_factory=dict)
    """The object as each policy and webhook has left it, which is asked again only about another one."""
    conversions: dict[tuple[str, bytes], bytes] = field(default_factory=dict)
    """Encoded objects as a conversion webhook shows them in another version, by that version and what they were."""

    def warn(self, *texts: str) -> None:
        self.warnings += texts

    def annotate(self, key: str, value: str) -> None:
        if self.audit_annotations is not None:
            self.audit_annotations[key] = value


Step = Callable[[Attributes, "Lookup"], Awaitable[None] | None]


class Lookup(Collector):
    """Access to other objects for plugins; reads come from the watch cache first."""

    def __init__(
        self,
        storage: CachedStorage,
        resources: Mapping[tuple[str, str], Resource[Any]],
        authorizer: Authorizer,
        locator: ServiceLocator,
        catalogue: Catalogue | None = None,
    ) -> None:
        """`resources` by (group, plural): their owner adds kinds that come at run time. `authorizer` is for plugins
        that ask for a further right, `locator` for those that call a Service. `catalogue` has the kinds in all their
        versions."""
        self.storage = storage
        self.locator = locator
        self.authorizer = authorizer
        self._resources = resources
        self.catalogue = catalogue or Catalogue([])
        self._derived: dict[Callable[..., Any], tuple[int, Any]] = {}
        self._states: dict[Callable[..., Any], Any] = {}

    def resource(self, plural: str, group: str = "") -> Resource[Any]:
        return self._resources[(group, plural)]

    def of_kind(self, api_version: str, kind: str) -> Resource[Any] | None:
        """Returns the resource of a kind, None where the server has no such kind in that version."""
        matches = (item for item in self._resources.values() if (item.api_version, item.kind) == (api_version, kind))
        return next(matches, None)

    def equivalents(self, resource: Resource[Any]) -> list[Resource[Any]]:
        """Returns the other kinds that show the same stored objects."""
        others = (item for item in self.catalogue if item is not resource)
        if resource.schema is not None:
            path = resource.group, resource.plural
            return [item for item in others if item.schema is not None and (item.group, item.plural) == path]
        stored = resource.view.of if resource.view else resource
        return [item for item in others if item is stored or (item.view is not None and item.view.of is stored)]

    def derived(self, resource: Resource[Any], make: Callable[[list[Any]], D]) -> D:
        """Returns `make` of all cached objects of a resource, computed again once one of them has changed."""
        changed = self.storage.changed(resource)
        cached = self._derived.get(make)
        if cached is None or cached[0] != changed:
            objects = [decode(resource.model, entry.value) for entry in self.storage.snapshot(resource)]
            cached = self._derived[make] = (changed, make(objects))
        value: D = cached[1]
        return value

    def in_namespace(self, plural: str, namespace: str) -> list[Entry]:
        """Returns the objects of a core kind in a namespace, own writes included, in the order of their names."""
        return self.storage.latest_in_namespace(self._resources[("", plural)], namespace)

    def collect(self) -> Iterator[Any]:
        """Yields the metrics of plugins: of each state that has some."""
        for state in list(self._states.values()):
            metrics: Collector | None = getattr(state, "metrics", None)
            if metrics is not None:
                yield from metrics.collect()

    def state(self, make: Callable[[Lookup], D]) -> D:
        """Returns the state of a plugin in this server, made by `make` at the first call."""
        if make not in self._states:
            self._states[make] = make(self)
        value: D = self._states[make]
        return value


@dataclass(frozen=True)
class Plugin:
    """One plugin. `mutate` runs before validation and may change the object, `validate` runs after it; both raise
    StatusError.

    `resources` are "pods" or "pods/status" of the core group, or "deployments.apps"; empty means all.
    """

    name: str
    operations: frozenset[str]
    resources: frozenset[str] = frozenset()
    mutate: Step | None = None
    validate: Step | None = None
    on_by_default: bool = True
    configure: Callable[[Any], Plugin] | None = None
    """Makes the plugin as a document of its own kind says, for one that can be configured. Raises: ConfigFileError."""

    def concerns(self, resource: Resource[Any], subresource: str, operation: str) -> bool:
        if operation not in self.operations:
            return False
        name = f"{resource.plural}.{resource.group}" if resource.group else resource.plural
        return not self.resources or (f"{name}/{subresource}" if subresource else name) in self.resources


class Chain:
    """The enabled plugins, with those that concern each kind of request (computed once for each kind)."""

    def __init__(self, plugins: Iterable[Plugin], lookup: Lookup) -> None:
        self.plugins = sorted(plugins, key=lambda plugin: (place_of(plugin.name), plugin.name))
        self._lookup = lookup
        self._steps: dict[tuple[str, str, str, str], tuple[list[Step], list[Step]]] = {}

    async def mutate(self, attributes: Attributes) -> None:
        """Runs once more where a policy or webhook has changed the object: what they add is completed like the rest."""
        await self._mutate(attributes)
        if attributes.changed:
            attributes.round = 1
            await self._mutate(attributes)

    async def _mutate(self, attributes: Attributes) -> None:
        for step in self._of(attributes)[0]:
            waiting = step(attributes, self._lookup)
            if waiting is not None:
                await waiting

    async def validate(self, attributes: Attributes) -> None:
        for step in self._of(attributes)[1]:
            waiting = step(attributes, self._lookup)
            if waiting is not None:
                await waiting

    def _of(self, attributes: Attributes) -> tuple[list[Step], list[Step]]:
        resource = attributes.resource
        key = (resource.group, resource.plural, attributes.subresource, attributes.operation)
        steps = self._steps.get(key)
        if steps is None:
            chosen = [p for p in self.plugins if p.concerns(resource, attributes.subresource, attributes.operation)]
            steps = [p.mutate for p in chosen if p.mutate], [p.validate for p in chosen if p.validate]
            self._steps[key] = steps
        return steps


class UnknownPlugin(Exception):
    """A flag names an admission plugin that does not exist."""


def enabled_plugins(
    disable: Iterable[str], enable: Iterable[str], configurations: Mapping[str, Any] = NO_CONFIGURATIONS
) -> list[Plugin]:
    """Returns the plugins of this folder that are on by default or by `enable`, which takes precedence over `disable`.

    `configurations` are the documents of `--admission-control-config-file`, by plugin.
    Raises: UnknownPlugin, ConfigFileError.
    """
    plugins = {plugin.name: plugin for plugin in collect("apiserver.admission", "ADMISSION", Plugin).values()}
    for name in (*disable, *enable):
        if name not in plugins:
            raise UnknownPlugin(f'unknown admission plugin "{name}"; there are: {", ".join(sorted(plugins))}')
    for name, document in configurations.items():
        plugins[name] = _configured(plugins.get(name), name, document)
    on, off = set(enable), set(disable)
    for name in on:
        if plugins[name].mutate is None and plugins[name].validate is None:
            raise ConfigFileError(f"{name}: this admission plugin does nothing until it is configured")
    return [plugin for name, plugin in plugins.items() if name in on or (plugin.on_by_default and name not in off)]


def _configured(plugin: Plugin | None, name: str, document: Any) -> Plugin:
    """Raises: ConfigFileError."""
    if plugin is None:
        raise ConfigFileError(f"{name}: there is no such admission plugin")
    if plugin.configure is None:
        raise ConfigFileError(f"{name}: this admission plugin has nothing to configure")
    try:
        return plugin.configure(document)
    except ConfigFileError as error:
        raise ConfigFileError(f"{name}: {error}") from None


def refused(attributes: Attributes, why: str, causes: Sequence[FieldError] = ()) -> Forbidden:
    """Makes the 403 of a plugin that refuses the request."""
    resource, name = attributes.resource, attributes.name
    text = f'{resource_name(resource.plural, resource.group)} "{name}" is forbidden: {why}'
    return Forbidden(text, object_details(resource.plural, resource.group, name), list(causes))


def spec_of(obj: Object) -> Any:
    """Returns `obj.spec`, for plugins that know their kinds by name alone."""
    return obj.spec  # type: ignore[attr-defined]
