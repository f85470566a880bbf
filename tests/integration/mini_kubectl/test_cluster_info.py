"""`cluster-info` and the lists of what there is."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.kits.client.commandline import CommandLine
from tests.kits.client.kubectlpair import Pair, write_kubeconfig
from tests.kits.client.kubectlversions import KUBECTLS
from tests.kits.control_plane.apiserver import ApiServer


@pytest.fixture(scope="module")
def kubeconfig(api: ApiServer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_kubeconfig(api, tmp_path_factory.mktemp("cluster-info") / "kubeconfig")


def test_where_the_cluster_is(api: ApiServer, kubeconfig: Path) -> None:
    service = {
        "metadata": {"name": "dns", "labels": {"kubernetes.io/cluster-service": "true", "kubernetes.io/name": "DNS"}},
        "spec": {"ports": [{"port": 53, "name": "dns", "protocol": "UDP"}, {"port": 53, "name": "dns-tcp"}]},
    }
    api.http.post("/api/v1/namespaces/kube-system/services", json=service)
    if KUBECTLS:
        real = CommandLine(kubeconfig, "kube-system", str(KUBECTLS.get("1.33", KUBECTLS[""])))
        pair = Pair(CommandLine(kubeconfig, "kube-system"), real)
        assert "DNS is running at" in pair.same("cluster-info").stdout
        pair.same("api-versions")


def test_the_flags_of_every_verb(kubeconfig: Path) -> None:
    text = CommandLine(kubeconfig, "default").run("options")
    assert "--kubeconfig FILE" in text
    assert "-n, --namespace NAME" in text
