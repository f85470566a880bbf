"""`--as`, `--as-group` and `--as-uid`, by mini-kubectl and by the real one: both run in another user's name."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.kits.client.kubectlpair import run_in_process, write_kubeconfig
from tests.kits.client.kubectlversions import KUBECTLS
from tests.kits.control_plane.apiserver import ApiServer
from tests.kits.control_plane.etcd import EtcdServer


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    folder = tmp_path_factory.mktemp("impersonation")
    with EtcdServer(folder) as etcd, ApiServer(folder / "apiserver", etcd.url, "--authorization-mode=RBAC") as server:
        yield server


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        ("auth whoami --as=joe --as-group=a --as-group=b --as-uid=7", 0, "[a b system:authenticated]"),
        ("auth whoami --as=system:serviceaccount:web:robot", 0, "system:serviceaccounts:web"),
        ("get pods --as=joe", 1, 'User "joe" cannot list resource "pods"'),
        ("get pods --as=joe --as-group=system:masters", 0, "No resources found"),
        ("auth can-i create pods --as=joe", 1, "no"),
        ("get pods --as-group=a", 1, "without impersonating a user"),
    ],
)
def test_a_command_runs_in_another_users_name(api: ApiServer, line: str, code: int, said: str) -> None:
    config = write_kubeconfig(api, api.folder / "kubeconfig")
    answers = [run_in_process(line.split(), {"KUBECONFIG": str(config)})]
    if KUBECTLS:
        answers.append(api.kubectl(*line.split()))
    for answer in answers:
        assert answer.returncode == code, answer.stderr
        assert said in answer.stdout + answer.stderr
