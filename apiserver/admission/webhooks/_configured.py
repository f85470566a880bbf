"""The webhooks that are configured, compiled once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from apimachinery.errors import StatusError
from apimachinery.model import decode
from apimachinery.resource import Resource
from apiserver.admission._index import RequestIndex
from apiserver.admission._matching import Matcher, RequestKind
from apiserver.admission._plugin import Lookup, refused
from apiserver.admission._review import Review
from apiserver.admission.policies._evaluation import (
    Evaluation,
    Lazily,
    conditions_hold,
    request_values,
    within_reach,
)
from apiserver.proxy.webhooks import WebhookClient
from kubeapi.admissionregistration._expressions import BOOLEAN, condition_scope, described
from kubeapi.admissionregistration._matching import MatchResources, NamedRuleWithOperations
from kubeapi.admissionregistration._rules import GROUP, MatchCondition
from kubeapi.admissionregistration._webhook import Webhook
from kubecel import CompileError, EvaluationError, Program

OWN_KINDS = frozenset({"validatingwebhookconfigurations", "mutatingwebhookconfigurations"})
"""No webhook is asked about these: one that refuses all would stay forever."""


@dataclass(frozen=True)
class Hook:
    """A webhook of a configuration, ready to be asked."""

    configuration: str
    index: int
    spec: Any
    """The Webhook as it is stored."""
    client: WebhookClient
    matcher: Matcher
    conditions: Lazily[Sequence[tuple[str, Program]]] | None
    """Its match conditions (name, expression), if it has any."""

    @property
    def name(self) -> str:
        name: str = self.spec.name
        return name

    @property
    def fails(self) -> bool:
        """Whether a request is refused when the webhook can't be asked."""
        return bool(self.spec.failurePolicy != "Ignore")


class HookSet(RequestIndex[Hook]):
    """All webhooks of one kind of configuration, in the order of the configurations' names."""

    def __init__(self, lookup: Lookup, configurations: Resource[Any]) -> None:
        super().__init__(lookup, configurations)
        self._configurations = configurations
        self._hooks: dict[str, tuple[int, list[Hook]]] = {}
        """By the name of the configuration, with its revision."""

    def read(self) -> list[tuple[Hook, Sequence[Matcher]]]:
        """Makes the webhooks of the configurations that have changed."""
        before, self._hooks = self._hooks, {}
        for entry in self.lookup.storage.snapshot(self._configurations):
            hooks = before.get(entry.name)
            if hooks is None or hooks[0] != entry.revision:
                specs = decode(self._configurations.model, entry.value).webhooks or ()
                hooks = entry.revision, [self._hook(entry.name, index, spec) for index, spec in enumerate(specs)]
            else:
                del before[entry.name]
            self._hooks[entry.name] = hooks
        for _, replaced in before.values():
            for hook in replaced:
                hook.client.close()
        return [(hook, (hook.matcher,)) for name in sorted(self._hooks) for hook in self._hooks[name][1]]

    def spares(self, kind: RequestKind, resource: Resource[Any]) -> bool:
        return kind.group == GROUP and kind.resource in OWN_KINDS

    def _hook(self, configuration: str, index: int, spec: Webhook) -> Hook:
        conditions = None
        if spec.matchConditions:
            size = sum(len(condition.expression) for condition in spec.matchConditions)
            conditions = Lazily(size, partial(_compiled, spec.matchConditions))
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
        return Hook(configuration, index, spec, client, matcher, conditions)


def _compiled(conditions: Sequence[MatchCondition]) -> Sequence[tuple[str, Program]]:
    """Raises: CompileError."""
    scope = condition_scope()
    return [(each.name, scope.compile(each.expression, expected=BOOLEAN)) for each in conditions]


async def conditions_met(hook: Hook, review: Review, document: dict[str, Any] | None) -> bool:
    """Tells whether the match conditions of a webhook hold. Raises: StatusError, for one that can't be evaluated and
    must be."""
    lazy = hook.conditions
    if lazy is None:
        return True

    def evaluate(inline: bool) -> bool:
        try:
            conditions = lazy.get(inline=inline)
        except CompileError as error:  # checked when it was written, by a server that may have been another
            raise EvaluationError(described(error)) from None
        uses = frozenset().union(*(program.uses for _, program in conditions))
        return conditions_hold(conditions, Evaluation(request_values(review, uses, document, None), {}, inline=inline))

    try:
        result = within_reach(review, evaluate)
        return result if isinstance(result, bool) else await result
    except EvaluationError as error:
        if hook.fails:
            raise refused(review.attributes, str(error)) from None
        return False
