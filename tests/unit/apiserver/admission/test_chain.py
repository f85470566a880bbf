"""Admission: the order of the plugins, and how they are switched."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest

from apiserver.admission._plugin import Attributes, Chain, Lookup, Plugin, UnknownPlugin, enabled_plugins
from apiserver.auth.authorization.authorizer import AlwaysAllow
from apiserver.codec.body import decode_object
from apiserver.request.user import ANONYMOUS
from kubeapi.core.configmap import RESOURCE as CONFIGMAPS
from kubeapi.core.node import RESOURCE as NODES
from kubeapi.core.pod.resource import RESOURCE as PODS


def attributes(resource: Any, obj: Any, operation: str = "CREATE", subresource: str = "") -> Attributes:
    return Attributes(operation, resource, subresource, "n", "x", obj, None, ANONYMOUS)


async def test_steps_run_in_order_and_only_for_what_they_concern() -> None:
    steps: list[str] = []

    def step(name: str, **more: Any) -> Plugin:
        def note(attributes: Attributes, lookup: Lookup) -> None:
            steps.append(name)

        return Plugin(name, frozenset({"CREATE"}), mutate=note, **more)

    async def waiting(attributes: Attributes, lookup: Lookup) -> None:
        await asyncio.sleep(0)
        steps.append("checked")

    chain = Chain(
        [
            step("ResourceQuota"),
            step("added", resources=frozenset({"pods"})),
            step("LimitRanger"),
            step("NamespaceLifecycle"),
            Plugin("status", frozenset({"UPDATE"}), frozenset({"pods/status"}), validate=waiting),
        ],
        Lookup(None, {}, AlwaysAllow(), None),  # type: ignore[arg-type]
    )
    await chain.mutate(attributes(PODS, None))
    assert steps == ["NamespaceLifecycle", "LimitRanger", "added", "ResourceQuota"]
    steps.clear()
    await chain.mutate(attributes(CONFIGMAPS, None))
    assert steps == ["NamespaceLifecycle", "LimitRanger", "ResourceQuota"]
    steps.clear()
    await chain.validate(attributes(PODS, None, "UPDATE"))
    await chain.validate(attributes(PODS, None, "UPDATE", "status"))
    assert steps == ["checked"]


def test_plugins_are_switched_by_name() -> None:
    names = {plugin.name for plugin in enabled_plugins([], [])}
    assert names >= {"NamespaceLifecycle", "ServiceAccount", "Priority", "TaintNodesByCondition"}
    assert names - {plugin.name for plugin in enabled_plugins(["Priority"], [])} == {"Priority"}
    assert {plugin.name for plugin in enabled_plugins(["Priority"], ["Priority"])} == names
    assert {plugin.name for plugin in enabled_plugins([], ["AlwaysPullImages"])} - names == {"AlwaysPullImages"}
    with pytest.raises(UnknownPlugin, match="Nothing"):
        enabled_plugins(["Nothing"], [])


async def test_what_a_client_set_stays() -> None:
    spec = {
        "containers": [{"name": "c", "image": "i"}],
        "tolerations": [{"key": "node.kubernetes.io/not-ready", "operator": "Exists"}],
    }  # fmt: skip
    pod = decode_object(PODS, orjson.dumps({"metadata": {"name": "p"}, "spec": spec}))
    off = [
        "NamespaceLifecycle",
        "LimitRanger",
        "Priority",
        "ServiceAccount",
        "MutatingAdmissionPolicy",
        "MutatingAdmissionWebhook",
    ]
    plugins = enabled_plugins(off, [])
    chain = Chain(plugins, Lookup(None, {}, AlwaysAllow(), None))  # type: ignore[arg-type]
    await chain.mutate(attributes(PODS, pod))
    keys = [toleration.key for toleration in pod.spec.tolerations or ()]
    assert keys == ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"]
    node = decode_object(NODES, b'{"metadata":{"name":"n"},"spec":{"taints":[{"key":"a","effect":"NoExecute"}]}}')
    await chain.mutate(attributes(NODES, node))
    assert [taint.key for taint in node.spec.taints or ()] == ["a", "node.kubernetes.io/not-ready"]
