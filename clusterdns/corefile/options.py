"""What a Corefile says, once it is understood: server blocks, each with the directives that are served here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from clusterdns.message import Name, is_below

DEFAULT_PORT = 53


class PodMode(Enum):
    """Which names of pods there are."""

    DISABLED = "disabled"
    INSECURE = "insecure"
    """Every address in every namespace that exists, as if it was a pod's."""
    VERIFIED = "verified"
    """Those of pods that there are."""


@dataclass(frozen=True)
class Fallthrough:
    """The zones in which names that a directive does not know are left to the next; None for none."""

    zones: tuple[Name, ...] | None = None

    def covers(self, name: Name) -> bool:
        return self.zones is not None and any(is_below(name, zone) for zone in self.zones)


@dataclass(frozen=True)
class KubernetesOptions:
    """`kubernetes`: the zones of the cluster."""

    zones: tuple[Name, ...] = (("cluster", "local"),)
    pods: PodMode = PodMode.DISABLED
    ttl: int = 5
    endpoint_pod_names: bool = False
    fallthrough: Fallthrough = Fallthrough()

    @property
    def domain(self) -> Name:
        """The zone that PTR records lead to."""
        return next((zone for zone in self.zones if zone[-1:] != ("arpa",)), ("cluster", "local"))


@dataclass(frozen=True)
class HostsOptions:
    """`hosts`: names that the Corefile itself has addresses for."""

    addresses: Mapping[Name, tuple[str, ...]]
    names: Mapping[str, tuple[Name, ...]]
    """By address."""
    ttl: int = 3600
    fallthrough: Fallthrough = Fallthrough()


@dataclass(frozen=True)
class RewriteRule:
    """`rewrite name`: asks for another name, and gives the answer the name that was asked for."""

    kind: str
    """exact, prefix, suffix, substring or regex."""
    before: str
    after: str
    pattern: re.Pattern[str] | None = None
    stop: bool = True
    """No rule behind this one is looked at."""


@dataclass(frozen=True)
class ForwardOptions:
    """`forward`: the resolvers that names of a zone are asked of."""

    zone: Name
    to: tuple[str, ...]
    """Addresses, with their ports as "ADDRESS#PORT"."""
    files: tuple[str, ...] = ()
    """Such as /etc/resolv.conf: their name servers are meant."""
    excluded: tuple[Name, ...] = ()
    policy: str = "random"
    max_fails: int = 2
    max_concurrent: int = 1000
    force_tcp: bool = False


@dataclass(frozen=True)
class CachePart:
    """The options of `cache` for one kind of answers: those with records, or those without. Times are in seconds."""

    capacity: int = 9984
    most_seconds: int = 3600
    least_seconds: int = 5
    disabled: tuple[Name, ...] = ()
    """The zones that are not cached."""


@dataclass(frozen=True)
class CacheOptions:
    zones: tuple[Name, ...] = ((),)
    success: CachePart = CachePart()
    denial: CachePart = CachePart(most_seconds=1800)
    servfail_seconds: int = 5


@dataclass(frozen=True)
class ServerBlock:
    """Directives for names of some zones."""

    zones: tuple[Name, ...]
    kubernetes: KubernetesOptions | None = None
    hosts: HostsOptions | None = None
    rewrites: tuple[RewriteRule, ...] = ()
    forwards: tuple[ForwardOptions, ...] = ()
    cache: CacheOptions | None = None
    served: frozenset[str] = field(default_factory=frozenset)
    """The names of all its directives."""


@dataclass(frozen=True)
class Config:
    blocks: tuple[ServerBlock, ...]
