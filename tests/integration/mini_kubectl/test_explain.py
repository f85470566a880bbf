"""`explain` and `auth` beside the real kubectl, on what this project's own server publishes and answers."""

from __future__ import annotations

import pytest

from tests.kits.client.commandline import CommandLine
from tests.kits.client.kubectlpair import Pair, write_kubeconfig
from tests.kits.client.kubectlversions import KUBECTLS
from tests.kits.control_plane.apiserver import ApiServer

pytestmark = pytest.mark.skipif(not KUBECTLS, reason="there is no kubectl")


@pytest.fixture(scope="module")
def pair(api: ApiServer, tmp_path_factory: pytest.TempPathFactory) -> Pair:
    kubeconfig = write_kubeconfig(api, tmp_path_factory.mktemp("explain") / "kubeconfig")
    real = str(KUBECTLS.get("1.33", KUBECTLS[""]))
    return Pair(CommandLine(kubeconfig, "default"), CommandLine(kubeconfig, "default", real))


@pytest.mark.parametrize(
    "line",
    [
        "pod", "pod.spec.containers --recursive", "deploy.spec.strategy", "svc.spec.ports", "cm.data",
        "deployments.apps.spec.replicas", "event --api-version=events.k8s.io/v1", "pod.spec.nope", "pod.spec..x",
        "deploy --api-version=v1", "nope", "",
    ],
)  # fmt: skip
def test_fields_read_the_same(pair: Pair, line: str) -> None:
    pair.same(f"explain {line}")


@pytest.mark.parametrize(
    "line",
    [
        "can-i get pods", "can-i delete deploy.apps/web -q", "can-i get nodes", "can-i get nopes", "can-i get /healthz",
        "can-i --list", "whoami", "whoami -o name", "--token=other-token whoami",
        "--token=other-token can-i --list", "--token=other-token can-i create pods -A",
    ],
)  # fmt: skip
def test_access_reads_the_same(pair: Pair, line: str) -> None:
    token, _, rest = line.rpartition("--token=other-token ")
    pair.same(f"{'--token=other-token ' if token or line != rest else ''}auth {rest}")
