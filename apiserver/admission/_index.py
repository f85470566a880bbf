"""The policies or webhooks in force, found by the kind of request that they are about."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from apimachinery.resource import Resource
from apiserver.admission._matching import KindMatch, Matcher, RequestKind
from apiserver.admission._plugin import UPDATE, Attributes, Lookup

T = TypeVar("T")

MOST_KINDS = 4096  # kinds of requests that are remembered; then all are forgotten


@dataclass(frozen=True)
class Candidate(Generic[T]):
    """A policy or webhook that may be about a request of some kind."""

    subject: T
    matches: Sequence[KindMatch]
    """All have to match a request."""
    version: Resource[Any]
    """The version of the resource that its rules are about."""


class RequestIndex(ABC, Generic[T]):
    """Follows objects in the watch cache. What the kind of a request decides is worked out once for each kind."""

    converts = True
    """Whether rules may be about another version of the resource than that of the request."""

    def __init__(self, lookup: Lookup, *sources: Resource[Any]) -> None:
        """`sources` are the kinds of the objects that `read` reads."""
        self.lookup, self._is_stale = lookup, True
        for source in sources:
            lookup.storage.on_change(source, self._expire)
        self._edition = -1
        self._subjects: Sequence[tuple[T, Sequence[Matcher]]] = ()
        self._kinds: dict[tuple[str, ...], list[Candidate[T]]] = {}

    @abstractmethod
    def read(self) -> Sequence[tuple[T, Sequence[Matcher]]]:
        """Returns all policies or webhooks in their order, each with what must match; called after any change."""

    @abstractmethod
    def spares(self, kind: RequestKind, resource: Resource[Any]) -> bool:
        """Tells whether none is ever asked about requests of this kind."""

    def _expire(self) -> None:
        self._is_stale = True

    def about(self, attributes: Attributes) -> list[Candidate[T]]:
        """Returns those that are about the request."""
        if self._is_stale:
            self._subjects, self._kinds, self._is_stale = self.read(), {}, False
        if not self._subjects:
            return []
        if self._edition != self.lookup.catalogue.edition:  # a version of a custom kind has come or gone
            self._edition = self.lookup.catalogue.edition
            self._kinds = {}
        resource = attributes.resource
        key = resource.group, resource.version, resource.plural, attributes.subresource, attributes.operation
        candidates = self._kinds.get(key)
        if candidates is None:
            if len(self._kinds) >= MOST_KINDS:
                self._kinds.clear()
            candidates = self._kinds[key] = list(self._candidates(RequestKind.of(attributes), resource))
        return [
            candidate
            for candidate in candidates
            if all(match.matches(attributes, self.lookup) for match in candidate.matches)
        ]

    def _candidates(self, kind: RequestKind, resource: Resource[Any]) -> Iterator[Candidate[T]]:
        if kind.subresource == "binding" and kind.operation == UPDATE:
            return  # what a Binding, which has passed them, makes of its pod
        if self.spares(kind, resource):
            return
        versions = self.lookup.equivalents(resource) if self.converts else []
        others = [kind.in_version(version) for version in versions]
        by_kind = dict(zip((kind, *others), (resource, *versions), strict=True))
        for subject, matchers in self._subjects:
            matches = [match for matcher in matchers if (match := matcher.of_kind(kind, others)) is not None]
            if len(matches) == len(matchers):
                yield Candidate(subject, matches, by_kind[matches[0].kind])
