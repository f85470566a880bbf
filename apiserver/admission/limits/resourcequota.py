"""ResourceQuota: the objects of a namespace use no more together than its quotas allow.

Source: Kubernetes documentation, "Resource Quotas".
"""

from __future__ import annotations

from collections.abc import Awaitable
from functools import partial

from apiserver.admission._plugin import CREATE, UPDATE, Attributes, Lookup, Plugin
from apiserver.admission.limits._accounts import QuotaAccounts
from apiserver.admission.limits._charge import Limited
from apiserver.admission.limits._configuration import read_limited
from kubeapi._evaluators import evaluator_of


def make(limited: tuple[Limited, ...] = ()) -> Plugin:
    return Plugin(
        "ResourceQuota",
        frozenset({CREATE, UPDATE}),
        validate=partial(_check, limited),
        configure=lambda document: make(read_limited(document)),
    )


def _check(limited: tuple[Limited, ...], attributes: Attributes, lookup: Lookup) -> Awaitable[None] | None:
    namespace, subresource = attributes.namespace, attributes.subresource
    creates = attributes.operation == CREATE
    if not namespace or (creates and subresource):
        return None
    resource = attributes.resource
    evaluator = evaluator_of(resource.group, resource.plural)
    if evaluator is None or not (creates or subresource in evaluator.charged_updates):
        return None
    if not limited and not lookup.in_namespace("resourcequotas", namespace):
        return None
    return lookup.state(QuotaAccounts).charge(attributes, evaluator, limited)


ADMISSION = make()
