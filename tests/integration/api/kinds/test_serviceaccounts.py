"""What the accounts of pods do to the pods: tokens, image pull secrets, limits, and waiting for the account."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tests.kits.control_plane.apiserver import ApiServer
from tests.kits.control_plane.etcd import EtcdServer

Dict = dict[str, Any]

PLACE = "/var/run/secrets/kubernetes.io/serviceaccount"
MIRROR = "kubernetes.io/config.mirror"


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """A server whose pods need accounts; no controller makes any."""
    folder = tmp_path_factory.mktemp("api")
    flags = ["--enable-admission-plugins=ServiceAccount"]
    with EtcdServer(folder) as etcd, ApiServer(folder / "apiserver", etcd.url, *flags) as server:
        yield server


class Space:
    """One namespace."""

    def __init__(self, api: ApiServer, namespace: str) -> None:
        self.api, self.name = api, namespace
        self.root = f"/api/v1/namespaces/{namespace}"

    def make(self, plural: str, body: Dict) -> Dict:
        answer = self.api.http.post(f"{self.root}/{plural}", json=body)
        assert answer.status_code == 201, answer.text
        created: Dict = answer.json()
        return created

    def account(self, name: str, **fields: Any) -> None:
        annotations = fields.pop("annotations", {})
        self.make("serviceaccounts", {"metadata": {"name": name, "annotations": annotations}, **fields})

    def refusal(self, body: Dict) -> str:
        answer = self.api.http.post(f"{self.root}/pods", json=body)
        assert answer.status_code == 403, answer.text
        prefix = f'pods "{body["metadata"]["name"]}" is forbidden: '
        message = str(answer.json()["message"])
        assert message.startswith(prefix)
        return message.removeprefix(prefix)


@pytest.fixture
def space(api: ApiServer, namespace: str) -> Space:
    return Space(api, namespace)


def pod(name: str, account: str = "", **spec: Any) -> Dict:
    named = {"serviceAccountName": account} if account else {}
    return {"metadata": {"name": name}, "spec": {"containers": [{"name": "c", "image": "i"}], **named, **spec}}


def test_a_pod_pulls_images_as_its_account_may(space: Space) -> None:
    space.account("puller", imagePullSecrets=[{"name": "hub"}])
    space.account("plain")
    for name, account, own, expected in (
        ("a", "puller", None, [{"name": "hub"}]),
        ("b", "puller", [{"name": "own"}], [{"name": "own"}]),
        ("c", "plain", None, None),
    ):
        more = {"imagePullSecrets": own} if own else {}
        assert space.make("pods", pod(name, account, **more))["spec"].get("imagePullSecrets") == expected, name


def test_a_token_is_mounted_into_each_container_that_has_nothing_at_its_place(space: Space) -> None:
    space.account("any")
    init = [{"name": "i", "image": "i", "volumeMounts": [{"name": "mine", "mountPath": PLACE}]}]
    body = pod("a", "any", initContainers=init, volumes=[{"name": "mine", "emptyDir": {}}])
    spec = space.make("pods", body)["spec"]
    mine, access = spec["volumes"]
    assert access["name"].startswith("kube-api-access-")
    assert [next(iter(source)) for source in access["projected"]["sources"]] == [
        "serviceAccountToken", "configMap", "downwardAPI",
    ]  # fmt: skip
    assert spec["containers"][0]["volumeMounts"] == [{"name": access["name"], "mountPath": PLACE, "readOnly": True}]
    assert [mount["name"] for mount in spec["initContainers"][0]["volumeMounts"]] == [mine["name"]]


def test_the_pod_decides_on_its_token_before_the_account_does(space: Space) -> None:
    space.account("any")
    space.account("yes", automountServiceAccountToken=True)
    space.account("no", automountServiceAccountToken=False)
    for name, account, wanted, mounted in (
        ("a", "any", None, True),
        ("b", "any", False, False),
        ("c", "yes", None, True),
        ("d", "yes", False, False),
        ("e", "no", None, False),
        ("f", "no", True, True),
    ):
        more = {} if wanted is None else {"automountServiceAccountToken": wanted}
        assert bool(space.make("pods", pod(name, account, **more))["spec"].get("volumes")) is mounted, name


def test_a_pod_without_its_account_is_refused(space: Space) -> None:
    missing = f'error looking up service account {space.name}/x: serviceaccount "x" not found'
    assert space.refusal(pod("a", "x")) == missing


def test_a_pod_waits_for_the_default_account_of_a_new_namespace(space: Space) -> None:
    maker = threading.Timer(0.3, space.account, ["default"])  # the later of the two requests, in this order or another
    maker.start()
    try:
        assert space.make("pods", pod("a"))["spec"]["serviceAccountName"] == "default"
    finally:
        maker.join()


def test_a_pod_without_a_default_account_is_refused_after_a_while(space: Space) -> None:
    missing = f'error looking up service account {space.name}/default: serviceaccount "default" not found'
    assert space.refusal(pod("a")) == missing


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        ({"serviceAccountName": "default"}, "reference service accounts"),
        ({"volumes": [{"name": "v", "secret": {"secretName": "s"}}]}, "reference secrets"),
        ({"imagePullSecrets": [{"name": "s"}]}, "reference secrets"),
        ({"volumes": [{"name": "v", "configMap": {"name": "m"}}]}, "reference configmaps"),
        (
            {"volumes": [{"name": "v", "projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}}]},
            "use ServiceAccountToken volume projections",
        ),
        ({"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "c"}}]}, "reference persistentvolumeclaims"),
    ],
)
def test_a_mirror_pod_refers_to_nothing(space: Space, spec: Dict, why: str) -> None:
    body = pod("a", nodeName="n", **spec)
    body["metadata"]["annotations"] = {MIRROR: "x"}
    assert space.refusal(body) == f"a mirror pod may not {why}"


def test_an_account_may_limit_its_pods_to_the_secrets_that_it_lists(space: Space) -> None:
    annotations = {"kubernetes.io/enforce-mountable-secrets": "true"}
    space.account("few", secrets=[{"name": "ours"}], annotations=annotations)

    def env(secret: str) -> Dict:
        return {"env": [{"name": "E", "valueFrom": {"secretKeyRef": {"name": secret, "key": "k"}}}]}

    ending = " is not allowed because service account few does not reference that"
    volume = pod("a", "few", volumes=[{"name": "v", "secret": {"secretName": "theirs"}}])
    assert space.refusal(volume) == f'volume with secret.secretName="theirs"{ending} secret'
    variable = pod("b", "few", containers=[{"name": "c", "image": "i", **env("theirs")}])
    expected = f'container c with envVar E referencing secret.secretName="theirs"{ending} secret'
    assert space.refusal(variable) == expected
    pull = pod("c", "few", imagePullSecrets=[{"name": "theirs"}])
    assert space.refusal(pull) == f'imagePullSecrets[0].name="theirs"{ending} imagePullSecret'
    space.make("pods", pod("d", "few", containers=[{"name": "c", "image": "i", **env("ours")}]))
    path = f"{space.root}/pods/d/ephemeralcontainers"
    extra = {"spec": {"ephemeralContainers": [{"name": "e", "image": "i", **env("theirs")}]}}
    headers = {"Content-Type": "application/strategic-merge-patch+json"}
    answer = space.api.http.patch(path, json=extra, headers=headers)
    assert answer.status_code == 403, answer.text
