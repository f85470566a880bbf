"""The webhooks that are configured: compiled once, found by the kind of request that they are about."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from apimachinery.errors import StatusError
from apimachinery.model import decode
from apimachinery.resource import Resource
from apiserver.admission._matching import KindMatch, Matcher, RequestKind
from apiserver.admission._plugin import UPDATE, Attributes, Lookup, refused
from apiserver.admission._review import Review
from apiserver.admission.policies._evaluation import Evaluation, conditions_hold, request_values, within_reach
from apiserver.proxy.webhooks import WebhookClient
from kubeapi.admissionregistration._expressions import BOOLEAN, condition_scope, described
from kubeapi.admissionregistration._matching import MatchResources, NamedRuleWithOperations
from kubeapi.admissionregistration._rules import GROUP
from kubeapi.admissionregistration._webhook import Webhook
from kubecel import CompileError, EvaluationError, Program

OWN_KINDS = frozenset({"validatingwebhookconfigurations", "mutatingwebhookconfigurations"})
"""No webhook is asked about these: one that refuses all would stay forever."""
MOST_KINDS = 4096  # kinds of requests that are remembered; then all are forgotten


@dataclass(frozen=True)
class Hook:
    """A webhook of a configuration, ready to be asked."""

    configuration: str
    index: int
    spec: Any
    """The Webhook as it is stored."""
    client: WebhookClient
    matcher: Matcher
    conditions: Sequence[tuple[str, Program]]
    fault: str
    """Why its conditions can't be evaluated; "" if they can."""

    @property
    def name(self) -> str:
        name: str = self.spec.name
        return name

    @property
    def fails(self) -> bool:
        """Whether a request is refused when the webhook can't be asked."""
        return bool(self.spec.failurePolicy != "Ignore")


@dataclass(frozen=True)
class Candidate:
    """A webhook that may be about a request of some kind, and the version that it is to be shown."""

    hook: Hook
    match: KindMatch
    version: Resource[Any]


@dataclass
class HookSet:
    """All webhooks of one kind of configuration, as the watch cache has them."""

    lookup: Lookup
    configurations: Resource[Any]
    _seen: int = -1
    _kept: dict[str, tuple[int, list[Hook]]] = field(default_factory=dict)
    _hooks: list[Hook] = field(default_factory=list)
    _kinds: dict[tuple[str, ...], list[Candidate]] = field(default_factory=dict)

    def about(self, attributes: Attributes) -> list[Candidate]:
        """Returns the webhooks whose rules and selectors match, by the names of their configurations."""
        state = self.lookup.storage.changed(self.configurations)
        if state != self._seen:
            self._read(state)
        if not self._hooks:
            return []
        resource = attributes.resource
        key = resource.group, resource.version, resource.plural, attributes.subresource, attributes.operation
        candidates = self._kinds.get(key)
        if candidates is None:
            if len(self._kinds) >= MOST_KINDS:
                self._kinds.clear()
            candidates = self._kinds[key] = list(self._candidates(RequestKind.of(attributes), resource))
        return [candidate for candidate in candidates if candidate.match.matches(attributes, self.lookup)]

    def _read(self, state: int) -> None:
        """Makes the webhooks of the configurations that have changed."""
        kept: dict[str, tuple[int, list[Hook]]] = {}
        for entry in self.lookup.storage.snapshot(self.configurations):
            known = self._kept.pop(entry.name, None)
            if known is not None and known[0] != entry.revision:
                _close(known[1])
                known = None
            if known is None:
                configuration = decode(self.configurations.model, entry.value)
                hooks = [self._hook(entry.name, index, spec) for index, spec in enumerate(configuration.webhooks or ())]
                known = entry.revision, hooks
            kept[entry.name] = known
        for _, hooks in self._kept.values():
            _close(hooks)
        self._kept, self._kinds, self._seen = kept, {}, state
        self._hooks = [hook for name in sorted(kept) for hook in kept[name][1]]

    def _hook(self, configuration: str, index: int, spec: Webhook) -> Hook:
        fault, conditions = "", []
        scope = condition_scope()
        try:
            for condition in spec.matchConditions or ():
                conditions.append((condition.name, scope.compile(condition.expression, expected=BOOLEAN)))
        except CompileError as error:  # checked when it was written, by a server that may have been another
            fault = described(error)
        rules = [NamedRuleWithOperations.model_construct(**rule.__dict__) for rule in spec.rules or ()]
        match = MatchResources(
            namespaceSelector=spec.namespaceSelector,
            objectSelector=spec.objectSelector,
            resourceRules=rules,
            matchPolicy=spec.matchPolicy,
        )
        try:
            matcher = Matcher(match, needs_rules=True)
        except StatusError:
            matcher = Matcher(None, needs_rules=True)
        client = WebhookClient(spec.clientConfig, self.lookup.locator)
        return Hook(configuration, index, spec, client, matcher, conditions, fault)

    def _candidates(self, kind: RequestKind, resource: Resource[Any]) -> Iterator[Candidate]:
        if kind.subresource == "binding" and kind.operation == UPDATE:
            return  # what a Binding, which has passed them, makes of its pod
        if kind.group == GROUP and kind.resource in OWN_KINDS:
            return
        versions = self.lookup.equivalents(resource)
        others = [kind.in_version(version) for version in versions]
        by_kind = dict(zip((kind, *others), (resource, *versions), strict=True))
        for hook in self._hooks:
            match = hook.matcher.of_kind(kind, others)
            if match is not None:
                yield Candidate(hook, match, by_kind[match.kind])


def _close(hooks: Sequence[Hook]) -> None:
    for hook in hooks:
        hook.client.close()


async def conditions_met(hook: Hook, review: Review, document: dict[str, Any] | None) -> bool:
    """Tells whether the match conditions of a webhook hold. Raises: StatusError, for one that can't be evaluated and
    must be."""
    if not hook.conditions and not hook.fault:
        return True
    uses = frozenset().union(*(program.uses for _, program in hook.conditions))
    values = request_values(review, uses, document, None)

    def evaluate(inline: bool) -> bool:
        return conditions_hold(hook.conditions, Evaluation(values, {}, inline=inline))

    try:
        if hook.fault:
            raise EvaluationError(hook.fault)
        result = within_reach(review, evaluate)
        return result if isinstance(result, bool) else await result
    except EvaluationError as error:
        if hook.fails:
            raise refused(review.attributes, str(error)) from None
        return False
