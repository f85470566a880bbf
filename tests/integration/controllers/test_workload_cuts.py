"""Controllers of workloads, killed at each of their writes in turn: no pod too many, none lost, nothing left over."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from controller_manager.controllers.cluster.garbagecollector import CONTROLLER as GARBAGE_COLLECTOR
from controller_manager.controllers.volumes.pvcprotection import CONTROLLER as CLAIM_PROTECTION
from controller_manager.controllers.workloads.daemonset.daemonset import CONTROLLER as DAEMON_SET
from controller_manager.controllers.workloads.deployment.deployment import CONTROLLER as DEPLOYMENT
from controller_manager.controllers.workloads.replicas.replicaset import CONTROLLER as REPLICA_SET
from controller_manager.controllers.workloads.replicas.replicationcontroller import CONTROLLER as REPLICATION
from controller_manager.controllers.workloads.statefulset.statefulset import CONTROLLER as STATEFUL_SET
from kubeclient.controller import ControllerSpec
from tests.kits.control_plane.apiserver import ApiServer
from tests.kits.control_plane.cuts import Step, Story, play_every_cut
from tests.kits.node.hollownode import HollowNode

Dict = dict[str, Any]


class Workload:
    """One workload, "w", alone in its namespace, whose pods run on a hollow node."""

    def __init__(self, api: ApiServer, namespace: str, plural: str) -> None:
        self._http = api.http
        self._core = api.make_namespace(namespace)
        self._apps = f"/apis/apps/v1/namespaces/{namespace}"
        self._plural = plural

    def path(self, plural: str) -> str:
        return f"{self._core if plural in CORE else self._apps}/{plural}"

    def create(self, **spec: Any) -> None:
        labels = {"app": "w"}
        selector: Dict = labels if self._plural == "replicationcontrollers" else {"matchLabels": labels}
        template = {"metadata": {"labels": labels}, "spec": {"terminationGracePeriodSeconds": 0, **pod_spec("v1")}}
        self.post(
            self._plural, {"metadata": {"name": "w"}, "spec": {"selector": selector, "template": template} | spec}
        )

    def post(self, plural: str, body: Dict) -> None:
        answer = self._http.post(self.path(plural), json=body)
        assert answer.status_code == 201, answer.text

    def change(self, **spec: Any) -> None:
        headers = {"content-type": "application/merge-patch+json"}
        answer = self._http.patch(f"{self.path(self._plural)}/w", json={"spec": spec}, headers=headers)
        assert answer.status_code == 200, answer.text

    def roll(self) -> None:
        self.change(template={"spec": pod_spec("v2")})

    def delete(self) -> None:
        answer = self._http.delete(f"{self.path(self._plural)}/w", params={"propagationPolicy": "Foreground"})
        assert answer.status_code == 200, answer.text

    def items(self, plural: str) -> list[Dict]:
        found: list[Dict] = self._http.get(self.path(plural)).json()["items"]
        return found

    def status(self) -> Dict:
        found: Dict = self._http.get(f"{self.path(self._plural)}/w").json()
        settled = found["status"].get("observedGeneration") == found["metadata"]["generation"]
        return found["status"] if settled else {}

    def runs(self, image: str, count: int) -> bool:
        pods = self.items("pods")
        running = [pod for pod in pods if pod["status"]["phase"] == "Running"]
        return len(pods) == len(running) == count and all(
            pod["spec"]["containers"][0]["image"] == image for pod in pods
        )

    def reports(self, image: str, count: int, *members: str) -> bool:
        """Whether `count` pods run, no other, and the status says so."""
        status = self.status()
        return self.runs(image, count) and all(status.get(member, 0) == count for member in members)

    def nothing_is_left(self) -> bool:
        return not any(self.items(plural) for plural in (self._plural, "pods", *MADE_BY_CONTROLLERS))


CORE = ("pods", "replicationcontrollers", "persistentvolumeclaims")
MADE_BY_CONTROLLERS = ("replicasets", "controllerrevisions", "persistentvolumeclaims")


def pod_spec(image: str) -> Dict:
    return {"containers": [{"name": "app", "image": image}]}


async def play_on_nodes(
    api: ApiServer,
    plural: str,
    specs: Sequence[ControllerSpec[Any]],
    steps: Callable[[Workload], list[Step]],
    *,
    peak: int,
) -> int:
    """Plays the steps with a death at each write; how many there were. `peak`: the most pods that may ever be alive."""

    def story(number: int) -> Story:
        name = f"{plural}-{number}"
        return Story(specs, steps(Workload(api, name, plural)), world=node(api, name, peak))

    return await play_every_cut(api, story)


@contextlib.contextmanager
def node(api: ApiServer, namespace: str, peak: int) -> Iterator[None]:
    """The only node there is. Raises: AssertionError when the namespace had more than `peak` pods alive at once."""
    with HollowNode(api, namespace, namespace) as hollow:
        yield
    assert api.http.delete(f"/api/v1/nodes/{namespace}").status_code == 200
    assert hollow.peak <= peak, f"{hollow.peak} pods at once in {namespace}"


@pytest.mark.slow
async def test_a_deployment_survives_a_death_at_every_write(api: ApiServer) -> None:
    def steps(workload: Workload) -> list[Step]:
        seen = ("replicas", "updatedReplicas", "availableReplicas")
        rolling = {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
        return [
            Step(lambda: workload.create(replicas=2, strategy=rolling), lambda: workload.reports("v1", 2, *seen), "v1"),
            Step(workload.roll, lambda: workload.reports("v2", 2, *seen), "the pods are of v2"),
            Step(lambda: workload.change(replicas=1), lambda: workload.reports("v2", 1, *seen), "one is left"),
            Step(workload.delete, workload.nothing_is_left, "all is gone"),
        ]

    assert await play_on_nodes(api, "deployments", (DEPLOYMENT, REPLICA_SET, GARBAGE_COLLECTOR), steps, peak=3) >= 15


async def test_a_stateful_set_survives_a_death_at_every_write(api: ApiServer) -> None:
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    own = {
        "replicas": 2,
        "serviceName": "w",
        "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": claim}],
        "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Delete", "whenScaled": "Delete"},
    }

    def steps(workload: Workload) -> list[Step]:
        def scaled() -> bool:
            return workload.reports("v2", 1, *seen) and len(workload.items("persistentvolumeclaims")) == 1

        seen = ("replicas", "updatedReplicas", "readyReplicas")
        return [
            Step(lambda: workload.create(**own), lambda: workload.reports("v1", 2, *seen), "two pods in order"),
            Step(workload.roll, lambda: workload.reports("v2", 2, *seen), "the pods are of v2"),
            Step(lambda: workload.change(replicas=1), scaled, "one pod and one claim are left"),
            Step(workload.delete, workload.nothing_is_left, "all is gone"),
        ]

    specs = (STATEFUL_SET, GARBAGE_COLLECTOR, CLAIM_PROTECTION)
    assert await play_on_nodes(api, "statefulsets", specs, steps, peak=2) >= 15


@pytest.mark.slow
async def test_a_daemon_set_survives_a_death_at_every_write(api: ApiServer) -> None:
    def steps(workload: Workload) -> list[Step]:
        seen = ("desiredNumberScheduled", "updatedNumberScheduled", "numberReady")
        return [
            Step(workload.create, lambda: workload.reports("v1", 1, *seen), "it runs on the node"),
            Step(workload.roll, lambda: workload.reports("v2", 1, *seen), "v2 runs on the node"),
            Step(workload.delete, workload.nothing_is_left, "all is gone"),
        ]

    assert await play_on_nodes(api, "daemonsets", (DAEMON_SET, GARBAGE_COLLECTOR), steps, peak=1) >= 8


async def test_a_replication_controller_survives_a_death_at_every_write(api: ApiServer) -> None:
    def steps(workload: Workload) -> list[Step]:
        seen = ("replicas", "readyReplicas", "availableReplicas")
        return [
            Step(lambda: workload.create(replicas=2), lambda: workload.reports("v1", 2, *seen), "two pods"),
            Step(lambda: workload.change(replicas=1), lambda: workload.reports("v1", 1, *seen), "one is left"),
            Step(workload.delete, workload.nothing_is_left, "all is gone"),
        ]

    specs = (REPLICATION, GARBAGE_COLLECTOR)
    assert await play_on_nodes(api, "replicationcontrollers", specs, steps, peak=2) >= 6
