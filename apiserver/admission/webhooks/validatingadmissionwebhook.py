"""ValidatingAdmissionWebhook: servers of others may refuse a request. All are asked at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence

from apimachinery.errors import StatusError
from apiserver.admission._index import Candidate
from apiserver.admission._matching import OPERATIONS
from apiserver.admission._plugin import CONNECT, Attributes, Lookup, Plugin
from apiserver.admission._review import Review
from apiserver.admission.webhooks._call import WebhookMetrics, ask, internal_error
from apiserver.admission.webhooks._configured import Hook, HookSet, conditions_met
from kubeapi.admissionregistration._rules import GROUP


class ValidatingWebhooks:
    """The state of the plugin in one server."""

    def __init__(self, lookup: Lookup) -> None:
        self._lookup = lookup
        self._hooks = HookSet(lookup, lookup.resource("validatingwebhookconfigurations", GROUP))
        self.metrics = WebhookMetrics("validating")

    def validate(self, attributes: Attributes) -> Awaitable[None] | None:
        """Raises: StatusError."""
        hooks = self._hooks.about(attributes)
        return self._ask_all(Review(attributes, self._lookup), hooks) if hooks else None

    async def _ask_all(self, review: Review, candidates: Sequence[Candidate[Hook]]) -> None:
        try:
            for each in candidates:
                await review.convert(each.version, review.document())
        except StatusError as error:
            raise internal_error(error.message) from None
        reviews = [(each.subject, review.in_version(each.version)) for each in candidates]
        asked = [(hook, shown) for hook, shown in reviews if await conditions_met(hook, shown, shown.document())]
        answers = await asyncio.gather(
            *(ask(hook, shown, shown.document(), self.metrics) for hook, shown in asked), return_exceptions=True
        )
        for (hook, _), answer in zip(asked, answers, strict=True):
            if isinstance(answer, BaseException):
                raise answer
            if answer is None:
                key = f"failed-open.validating.webhook.admission.k8s.io/round_0_index_{hook.index}"
                review.attributes.annotate(key, hook.name)


def admit(attributes: Attributes, lookup: Lookup) -> Awaitable[None] | None:
    return lookup.state(ValidatingWebhooks).validate(attributes)


ADMISSION = Plugin("ValidatingAdmissionWebhook", OPERATIONS | {CONNECT}, validate=admit)
