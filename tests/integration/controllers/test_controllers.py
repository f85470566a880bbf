"""The controller manager against a real API server: rollouts, cascading deletion, namespaces, nodes, and faults."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.kits.control_plane.apiserver import HAS_KUBECTL, ApiServer
from tests.kits.eventually import eventually
from tests.kits.manifests import configmap, deployment, service
from tests.kits.node.hollownode import HollowNode
from tests.kits.process import QUICK_ELECTION, Daemon, controller_manager

Dict = dict[str, Any]


@pytest.fixture(scope="module")
def manager(api: ApiServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with controller_manager(api.url, tmp_path_factory.mktemp("manager")) as running:
        yield running


class Space:
    """What the tests do to the API, in one namespace."""

    def __init__(self, api: ApiServer, namespace: str) -> None:
        self.api, self.namespace = api, namespace
        self.core = f"/api/v1/namespaces/{namespace}"
        self.apps = f"/apis/apps/v1/namespaces/{namespace}"

    def create(self, manifest: Dict) -> Dict:
        root = self.apps if manifest["apiVersion"] == "apps/v1" else self.core
        answer = self.api.http.post(f"{root}/{manifest['kind'].lower()}s", json=manifest)
        assert answer.status_code == 201, answer.text
        made: Dict = answer.json()
        return made

    def patch(self, path: str, patch: Dict) -> Dict:
        headers = {"content-type": "application/merge-patch+json"}
        answer = self.api.http.patch(path, json=patch, headers=headers)
        assert answer.status_code == 200, answer.text
        changed: Dict = answer.json()
        return changed

    def items(self, plural: str, **query: str) -> list[Dict]:
        roots = {"deployments": self.apps, "replicasets": self.apps}
        roots["endpointslices"] = f"/apis/discovery.k8s.io/v1/namespaces/{self.namespace}"
        answer = self.api.http.get(f"{roots.get(plural, self.core)}/{plural}", params=query)
        found: list[Dict] = answer.json()["items"]
        return found

    def deployment(self, name: str = "web") -> Dict:
        found: Dict = self.api.http.get(f"{self.apps}/deployments/{name}").json()
        return found

    def pods_of(self, image: str) -> int:
        return sum(pod["spec"]["containers"][0]["image"] == image for pod in self.items("pods"))

    def ready_pods(self, image: str) -> int:
        return sum(
            pod["status"].get("phase") == "Running" and pod["spec"]["containers"][0]["image"] == image
            for pod in self.items("pods")
        )

    def rolled_out(self, image: str, replicas: int) -> bool:
        status = self.deployment()["status"]
        done = status.get("availableReplicas") == status.get("updatedReplicas") == status.get("replicas") == replicas
        return done and self.ready_pods(image) == replicas == len(self.items("pods"))

    def delete(self, path: str, policy: str = "") -> None:
        answer = self.api.http.delete(path, params={"propagationPolicy": policy} if policy else {})
        assert answer.status_code in (200, 202), answer.text


@pytest.fixture
def space(api: ApiServer, namespace: str, manager: Daemon) -> Space:
    return Space(api, namespace)


@pytest.fixture
def hollow(space: Space) -> Iterator[HollowNode]:
    name = f"hollow-{space.namespace}"
    with HollowNode(space.api, space.namespace, name) as running:
        yield running
    space.api.http.delete(f"/api/v1/nodes/{name}")


def web(replicas: int = 3, image: str = "v1", strategy: Dict | None = None) -> Dict:
    made = deployment("web", replicas, strategy=strategy or rolling(1, 0))
    made["spec"]["template"]["spec"]["containers"][0]["image"] = image
    return made


def rolling(surge: int | str, unavailable: int | str) -> Dict:
    return {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}}


def image_patch(image: str) -> Dict:
    return {"spec": {"template": {"spec": {"containers": [{"name": "app", "image": image}]}}}}


# Rollouts


def test_a_deployment_becomes_pods_and_rolls_to_a_new_image(space: Space, hollow: HollowNode) -> None:
    space.create(web(4))
    eventually(lambda: space.rolled_out("v1", 4))
    space.patch(f"{space.apps}/deployments/web", image_patch("v2"))
    eventually(lambda: space.rolled_out("v2", 4))
    assert hollow.peak <= 5
    assert sorted(rs["spec"]["replicas"] for rs in space.items("replicasets")) == [0, 4]
    conditions = {each["type"]: each["reason"] for each in space.deployment()["status"]["conditions"]}
    assert conditions == {"Available": "MinimumReplicasAvailable", "Progressing": "NewReplicaSetAvailable"}
    assert space.deployment()["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "2"


def test_what_controllers_write_is_theirs_and_an_apply_does_not_take_it_unasked(
    space: Space, hollow: HollowNode
) -> None:
    def owners(obj: Dict) -> set[tuple[str, str]]:
        return {(entry["manager"], entry.get("subresource", "")) for entry in obj["metadata"]["managedFields"]}

    space.create(web(1))
    eventually(lambda: space.rolled_out("v1", 1))
    controller = "kube-controller-manager"
    assert (controller, "status") in owners(space.deployment())
    assert owners(space.items("replicasets")[0]) == {(controller, ""), (controller, "status")}
    assert {(controller, ""), ("hollow-node", "status")} <= owners(space.items("pods")[0])
    revision = {"metadata": {"name": "web", "annotations": {"deployment.kubernetes.io/revision": "7"}}}
    applied = space.api.http.patch(
        f"{space.apps}/deployments/web",
        params={"fieldManager": "someone"},
        json={"apiVersion": "apps/v1", "kind": "Deployment", **revision},
        headers={"content-type": "application/apply-patch+yaml"},
    )
    assert applied.status_code == 409
    said = applied.json()["message"]
    assert f'conflict with "{controller}" with subresource "status"' in said
    assert said.endswith(".metadata.annotations.deployment.kubernetes.io/revision")


@pytest.mark.skipif(not HAS_KUBECTL, reason="kubectl is not installed")
def test_kubectl_follows_and_undoes_rollouts(space: Space, hollow: HollowNode) -> None:
    def kubectl(*arguments: str) -> str:
        done = space.api.kubectl(*arguments, namespace=space.namespace)
        assert done.returncode == 0, done.stderr
        return done.stdout

    space.create(web(2))
    assert "successfully rolled out" in kubectl("rollout", "status", "deployment/web", "--timeout=30s")
    kubectl("set", "image", "deployment/web", "app=v2")
    assert "successfully rolled out" in kubectl("rollout", "status", "deployment/web", "--timeout=30s")
    history = kubectl("rollout", "history", "deployment/web")
    assert [line.split()[0] for line in history.splitlines()[2:] if line.strip()] == ["1", "2"]
    kubectl("rollout", "undo", "deployment/web")
    kubectl("rollout", "status", "deployment/web", "--timeout=30s")
    assert space.ready_pods("v1") == 2
    kubectl("scale", "deployment/web", "--replicas=5")
    kubectl("rollout", "status", "deployment/web", "--timeout=30s")
    assert space.ready_pods("v1") == 5
    kubectl("rollout", "restart", "deployment/web")
    kubectl("rollout", "status", "deployment/web", "--timeout=30s")
    assert len(space.items("replicasets")) == 3


def test_a_rollout_that_cannot_become_ready_keeps_the_old_pods_and_says_so(space: Space, hollow: HollowNode) -> None:
    made = web(3)
    made["spec"]["progressDeadlineSeconds"] = 1
    space.create(made)
    eventually(lambda: space.rolled_out("v1", 3))
    space.patch(f"{space.apps}/deployments/web", image_patch("never-ready"))

    def reason() -> str:
        conditions = space.deployment()["status"]["conditions"]
        return next(str(each["reason"]) for each in conditions if each["type"] == "Progressing")

    eventually(lambda: reason() == "ProgressDeadlineExceeded")
    assert space.ready_pods("v1") == 3
    assert len(space.items("pods")) == 4


def test_recreate_never_runs_both_versions(space: Space, hollow: HollowNode) -> None:
    space.create(web(3, strategy={"type": "Recreate"}))
    eventually(lambda: space.rolled_out("v1", 3))
    space.patch(f"{space.apps}/deployments/web", image_patch("v2"))
    eventually(lambda: space.rolled_out("v2", 3))
    assert hollow.peak == 3


def test_events_tell_what_was_done(space: Space, hollow: HollowNode) -> None:
    space.create(web(2))

    def reasons() -> set[str]:
        return {event["reason"] for event in space.items("events")}

    eventually(lambda: {"ScalingReplicaSet", "SuccessfulCreate"} <= reasons())


# Services


def test_a_service_follows_its_pods(space: Space, hollow: HollowNode) -> None:
    space.create(web(3))
    space.create(service("web"))

    def addresses() -> set[str]:
        slices = space.items("endpointslices", labelSelector="kubernetes.io/service-name=web")
        return {e["addresses"][0] for each in slices for e in each["endpoints"] or () if e["conditions"]["ready"]}

    def pod_ips() -> set[str]:
        return {str(pod["status"].get("podIP")) for pod in space.items("pods")}

    eventually(lambda: len(addresses()) == 3 and addresses() == pod_ips())
    listed = eventually(lambda: [a["ip"] for e in space.items("endpoints") for s in e.get("subsets", ())
                                 for a in s.get("addresses", ())])  # fmt: skip
    eventually(lambda: set(listed) <= pod_ips())
    space.patch(f"{space.apps}/deployments/web", {"spec": {"replicas": 1}})
    eventually(lambda: len(addresses()) == 1 and addresses() == pod_ips())
    space.delete(f"{space.core}/services/web")
    eventually(lambda: not space.items("endpoints") and not space.items("endpointslices"))


# Deletion


@pytest.mark.parametrize("policy", ["Background", "Foreground"])
def test_deleting_a_deployment_deletes_all_it_made(space: Space, hollow: HollowNode, policy: str) -> None:
    space.create(web(3))
    eventually(lambda: space.rolled_out("v1", 3))
    space.delete(f"{space.apps}/deployments/web", policy)
    eventually(lambda: not space.items("pods") and not space.items("replicasets"))
    eventually(lambda: not space.items("deployments"))


def test_foreground_deletion_keeps_the_owner_until_its_dependents_are_gone(space: Space, hollow: HollowNode) -> None:
    space.create(web(1))
    eventually(lambda: space.rolled_out("v1", 1))
    pod = space.items("pods")[0]["metadata"]["name"]
    space.patch(f"{space.core}/pods/{pod}", {"metadata": {"finalizers": ["example.com/hold"]}})
    space.delete(f"{space.apps}/deployments/web", "Foreground")
    eventually(lambda: space.items("pods")[0]["metadata"].get("deletionTimestamp"))
    assert space.deployment()["metadata"]["finalizers"] == ["foregroundDeletion"]
    assert space.items("replicasets")
    space.patch(f"{space.core}/pods/{pod}", {"metadata": {"finalizers": None}})
    eventually(lambda: not space.items("deployments") and not space.items("replicasets"))


def test_orphans_stay_and_are_adopted_again(space: Space, hollow: HollowNode) -> None:
    space.create(web(2))
    eventually(lambda: space.rolled_out("v1", 2))
    before = {pod["metadata"]["uid"] for pod in space.items("pods")}
    space.delete(f"{space.apps}/deployments/web", "Orphan")
    eventually(lambda: not space.items("deployments"))
    eventually(lambda: not space.items("replicasets")[0]["metadata"].get("ownerReferences"))
    space.create(web(2))
    eventually(lambda: space.items("replicasets")[0]["metadata"].get("ownerReferences"))
    eventually(lambda: space.rolled_out("v1", 2))
    assert {pod["metadata"]["uid"] for pod in space.items("pods")} == before


def test_an_object_whose_owner_never_existed_is_collected(space: Space) -> None:
    orphan = configmap("orphan")
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "never", "uid": "00000000-0000-0000-0000-000000000000"}
    orphan["metadata"]["ownerReferences"] = [owner]
    space.create(orphan)
    eventually(lambda: "orphan" not in {each["metadata"]["name"] for each in space.items("configmaps")})


def test_an_owner_in_another_namespace_counts_as_absent(space: Space) -> None:
    other = Space(space.api, f"{space.namespace}-other")
    space.api.make_namespace(other.namespace)
    owner, near = space.create(configmap("owner")), other.create(configmap("near"))
    namespace = space.api.http.get(f"/api/v1/namespaces/{space.namespace}").json()

    def create(where: Space, name: str, *owners: Dict) -> None:
        refs = [
            {"apiVersion": "v1", "kind": each["kind"], **{key: each["metadata"][key] for key in ("name", "uid")}}
            for each in owners
        ]
        where.create({**configmap(name), "metadata": {"name": name, "ownerReferences": refs}})

    def names(where: Space) -> set[str]:
        return {each["metadata"]["name"] for each in where.items("configmaps")} - {"kube-root-ca.crt"}

    create(space, "child", owner)
    create(other, "stray", owner)
    create(other, "two-owners", owner, near)
    create(other, "of-namespace", namespace)
    eventually(lambda: names(other) == {"near", "two-owners", "of-namespace"})

    def told() -> set[tuple[str, str]]:
        events = [event for event in other.items("events") if event["reason"] == "OwnerRefInvalidNamespace"]
        return {(event["involvedObject"]["name"], event["message"]) for event in events}

    uid = owner["metadata"]["uid"]
    missing = f"[v1/ConfigMap, namespace: {other.namespace}, name: owner, uid: {uid}]"
    message = f'ownerRef {missing} does not exist in namespace "{other.namespace}"'
    eventually(lambda: told() == {("stray", message), ("two-owners", message)})
    space.delete(f"{space.core}/configmaps/owner")
    eventually(lambda: names(space) == set())
    assert names(other) == {"near", "two-owners", "of-namespace"}


def test_a_circle_of_owners_can_be_deleted(space: Space) -> None:
    made = [space.create(configmap(name)) for name in ("a", "b", "c")]
    for owner, dependent in ((made[0], "b"), (made[1], "c"), (made[2], "a")):
        name, uid = owner["metadata"]["name"], owner["metadata"]["uid"]
        ref = {"apiVersion": "v1", "kind": "ConfigMap", "name": name, "uid": uid, "blockOwnerDeletion": True}
        space.patch(f"{space.core}/configmaps/{dependent}", {"metadata": {"ownerReferences": [ref]}})
    space.delete(f"{space.core}/configmaps/a", "Foreground")
    eventually(lambda: {each["metadata"]["name"] for each in space.items("configmaps")} == {"kube-root-ca.crt"})


# Namespaces


def test_a_new_namespace_has_its_account_and_authority(space: Space) -> None:
    eventually(lambda: [each["metadata"]["name"] for each in space.items("serviceaccounts")] == ["default"])
    published = eventually(lambda: space.items("configmaps"))
    assert [each["metadata"]["name"] for each in published] == ["kube-root-ca.crt"]
    assert published[0]["data"]["ca.crt"].startswith("-----BEGIN CERTIFICATE-----")


def test_a_deleted_namespace_takes_everything_with_it(space: Space, hollow: HollowNode) -> None:
    space.create(web(2))
    space.create(service("web"))
    space.create(configmap("settings", a="b"))
    eventually(lambda: space.rolled_out("v1", 2))
    space.delete(f"/api/v1/namespaces/{space.namespace}")
    eventually(lambda: space.api.http.get(f"/api/v1/namespaces/{space.namespace}").status_code == 404)
    for plural in ("pods", "services", "configmaps", "replicasets", "deployments", "endpointslices", "secrets"):
        assert space.items(plural) == []


def test_a_namespace_that_cannot_end_says_what_holds_it(space: Space) -> None:
    held = configmap("held")
    held["metadata"]["finalizers"] = ["example.com/hold"]
    space.create(held)
    space.delete(f"/api/v1/namespaces/{space.namespace}")

    def conditions() -> Dict:
        status = space.api.http.get(f"/api/v1/namespaces/{space.namespace}").json().get("status", {})
        return {each["type"]: each["message"] for each in status.get("conditions", ()) if each["status"] == "True"}

    found = eventually(conditions)
    assert "configmaps has 1 resource instances" in found["NamespaceContentRemaining"]
    assert "example.com/hold in 1 resource instances" in found["NamespaceFinalizersRemaining"]
    space.patch(f"{space.core}/configmaps/held", {"metadata": {"finalizers": None}})
    eventually(lambda: space.api.http.get(f"/api/v1/namespaces/{space.namespace}").status_code == 404)


# The process


def test_its_health_is_open_and_its_metrics_are_not(manager: Daemon) -> None:
    assert eventually(lambda: manager.get("/healthz").text == "ok")
    assert "[+]ping ok" in manager.get("/readyz?verbose").text
    assert manager.get("/metrics").status_code == 401


def test_wrong_flags_end_it_with_a_message(api: ApiServer, tmp_path: Path) -> None:
    def ended(*flags: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "controller_manager", *flags], capture_output=True, text=True, timeout=60,
            check=False,
        )  # fmt: skip
        assert done.returncode != 0
        return done.stderr

    assert "unknown nonsense" in ended("--controllers=*,-nonsense", "--kubeconfig=x")
    assert "No such file" in ended(f"--kubeconfig={tmp_path}/none")
    assert "unrecognized arguments: --nonsense" in ended("--nonsense")


# Faults


def test_killed_at_any_moment_it_converges_within_the_bounds(
    api: ApiServer, manager: Daemon, space: Space, hollow: HollowNode
) -> None:
    space.create(web(6, strategy=rolling(2, 1)))
    eventually(lambda: space.rolled_out("v1", 6))
    for number in range(2, 7):
        space.patch(f"{space.apps}/deployments/web", image_patch(f"v{number}"))
        eventually(lambda: space.pods_of(f"v{number}") >= number - 1)  # another moment of the rollout each time  # noqa: B023
        manager.kill()
        manager.start()
    eventually(lambda: space.rolled_out("v6", 6))
    assert hollow.peak <= 8


def test_the_api_servers_death_is_survived_within_the_bounds(
    api: ApiServer, manager: Daemon, space: Space, hollow: HollowNode
) -> None:
    space.create(web(6, strategy=rolling(2, 1)))
    eventually(lambda: space.rolled_out("v1", 6))
    for number in range(2, 5):
        space.patch(f"{space.apps}/deployments/web", image_patch(f"v{number}"))
        eventually(lambda: space.pods_of(f"v{number}") >= number)  # noqa: B023
        api.kill()
        api.start()
    eventually(lambda: space.rolled_out("v4", 6))
    assert hollow.peak <= 8
    assert manager.running


def test_one_of_two_leads_and_the_other_takes_over(api: ApiServer, tmp_path: Path) -> None:
    flags = ("--leader-elect", *QUICK_ELECTION, "--leader-elect-resource-name=takeover")
    flags = (*flags, "--controllers=serviceaccount-controller")

    def holder() -> str:
        lease = api.http.get("/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/takeover").json()
        return str(lease.get("spec", {}).get("holderIdentity", ""))

    with controller_manager(api.url, tmp_path / "1", *flags) as first:
        eventually(lambda: first.leads)
        with controller_manager(api.url, tmp_path / "2", *flags) as second:
            leader = holder()
            assert leader
            first.kill()
            eventually(lambda: second.leads)
            assert holder() not in ("", leader)
            assert second.stop() == 0
            assert holder() == ""
