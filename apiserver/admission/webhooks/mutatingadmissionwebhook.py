"""MutatingAdmissionWebhook: servers of others may change an object or refuse it. They are asked one by one."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from copy import deepcopy
from typing import Any

import orjson

from apimachinery.errors import StatusError
from apimachinery.model import to_dict
from apimachinery.patch.json import json_patch
from apiserver.admission._index import Candidate
from apiserver.admission._matching import OPERATIONS
from apiserver.admission._plugin import CONNECT, Attributes, Lookup, Plugin
from apiserver.admission._review import Review, Turns, convert, converted, takes_webhook
from apiserver.admission.webhooks._call import WebhookMetrics, ask, internal_error
from apiserver.admission.webhooks._configured import Hook, HookSet, conditions_met
from apiserver.codec.body import decode_object
from kubeapi.admissionregistration._rules import GROUP
from kubeapi.admissionregistration.mutatingwebhookconfiguration import IF_NEEDED

Document = dict[str, Any]


class MutatingWebhooks:
    """The state of the plugin in one server."""

    def __init__(self, lookup: Lookup) -> None:
        self._lookup = lookup
        self._hooks = HookSet(lookup, lookup.resource("mutatingwebhookconfigurations", GROUP))
        self.metrics = WebhookMetrics("admit")

    def mutate(self, attributes: Attributes) -> Awaitable[None] | None:
        """Raises: StatusError."""
        hooks = self._hooks.about(attributes)
        return self._ask_all(Review(attributes, self._lookup), hooks) if hooks else None

    async def _ask_all(self, review: Review, candidates: Sequence[Candidate[Hook]]) -> None:
        """Asks each webhook; in the second round those that want it, where the object is not as they have left it."""
        turns = Turns(review)
        document = turns.first
        for candidate in candidates:
            hook = candidate.subject
            key = "webhook", hook.configuration, hook.index
            if turns.asks(key, document, again=hook.spec.reinvocationPolicy == IF_NEEDED):
                document = await self._changed(candidate, review, document)
                turns.note(key, document)
        turns.end(document)

    async def _changed(self, candidate: Candidate[Hook], review: Review, document: Document | None) -> Document | None:
        """Returns the document as the webhook leaves it. Raises: StatusError."""
        hook, version, attributes = candidate.subject, candidate.version, review.attributes
        resource = attributes.resource
        try:
            await review.convert(version, document)
        except StatusError as error:  # upstream says it twice
            raise internal_error(internal_error(error.message).message) from None
        review = review.in_version(version)
        shown = document
        if document is not None and version is not resource:
            shown = converted(attributes, deepcopy(document), resource, version)
        if not await conditions_met(hook, review, shown):
            return document
        verdict = await ask(hook, review, shown, self.metrics)
        where = f"round_{attributes.round}_index_{hook.index}"
        annotate = attributes.annotate
        if verdict is None:
            annotate(f"failed-open.mutation.webhook.admission.k8s.io/{where}", hook.name)
            return document
        changed = shown
        if verdict.patch is not None and shown is not None:
            try:
                changed = json_patch(shown, verdict.patch)
            except StatusError as error:
                raise internal_error(error.message) from None
        told = {"configuration": hook.configuration, "webhook": hook.name, "mutated": changed != shown}
        annotate(f"mutation.webhook.admission.k8s.io/{where}", orjson.dumps(told).decode())
        if changed == shown or changed is None:
            return document
        if isinstance(attributes.obj, resource.model):
            changed = to_dict(decode_object(version, orjson.dumps(changed)))
        if takes_webhook(version, resource):
            await convert(attributes, resource, changed)
        return changed if version is resource else converted(attributes, changed, version, resource)


def admit(attributes: Attributes, lookup: Lookup) -> Awaitable[None] | None:
    return lookup.state(MutatingWebhooks).mutate(attributes)


ADMISSION = Plugin("MutatingAdmissionWebhook", OPERATIONS | {CONNECT}, mutate=admit)
