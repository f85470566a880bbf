"""MutatingWebhookConfiguration: servers that may change objects before they are stored."""

from __future__ import annotations

from typing import Annotated

from apimachinery.columns import AGE, NAME
from apimachinery.errors import FieldError
from apimachinery.meta import Object
from apimachinery.model import ListMapKeys, MergeKey
from apimachinery.resource import Column, Resource
from kubeapi.admissionregistration._rules import GROUP
from kubeapi.admissionregistration._webhook import Webhook, WebhookStrategy

NEVER, IF_NEEDED = "Never", "IfNeeded"
REINVOCATION_POLICIES = (IF_NEEDED, NEVER)


class MutatingWebhook(
    Webhook,
    protobuf="name clientConfig rules failurePolicy* namespaceSelector* sideEffects* timeoutSeconds* "
    "admissionReviewVersions matchPolicy* reinvocationPolicy* objectSelector* matchConditions",
):
    """A server that may change objects before they are stored."""

    reinvocationPolicy: str | None = None
    """Whether the server is asked again once others have changed the object after it: Never (the default) or
    IfNeeded."""


class MutatingWebhookConfiguration(Object, protobuf="metadata webhooks"):
    """Names servers that may change objects before they are stored."""

    webhooks: Annotated[list[MutatingWebhook], MergeKey("name"), ListMapKeys("name")] | None = None
    """The servers, asked one after the other."""


class MutatingWebhookStrategy(WebhookStrategy):
    def default(self, obj: MutatingWebhookConfiguration) -> None:
        super().default(obj)
        for webhook in obj.webhooks or ():
            webhook.reinvocationPolicy = webhook.reinvocationPolicy or NEVER

    def validate(self, obj: MutatingWebhookConfiguration) -> list[FieldError]:
        errors = self.check(obj)
        for index, webhook in enumerate(obj.webhooks or ()):
            if webhook.reinvocationPolicy not in REINVOCATION_POLICIES:
                path = ("webhooks", index, "reinvocationPolicy")
                errors.not_supported(path, webhook.reinvocationPolicy, REINVOCATION_POLICIES)
        return errors


RESOURCE = Resource(
    kind="MutatingWebhookConfiguration",
    plural="mutatingwebhookconfigurations",
    model=MutatingWebhookConfiguration,
    group=GROUP,
    namespaced=False,
    categories=("api-extensions",),
    strategy=MutatingWebhookStrategy(),
    columns=(
        NAME,
        Column("Webhooks", lambda obj, now: len(obj.webhooks or ()), "The number of servers.", "integer"),
        AGE,
    ),
)
