"""Controllers of all but workloads and volumes, killed at each of their writes in turn."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest

from controller_manager.controllers.autoscaling.horizontalpodautoscaler import CONTROLLER as AUTOSCALER
from controller_manager.controllers.bootstrap.bootstrapsigner import CONTROLLER as BOOTSTRAP_SIGNER
from controller_manager.controllers.bootstrap.tokencleaner import CONTROLLER as TOKEN_CLEANER
from controller_manager.controllers.certificates import cleaner as csr_cleaner
from controller_manager.controllers.certificates.approving import CONTROLLER as APPROVING
from controller_manager.controllers.certificates.cleaner import CONTROLLER as CSR_CLEANER
from controller_manager.controllers.certificates.signing import CONTROLLER as SIGNING
from controller_manager.controllers.cluster import legacytokencleaner
from controller_manager.controllers.cluster.clusterroleaggregation import CONTROLLER as AGGREGATION
from controller_manager.controllers.cluster.garbagecollector import CONTROLLER as GARBAGE_COLLECTOR
from controller_manager.controllers.cluster.legacytokencleaner import CONTROLLER as LEGACY_TOKEN_CLEANER
from controller_manager.controllers.cluster.namespace import CONTROLLER as NAMESPACE
from controller_manager.controllers.cluster.resourcequota import CONTROLLER as QUOTA
from controller_manager.controllers.cluster.rootcacert import CONTROLLER as ROOT_CA
from controller_manager.controllers.cluster.serviceaccount import CONTROLLER as ACCOUNT
from controller_manager.controllers.cluster.serviceaccounttoken import CONTROLLER as TOKEN
from controller_manager.controllers.devices.resourceclaim import CONTROLLER as RESOURCE_CLAIMS
from controller_manager.controllers.network.endpoints import CONTROLLER as ENDPOINTS
from controller_manager.controllers.network.endpointslice import CONTROLLER as SLICES
from controller_manager.controllers.network.endpointslicemirroring import CONTROLLER as MIRRORING
from controller_manager.controllers.nodes import podgc
from controller_manager.controllers.nodes.nodelifecycle import CONTROLLER as NODE_LIFECYCLE
from controller_manager.controllers.nodes.podgc import CONTROLLER as POD_GC
from controller_manager.controllers.nodes.tainteviction import CONTROLLER as TAINT_EVICTION
from controller_manager.controllers.volumes.attachdetach import CONTROLLER as ATTACHING
from controller_manager.controllers.volumes.vacprotection import CONTROLLER as CLASS_PROTECTION
from controller_manager.controllers.workloads.disruption import CONTROLLER as DISRUPTION
from controller_manager.controllers.workloads.ttlafterfinished import CONTROLLER as TTL
from kubeclient.controller import ControllerSpec
from tests.kits.control_plane.apiserver import ApiServer
from tests.kits.control_plane.cuts import Step, Story, play_every_cut
from tests.kits.eventually import eventually
from tests.kits.identity.certificates import write_certificates
from tests.kits.manifests import container, deployment, pod
from tests.kits.net.requests import encoded_request

Dict = dict[str, Any]
ENDED = ("SuccessCriteriaMet", "Complete")
Specs = Sequence[ControllerSpec[Any]]


class User:
    """Takes the steps of a story, by paths below the API's root."""

    def __init__(self, api: ApiServer) -> None:
        self._http = api.http

    def get(self, path: str) -> Dict:
        """Empty when there is none."""
        answer = self._http.get(path)
        assert answer.status_code in (200, 404), answer.text
        found: Dict = answer.json()
        return found if answer.status_code == 200 else {}

    def items(self, path: str) -> list[Dict]:
        found: list[Dict] = self.get(path)["items"]
        return found

    def create(self, path: str, name: str, body: Dict | None = None, **metadata: Any) -> None:
        whole = {**(body or {}), "metadata": {"name": name, **metadata}}
        answer = self._http.post(path, json=whole)
        assert answer.status_code == 201, answer.text

    def patch(self, path: str, body: Dict) -> None:
        headers = {"content-type": "application/strategic-merge-patch+json"}
        answer = self._http.patch(path, json=body, headers=headers)
        assert answer.status_code == 200, answer.text

    def delete(self, path: str, *, at_once: bool = False) -> None:
        answer = self._http.delete(path, params={"gracePeriodSeconds": "0"} if at_once else {})
        assert answer.status_code in (200, 202), answer.text

    def run_pod(self, path: str, node: str, address: str) -> None:
        """A pod on the node, ready, as its kubelet would say; "w" by name and label."""
        spec = pod("w", container(), nodeName=node)
        self.create(path, "w", {"spec": spec["spec"]}, labels={"app": "w"})
        ready = [{"type": "Ready", "status": "True"}]
        status = {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}], "conditions": ready}
        self.patch(f"{path}/w/status", {"status": status})


def condition(obj: Dict, kind: str) -> str:
    conditions = obj.get("status", {}).get("conditions", ())
    return next((str(each["status"]) for each in conditions if each["type"] == kind), "")


def stories(specs: Specs, steps: Callable[[int], list[Step]], *flags: str) -> Callable[[int], Story]:
    return lambda number: Story(specs, steps(number), flags=flags)


@pytest.mark.slow
async def test_what_a_namespace_is_given_survives_a_death_at_every_write(api: ApiServer, tmp_path: Path) -> None:
    user, files = User(api), write_certificates(tmp_path)
    user.create("/api/v1/nodes", "somewhere")

    def steps(number: int) -> list[Step]:
        name = f"cut-{number}"
        core = f"/api/v1/namespaces/{name}"
        slices = f"/apis/discovery.k8s.io/v1/namespaces/{name}/endpointslices"
        budgets = f"/apis/policy/v1/namespaces/{name}/poddisruptionbudgets"

        def is_furnished() -> bool:
            return bool(user.get(f"{core}/serviceaccounts/default") and user.get(f"{core}/configmaps/kube-root-ca.crt"))

        def make_service() -> None:
            user.create(f"{core}/resourcequotas", "q", {"spec": {"hard": {"pods": "3"}}})
            user.create(f"{core}/services", "w", {"spec": {"selector": {"app": "w"}, "ports": [{"port": 80}]}})
            user.create(f"{core}/services", "hand", {"spec": {"ports": [{"port": 80}]}})
            subset = {"addresses": [{"ip": "10.0.0.7"}], "ports": [{"port": 80}]}
            user.create(f"{core}/endpoints", "hand", {"subsets": [subset]})
            budget = {"spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "w"}}}}
            user.create(budgets, "w", budget)
            user.run_pod(f"{core}/pods", "somewhere", "10.244.0.9")

        def is_known() -> bool:
            endpoints = user.get(f"{core}/endpoints/w").get("subsets") or [{}]
            found = [each["addresses"] for one in user.items(slices) for each in one["endpoints"] or ()]
            used = user.get(f"{core}/resourcequotas/q")["status"].get("used")
            healthy = user.get(f"{budgets}/w")["status"].get("currentHealthy")
            addresses = [each["ip"] for each in endpoints[0].get("addresses", ())]
            shown = sorted(found) == [["10.0.0.7"], ["10.244.0.9"]]
            return shown and (addresses, used, healthy) == (["10.244.0.9"], {"pods": "1"}, 1)

        def make_token() -> None:
            about = {"kubernetes.io/service-account.name": "default"}
            user.create(f"{core}/secrets", "t", {"type": "kubernetes.io/service-account-token"}, annotations=about)

        def delete() -> None:
            user.delete(f"{core}/pods/w", at_once=True)
            user.delete(core)

        return [
            Step(lambda: user.create("/api/v1/namespaces", name), is_furnished, "an account and the authority"),
            Step(make_service, is_known, "the pod is in Endpoints, slice, quota and budget"),
            Step(make_token, lambda: user.get(f"{core}/secrets/t").get("data", {}).get("token"), "a token"),
            Step(delete, lambda: not user.get(core), "the namespace is gone"),
        ]

    specs = (ACCOUNT, ROOT_CA, QUOTA, ENDPOINTS, SLICES, MIRRORING, DISRUPTION, TOKEN, NAMESPACE)
    flags = (f"--root-ca-file={files['ca']}", f"--service-account-private-key-file={files['ca-key']}")
    assert await play_every_cut(api, stories(specs, steps, *flags)) >= 10


async def test_what_becomes_of_a_silent_nodes_pods_survives_a_death_at_every_write(
    api: ApiServer, namespace: str
) -> None:
    user, pods = User(api), f"/api/v1/namespaces/{namespace}/pods"

    def steps(number: int) -> list[Step]:
        node = f"silent-{number}"
        path = f"/api/v1/nodes/{node}"

        def make_node() -> None:
            user.create("/api/v1/nodes", node)
            user.patch(f"{path}/status", {"status": {"conditions": [{"type": "Ready", "status": "True"}]}})
            user.run_pod(pods, node, "10.244.0.9")

        def is_given_up() -> bool:
            return (
                condition(user.get(path), "Ready") == "Unknown" and condition(user.get(f"{pods}/w"), "Ready") == "False"
            )

        def taint() -> None:
            user.patch(path, {"spec": {"taints": [{"key": "out", "effect": "NoExecute"}]}})

        def is_evicted() -> bool:
            return not user.get(f"{pods}/w")

        def delete() -> None:
            user.delete(path)

        return [
            Step(make_node, is_given_up, "node and pod are declared lost"),
            Step(taint, is_evicted, "the pod is evicted"),
            Step(delete, lambda: True, ""),
        ]

    flags = ("--node-monitor-period=100ms", "--node-monitor-grace-period=300ms", "--node-startup-grace-period=300ms")
    assert await play_every_cut(api, stories((NODE_LIFECYCLE, TAINT_EVICTION), steps, *flags)) >= 4


async def test_roles_and_certificates_survive_a_death_at_every_write(api: ApiServer, tmp_path: Path) -> None:
    user, files = User(api), write_certificates(tmp_path)
    roles, requests = (
        "/apis/rbac.authorization.k8s.io/v1/clusterroles",
        "/apis/certificates.k8s.io/v1/certificatesigningrequests",
    )

    def steps(number: int) -> list[Step]:
        name = f"cut-{number}"
        wanted = {
            "request": encoded_request(f"system:node:{name}", ["system:nodes"]),
            "signerName": "kubernetes.io/kube-apiserver-client-kubelet",
            "usages": ["client auth", "digital signature"],
        }
        rule = {"apiGroups": [""], "resources": ["pods"], "verbs": [f"v{number}"]}
        selector = {"aggregationRule": {"clusterRoleSelectors": [{"matchLabels": {"part-of": name}}]}, "rules": []}

        def make_roles() -> None:
            user.create(roles, name, selector)
            user.create(roles, f"{name}-part", {"rules": [rule]}, labels={"part-of": name})

        return [
            Step(make_roles, lambda: user.get(f"{roles}/{name}")["rules"] == [rule], "the role has its part's rule"),
            Step(
                lambda: user.create(requests, name, {"spec": wanted}),
                lambda: user.get(f"{requests}/{name}")["status"].get("certificate"),
                "the certificate",
            ),
        ]

    flags = (f"--cluster-signing-cert-file={files['ca']}", f"--cluster-signing-key-file={files['ca-key']}")
    specs = (AGGREGATION, APPROVING, SIGNING)
    assert await play_every_cut(api, stories(specs, steps, *flags)) >= 3


async def test_a_signed_address_of_the_cluster_survives_a_death_at_every_write(api: ApiServer) -> None:
    user, info = User(api), "/api/v1/namespaces/kube-public/configmaps"
    secret = {"type": "bootstrap.kubernetes.io/token"}

    def steps(number: int) -> list[Step]:
        token = f"{number:06d}"
        data = {"token-id": token, "token-secret": "0123456789abcdef", "usage-bootstrap-signing": "true"}

        def make() -> None:
            user.create(
                "/api/v1/namespaces/kube-system/secrets", f"bootstrap-token-{token}", {**secret, "stringData": data}
            )
            if not user.get(f"{info}/cluster-info"):
                user.create(info, "cluster-info", {"data": {"kubeconfig": "here"}})

        signed = f"jws-kubeconfig-{token}"
        return [Step(make, lambda: user.get(f"{info}/cluster-info")["data"].get(signed), "the signature")]

    assert await play_every_cut(api, stories((BOOTSTRAP_SIGNER,), steps)) >= 1


async def test_an_attachment_survives_a_death_at_every_write(api: ApiServer, namespace: str) -> None:
    user, core = User(api), f"/api/v1/namespaces/{namespace}"
    attachments = "/apis/storage.k8s.io/v1/volumeattachments"

    def steps(number: int) -> list[Step]:
        name = f"cut-{number}"
        spec = {"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}}
        claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}

        def make() -> None:
            managed = {"volumes.kubernetes.io/controller-managed-attach-detach": "true"}
            user.create("/api/v1/nodes", name, annotations=managed)
            volume = {
                "csi": {"driver": "d.example.com", "volumeHandle": name},
                "claimRef": {"namespace": namespace, "name": name},
            }
            user.create("/api/v1/persistentvolumes", name, {"spec": {**spec, **volume}})
            bound = {**claim, "volumeName": name, "storageClassName": ""}
            user.create(f"{core}/persistentvolumeclaims", name, {"spec": bound})
            user.patch(f"{core}/persistentvolumeclaims/{name}/status", {"status": {"phase": "Bound"}})
            volumes = [{"name": "v", "persistentVolumeClaim": {"claimName": name}}]
            user.create(f"{core}/pods", name, {"spec": pod("w", container(), nodeName=name, volumes=volumes)["spec"]})

        def is_attached() -> bool:
            """As its attacher says, once it is asked to."""
            for each in user.items(attachments):
                user.patch(f"{attachments}/{each['metadata']['name']}/status", {"status": {"attached": True}})
            attached = user.get(f"/api/v1/nodes/{name}")["status"].get("volumesAttached", ())
            return [each["name"] for each in attached] == [f"kubernetes.io/csi/d.example.com^{name}"]

        def is_detached() -> bool:
            return not user.items(attachments) and "volumesAttached" not in user.get(f"/api/v1/nodes/{name}")["status"]

        return [
            Step(make, is_attached, "the volume is attached"),
            Step(lambda: user.delete(f"{core}/pods/{name}", at_once=True), is_detached, "it is detached"),
        ]

    assert await play_every_cut(api, stories((ATTACHING,), steps)) >= 3


async def test_pods_that_nobody_would_remove_survive_a_death_at_every_write(
    api: ApiServer, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(podgc, "QUARANTINE_SECONDS", 0.05)
    monkeypatch.setattr(podgc, "CHECK_SECONDS", 0.1)
    user, pods = User(api), f"/api/v1/namespaces/{namespace}/pods"

    def steps(number: int) -> list[Step]:
        node = f"vouched-{number}"

        def end_pods() -> None:
            for name in ("first", "last"):
                name = f"{name}-{number}"
                user.create(pods, name, pod(name, container()))
                user.patch(f"{pods}/{name}/status", {"status": {"phase": "Succeeded"}})

        def vouch() -> None:
            user.create("/api/v1/nodes", node)
            user.run_pod(pods, node, "10.244.0.9")
            user.delete(f"{pods}/w")  # which waits for the kubelet
            user.patch(
                f"/api/v1/nodes/{node}",
                {"spec": {"taints": [{"key": "node.kubernetes.io/out-of-service", "effect": "NoExecute"}]}},
            )

        def is_gone() -> bool:
            return not user.get(f"{pods}/w")

        return [
            Step(lambda: user.run_pod(pods, "gone", "10.244.0.9"), is_gone, "the pod of a lost node is removed"),
            Step(vouch, is_gone, "so is one of a node that is out of service"),
            Step(end_pods, lambda: len(user.items(pods)) == 1, "one ended pod is left"),
        ]

    flags = ("--terminated-pod-gc-threshold=1",)
    assert await play_every_cut(api, stories((POD_GC,), steps, *flags)) >= 4


async def test_what_is_past_its_time_survives_a_death_at_every_write(
    api: ApiServer, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csr_cleaner, "PENDING_SECONDS", 0.0)
    monkeypatch.setattr(legacytokencleaner, "DAY_SECONDS", 0.2)
    user, core, system = User(api), f"/api/v1/namespaces/{namespace}", "/api/v1/namespaces/kube-system"
    tracking = f"{system}/configmaps/kube-apiserver-legacy-service-account-token-tracking"
    eventually(lambda: user.get(tracking), "the tracking of tokens")
    user.patch(tracking, {"data": {"since": "2020-01-01"}})

    def steps(number: int) -> list[Step]:
        name, token = f"late-{number}", f"late{number:02d}"
        secrets = (f"{system}/secrets/bootstrap-token-{token}", f"{core}/secrets/{name}")
        request = f"/apis/certificates.k8s.io/v1/certificatesigningrequests/{name}"
        job = f"/apis/batch/v1/namespaces/{namespace}/jobs/{name}"
        attributes_class = f"/apis/storage.k8s.io/v1/volumeattributesclasses/{name}"

        def make_secrets() -> None:
            data = {"token-id": token, "token-secret": "0123456789abcdef", "expiration": "2020-01-01T00:00:00Z"}
            body = {"type": "bootstrap.kubernetes.io/token", "stringData": data}
            user.create(f"{system}/secrets", f"bootstrap-token-{token}", body)
            user.create(f"{core}/serviceaccounts", name, {"secrets": [{"name": name}]})
            about = {"kubernetes.io/service-account.name": name}
            user.create(f"{core}/secrets", name, {"type": "kubernetes.io/service-account-token"}, annotations=about)

        def make_others() -> None:
            wanted = {
                "request": encoded_request(f"system:node:{name}", ["system:nodes"]),
                "signerName": "example.com/nobody",
                "usages": ["client auth"],
            }
            user.create(request.rpartition("/")[0], name, {"spec": wanted})
            template = {"spec": {"restartPolicy": "Never", "containers": [container()]}}
            user.create(job.rpartition("/")[0], name, {"spec": {"template": template, "ttlSecondsAfterFinished": 0}})
            times = {"startTime": "2026-01-01T00:00:00Z", "completionTime": "2026-01-01T00:05:10Z"}
            ended = [{"type": kind, "status": "True", "lastTransitionTime": times["completionTime"]} for kind in ENDED]
            user.patch(f"{job}/status", {"status": {**times, "succeeded": 1, "conditions": ended}})
            user.create(
                attributes_class.rpartition("/")[0], name, {"driverName": "d.example.com", "parameters": {"iops": "9"}}
            )
            user.patch(attributes_class, {"metadata": {"finalizers": None}})

        def others_are_gone() -> bool:
            protected = user.get(attributes_class)["metadata"].get("finalizers")
            return bool(protected) and not user.get(request) and not user.get(job)

        return [
            Step(make_secrets, lambda: not any(map(user.get, secrets)), "tokens that have expired, or go unused, go"),
            Step(make_others, others_are_gone, "request and Job go, and the class is protected"),
            Step(lambda: user.delete(attributes_class), lambda: not user.get(attributes_class), "so does the class"),
        ]

    specs = (TOKEN_CLEANER, LEGACY_TOKEN_CLEANER, CSR_CLEANER, TTL, CLASS_PROTECTION, GARBAGE_COLLECTOR)
    flags = ("--legacy-service-account-token-clean-up-period=100ms",)
    assert await play_every_cut(api, stories(specs, steps, *flags)) >= 8


async def test_an_autoscaled_workload_survives_a_death_at_every_write(api: ApiServer, namespace: str) -> None:
    user, apps = User(api), f"/apis/apps/v1/namespaces/{namespace}/deployments"
    autoscalers = f"/apis/autoscaling/v2/namespaces/{namespace}/horizontalpodautoscalers"
    metric = {"metric": {"name": "depth"}, "target": {"type": "AverageValue", "averageValue": "10"}}

    def story(number: int) -> Story:
        name, depth = f"cut-{number}", 45

        async def group() -> bytes:
            return orjson.dumps({"preferredVersion": {"version": "v1beta1"}})

        async def measured() -> bytes:
            item = {"metricName": "depth", "timestamp": "2026-01-01T00:00:00Z", "value": str(depth)}
            return orjson.dumps({"items": [item]})

        def make() -> None:
            user.create(apps, name, deployment(name, 1))
            reference = {"apiVersion": "apps/v1", "kind": "Deployment", "name": name}
            spec = {
                "scaleTargetRef": reference,
                "maxReplicas": 8,
                "metrics": [{"type": "External", "external": metric}],
                "behavior": {"scaleDown": {"stabilizationWindowSeconds": 0}},
            }
            user.create(autoscalers, name, {"spec": spec})

        def empty() -> None:
            nonlocal depth
            depth = 12
            user.patch(f"{autoscalers}/{name}", {"spec": {"maxReplicas": 7}})  # so that it is looked at before its time

        def has(replicas: int) -> bool:
            size = user.get(f"{apps}/{name}")["spec"]["replicas"]
            assert 1 <= size <= 5
            return bool(size == replicas == user.get(f"{autoscalers}/{name}")["status"].get("desiredReplicas"))

        def detour(method: str, path: str) -> Awaitable[bytes] | None:
            if path == "/apis/external.metrics.k8s.io":
                return group()
            return measured() if path.partition("?")[0].endswith("/depth") else None

        steps = [
            Step(make, lambda: has(5), "five replicas for 45 messages"),
            Step(empty, lambda: has(2), "two replicas for 12"),
            Step(lambda: user.delete(f"{autoscalers}/{name}"), lambda: True, ""),
        ]
        return Story((AUTOSCALER,), steps, detour)

    assert await play_every_cut(api, story) >= 3


async def test_claims_of_devices_survive_a_death_at_every_write(api: ApiServer, namespace: str) -> None:
    user, pods = User(api), f"/api/v1/namespaces/{namespace}/pods"
    claims = f"/apis/resource.k8s.io/v1/namespaces/{namespace}/resourceclaims"
    spec = {"devices": {"requests": [{"name": "r", "exactly": {"deviceClassName": "c"}}]}}
    result = {"request": "r", "driver": "d.example.com", "pool": "p", "device": "x"}
    finalizer = "resource.kubernetes.io/delete-protection"

    def steps(number: int) -> list[Step]:
        name, own = f"cut-{number}", f"own-{number}"

        def make() -> None:
            user.create(claims, own, {"spec": spec})
            entries = [
                {"name": "own", "resourceClaimName": own},
                {"name": "made", "resourceClaimTemplateName": name},
            ]
            user.create(pods, name, {"spec": {**pod(name, container())["spec"], "resourceClaims": entries}})
            user.create(f"{claims.removesuffix('s')}templates", name, {"spec": {"spec": spec}})

        def made() -> list[str]:
            owned = [item["metadata"] for item in user.items(claims)]
            return [item["name"] for item in owned if item.get("generateName") == f"{name}-made-"]

        def is_noted() -> bool:
            statuses = user.get(f"{pods}/{name}")["status"].get("resourceClaimStatuses")
            return bool(statuses) and [{"name": "made", "resourceClaimName": claim} for claim in made()] == statuses

        def allocate() -> None:
            users = [{"resource": "pods", "name": name, "uid": user.get(f"{pods}/{name}")["metadata"]["uid"]}]
            for claim in (own, *made()):
                user.patch(f"{claims}/{claim}", {"metadata": {"finalizers": [finalizer]}})
                status = {"allocation": {"devices": {"results": [result]}}, "reservedFor": users}
                user.patch(f"{claims}/{claim}/status", {"status": status})

        def end() -> None:
            user.patch(f"{pods}/{name}/status", {"status": {"phase": "Succeeded"}})

        def is_free() -> bool:
            return made() == [] and user.get(f"{claims}/{own}")["status"] == {}

        return [
            Step(make, is_noted, "the claim that is made of a template"),
            Step(allocate, lambda: True, ""),
            Step(end, is_free, "the end of all use"),
            Step(
                lambda: user.delete(f"{claims}/{own}"), lambda: not user.get(f"{claims}/{own}"), "the end of the claim"
            ),
        ]

    assert await play_every_cut(api, stories([RESOURCE_CLAIMS], steps)) >= 7
