"""NetworkPolicies on worker hosts: real pods, a Service between them, probes of the kubelet."""

from __future__ import annotations

from typing import Any

import pytest

from tests.kits.client.commandline import CommandLine
from tests.kits.eventually import eventually
from tests.kits.manifests import pod, service, web_container

pytestmark = pytest.mark.cluster
Dict = dict[str, Any]


def policy(peers: list[Dict]) -> Dict:
    spec = {"podSelector": {"matchLabels": {"app": "web"}}, "ingress": [{"from": peers, "ports": [{"port": 8080}]}]}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "web"},
        "spec": {**spec, "policyTypes": ["Ingress"]},
    }


def test_a_policy_counts_by_pods_behind_a_service_and_spares_the_kubelet(mk: CommandLine) -> None:
    """One client is on the server's node, one on the other."""
    names = {"friend", "stranger"}
    clients = [pod("friend", nodeName="worker-2"), pod("stranger", nodeName="worker-1")]
    mk.apply(pod("web", web_container(), nodeName="worker-1"), service("web"), *clients)
    mk.run("wait", "pod", "--all", "--for=condition=Ready", "--timeout=60s")
    address = mk.run("get", "svc", "web", "-o", "jsonpath={.spec.clusterIP}")

    def served() -> set[str]:
        script = f"nc -w 1 {address} 80 </dev/null && echo yes || true"
        return {name for name in names if "yes" in mk.run("exec", name, "--", "sh", "-c", script)}

    eventually(lambda: served() == names)
    mk.apply(policy([{"podSelector": {"matchLabels": {"app": "friend"}}}]))
    eventually(lambda: served() == {"friend"})
    ready = mk.run("get", "pod", "web", "-o", "jsonpath={.status.conditions[?(@.type=='Ready')].status}")
    assert ready == "True", "the kubelet's probes pass"
