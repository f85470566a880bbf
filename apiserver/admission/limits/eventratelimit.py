"""EventRateLimit: Events come no faster than its configuration allows.

It is about Events of the core group; those of events.k8s.io pass, as upstream.

Source: Kubernetes documentation, "Admission Controllers: EventRateLimit".
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from typing import Any

from apimachinery.errors import TooManyRequests
from apimachinery.model import Int32, Model
from apimachinery.validation import Errors
from apiserver.admission._plugin import CREATE, UPDATE, Attributes, Lookup, Plugin
from componentbase.clock import Clock
from componentbase.configfile import decode_config, require_valid
from componentbase.ratelimit import TokenBucket
from kubeapi.core.event import Event

KIND = "Configuration"
DEFAULT_CACHE_SIZE = 4096


class Limit(Model):
    """One limit."""

    type: str = ""
    """How Events are grouped: Server (all together), Namespace, User or SourceAndObject."""
    qps: Int32 = 0
    """Events a second."""
    burst: Int32 = 0
    """Events that may come at once."""
    cacheSize: Int32 | None = None
    """The most groups to remember; the one that was quiet for the longest time is forgotten, and starts anew.
    Default: 4096."""


class Configuration(Model):
    """The configuration as it stands in the file."""

    limits: list[Limit] | None = None
    """The limits; an Event must keep all of them."""


KINDS = {("eventratelimit.admission.k8s.io/v1alpha1", KIND): Configuration}


def _source_and_object(attributes: Attributes) -> str:
    event: Event = attributes.obj
    source, about = event.source, event.involvedObject
    parts = (source.component, source.host, about.kind, about.namespace, about.name, about.uid, about.apiVersion)
    return "".join(part or "" for part in parts)


KEYS: dict[str, Callable[[Attributes], str]] = {
    "Server": lambda attributes: "",
    "Namespace": lambda attributes: attributes.namespace,
    "User": lambda attributes: attributes.user.name,
    "SourceAndObject": _source_and_object,
}
"""Type of a limit -> the key that Events of one group share."""


class Buckets:
    """One limit: a bucket for each key, from which every Event takes a token."""

    def __init__(self, limit: Limit, clock: Clock) -> None:
        self.type = limit.type
        self._limit, self._clock = limit, clock
        self._size = limit.cacheSize or DEFAULT_CACHE_SIZE
        self._buckets: OrderedDict[str, TokenBucket] = OrderedDict()

    def take(self, key: str) -> bool:
        """Takes a token, if there is one."""
        now = self._clock.monotonic()
        bucket = self._buckets.setdefault(key, TokenBucket(self._limit.qps, self._limit.burst, now))
        self._buckets.move_to_end(key)
        if len(self._buckets) > self._size:
            self._buckets.popitem(last=False)
        return bucket.take(now)


def read_limits(document: Any) -> list[Limit]:
    """Raises: ConfigFileError."""
    limits = decode_config(document, KINDS).limits or []
    errors = Errors()
    if not limits:
        errors.invalid(("limits",), limits, "must not be empty")
    for index, limit in enumerate(limits):
        at = ("limits", index)
        if limit.type not in KEYS:
            errors.not_supported((*at, "type"), limit.type, KEYS)
        for name in ("burst", "qps"):
            if getattr(limit, name) <= 0:
                errors.invalid((*at, name), getattr(limit, name), "must be positive")
        if (limit.cacheSize or 0) < 0:
            errors.invalid((*at, "cacheSize"), limit.cacheSize, "must not be negative")
    require_valid(KIND, errors)
    return limits


def configured(document: Any, clock: Clock | None = None) -> Plugin:
    """Makes the plugin with its buckets full. Raises: ConfigFileError."""
    clock = clock or Clock()
    buckets = [Buckets(limit, clock) for limit in read_limits(document)]
    return Plugin(
        "EventRateLimit",
        frozenset({CREATE, UPDATE}),
        frozenset({"events"}),
        validate=partial(_check, buckets),
        on_by_default=False,
    )


def _check(limits: list[Buckets], attributes: Attributes, lookup: Lookup) -> None:
    """Takes a token of every limit, also of those behind one that refuses. Dry runs store nothing and take none."""
    if attributes.dry_run:
        return
    refusal = None
    for limit in limits:
        key = KEYS[limit.type](attributes)
        if not limit.take(key):
            refusal = f"Too many requests: limit reached on type {limit.type} for key {key}"
    if refusal is not None:
        raise TooManyRequests(refusal)


ADMISSION = Plugin("EventRateLimit", frozenset(), on_by_default=False, configure=configured)
