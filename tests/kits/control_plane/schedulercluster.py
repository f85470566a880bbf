"""What tests of the scheduler do to the API."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.kits.control_plane.apiserver import ApiServer
from tests.kits.eventually import eventually


class Cluster:
    """What the tests do to the API, in one namespace."""

    def __init__(self, api: ApiServer, namespace: str) -> None:
        self.api, self.namespace = api, namespace
        self.root = f"/api/v1/namespaces/{namespace}"

    def node(self, name: str, cpu: str = "4", pods: str = "110", taints: list[dict[str, str]] | None = None) -> None:
        """Ready for pods: the taint that new nodes get until they are is taken off."""
        resources = {"cpu": cpu, "memory": "8Gi", "pods": pods}
        body = {"metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}}}
        body |= {"status": {"allocatable": resources, "capacity": resources}}
        assert self.api.http.post("/api/v1/nodes", json=body).status_code == 201
        patch = {"spec": {"taints": taints or []}}
        headers = {"content-type": "application/merge-patch+json"}
        assert self.api.http.patch(f"/api/v1/nodes/{name}", json=patch, headers=headers).status_code == 200

    def pod(self, name: str, cpu: str = "", metadata: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
        container = {"name": "app", "image": "app:1", "resources": {"requests": {"cpu": cpu} if cpu else {}}}
        body = {"metadata": {"name": name, **(metadata or {})}, "spec": {"containers": [container], **spec}}
        answer = self.api.http.post(f"{self.root}/pods", json=body)
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()
        return made

    def priority_class(self, value: int) -> str:
        """The name of a class with this priority."""
        name = f"priority-{value}".replace("--", "-minus-")
        answer = self.api.http.post(
            "/apis/scheduling.k8s.io/v1/priorityclasses", json={"metadata": {"name": name}, "value": value}
        )
        assert answer.status_code in (201, 409), answer.text
        return name

    def get(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.api.http.get(f"{self.root}/pods/{name}").json()
        return found

    def delete(self, name: str) -> None:
        url = f"{self.root}/pods/{name}?gracePeriodSeconds=0"
        assert self.api.http.delete(url).status_code == 200

    def pods(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.api.http.get(f"{self.root}/pods").json()["items"]
        return found

    def where(self, name: str) -> str:
        return str(eventually(lambda: self.get(name)["spec"].get("nodeName"), f"{name} got no node"))

    def condition(self, name: str) -> dict[str, Any]:
        conditions = self.get(name)["status"].get("conditions") or []
        return next((item for item in conditions if item["type"] == "PodScheduled"), {})

    def events(self, name: str) -> list[dict[str, Any]]:
        query = {"fieldSelector": f"involvedObject.name={name}"}
        found: list[dict[str, Any]] = self.api.http.get(f"{self.root}/events", params=query).json()["items"]
        return found

    def placed(self) -> Counter[str]:
        return Counter(item["spec"]["nodeName"] for item in self.pods() if item["spec"].get("nodeName"))


@contextmanager
def cluster_in(api: ApiServer, namespace: str) -> Iterator[Cluster]:
    """Without nodes at first, and at last."""
    yield Cluster(api, namespace)
    for name in [item["metadata"]["name"] for item in api.http.get("/api/v1/nodes").json()["items"]]:
        assert api.http.delete(f"/api/v1/nodes/{name}").status_code == 200
    for item in api.http.get(f"/api/v1/namespaces/{namespace}/pods").json()["items"]:
        api.http.delete(f"/api/v1/namespaces/{namespace}/pods/{item['metadata']['name']}?gracePeriodSeconds=0")
