"""kube-proxy on real worker hosts: what only the engine's own bridge and real pods can show."""

from __future__ import annotations

import pytest

from tests.kits.client.commandline import CommandLine
from tests.kits.eventually import eventually
from tests.kits.manifests import deployment, service, web_container

pytestmark = pytest.mark.cluster


def test_a_pod_reaches_itself_through_its_service(mk: CommandLine) -> None:
    mk.apply(deployment("alone", 1, web_container()), service("alone"))
    mk.run("rollout", "status", "deployment/alone", "--timeout=120s")
    (pod,) = mk.items("pods", "-l", "app=alone")
    address = mk.get("service", "alone")["spec"]["clusterIP"]
    request = f"printf 'GET /cgi-bin/hostname HTTP/1.0\\r\\n\\r\\n' | nc -w 3 {address} 80"
    name = pod["metadata"]["name"]

    def answered() -> bool:
        return mk.run("exec", name, "--", "sh", "-c", f"{request} || true").strip().endswith(name)

    eventually(answered, "an answer of the pod to itself")
