"""ValidatingWebhookConfiguration: servers that are asked whether requests may be carried out."""

from __future__ import annotations

from typing import Annotated

from apimachinery.columns import AGE, NAME
from apimachinery.meta import Object
from apimachinery.model import ListMapKeys, MergeKey
from apimachinery.resource import Column, Resource
from kubeapi.admissionregistration._rules import GROUP
from kubeapi.admissionregistration._webhook import Webhook, WebhookStrategy


class ValidatingWebhook(Webhook, protobuf=Webhook.protobuf):
    """A server that is asked whether requests may be carried out."""


class ValidatingWebhookConfiguration(Object, protobuf="metadata webhooks"):
    """Names servers that are asked whether requests may be carried out."""

    webhooks: Annotated[list[ValidatingWebhook], MergeKey("name"), ListMapKeys("name")] | None = None
    """The servers; all that match are asked at the same time."""


RESOURCE = Resource(
    kind="ValidatingWebhookConfiguration",
    plural="validatingwebhookconfigurations",
    model=ValidatingWebhookConfiguration,
    group=GROUP,
    namespaced=False,
    categories=("api-extensions",),
    strategy=WebhookStrategy(),
    columns=(
        NAME,
        Column("Webhooks", lambda obj, now: len(obj.webhooks or ()), "The number of servers.", "integer"),
        AGE,
    ),
)
