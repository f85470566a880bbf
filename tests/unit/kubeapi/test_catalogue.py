from typing import Any

import pytest

from apimachinery.catalogue import load_catalogue, version_rank
from apimachinery.errors import BadRequest
from apimachinery.model import decode, encode, from_dict
from apimachinery.patch.strategic import strategic_merge_patch, three_way_strategic
from apimachinery.resource import resource_of
from kubeapi.apps.deployment import RESOURCE as DEPLOYMENTS
from kubeapi.apps.deployment import Deployment
from kubeapi.apps.replicaset import ReplicaSet
from kubeapi.core.node import Node
from kubeapi.core.pod.model import Pod
from kubeapi.core.pod.resource import RESOURCE as PODS
from kubeapi.core.pod.spec import PodSpec
from kubeapi.core.service.model import Service
from kubeapi.core.serviceaccount import ServiceAccount

KINDS = {
    # kind: (path of one object, short names, categories, key below /registry/, status, scale)
    "ControllerRevision": ("/apis/apps/v1/namespaces/ns/controllerrevisions/x", (), (), "", False, False),
    "LimitRange": ("/api/v1/namespaces/ns/limitranges/x", ("limits",), (), "", False, False),
    "PodTemplate": ("/api/v1/namespaces/ns/podtemplates/x", (), (), "", False, False),
    "PriorityClass": ("/apis/scheduling.k8s.io/v1/priorityclasses/x", ("pc",), (), "", False, False),
    "Role": ("/apis/rbac.authorization.k8s.io/v1/namespaces/ns/roles/x", (), (), "", False, False),
    "RoleBinding": ("/apis/rbac.authorization.k8s.io/v1/namespaces/ns/rolebindings/x", (), (), "", False, False),
    "ClusterRole": ("/apis/rbac.authorization.k8s.io/v1/clusterroles/x", (), (), "", False, False),
    "ClusterRoleBinding": ("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/x", (), (), "", False, False),
    "RuntimeClass": ("/apis/node.k8s.io/v1/runtimeclasses/x", (), (), "", False, False),
    "ConfigMap": ("/api/v1/namespaces/ns/configmaps/x", ("cm",), (), "", False, False),
    "Deployment": ("/apis/apps/v1/namespaces/ns/deployments/x", ("deploy",), ("all",), "", True, True),
    "Endpoints": ("/api/v1/namespaces/ns/endpoints/x", ("ep",), (), "services/endpoints", False, False),
    "EndpointSlice": ("/apis/discovery.k8s.io/v1/namespaces/ns/endpointslices/x", (), (), "", False, False),
    "Event": ("/api/v1/namespaces/ns/events/x", ("ev",), (), "", False, False),
    "Lease": ("/apis/coordination.k8s.io/v1/namespaces/ns/leases/x", (), (), "", False, False),
    "Namespace": ("/api/v1/namespaces/x", ("ns",), (), "", True, False),
    "Node": ("/api/v1/nodes/x", ("no",), (), "minions", True, False),
    "Pod": ("/api/v1/namespaces/ns/pods/x", ("po",), ("all",), "", True, False),
    "ReplicationController": (
        "/api/v1/namespaces/ns/replicationcontrollers/x",
        ("rc",),
        ("all",),
        "controllers",
        True,
        True,
    ),
    "ReplicaSet": ("/apis/apps/v1/namespaces/ns/replicasets/x", ("rs",), ("all",), "", True, True),
    "Secret": ("/api/v1/namespaces/ns/secrets/x", (), (), "", False, False),
    "Service": ("/api/v1/namespaces/ns/services/x", ("svc",), ("all",), "services/specs", True, False),
    "ServiceAccount": ("/api/v1/namespaces/ns/serviceaccounts/x", ("sa",), (), "", False, False),
}


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_served_as_upstream_serves_it(kind: str) -> None:
    path, short_names, categories, prefix, status, scale = KINDS[kind]
    resource = next(item for item in load_catalogue() if item.kind == kind)
    assert resource.path("ns" if resource.namespaced else "", "x") == path
    assert resource.short_names == short_names
    assert resource.categories == categories
    assert resource.storage_prefix == prefix
    assert resource.status is status
    assert (resource.scale is not None) is scale
    assert resource.singular_name == kind.lower()
    assert resource_of(resource.model) is resource


def test_every_kind_has_columns_that_work_on_an_empty_object() -> None:
    for resource in load_catalogue():
        assert resource.columns or not resource.stored, resource
        obj = decode(resource.model, b"{}")
        resource.strategy.default(obj)
        for column in resource.columns:
            assert isinstance(column.value(obj, 0.0), str | int | None), (resource, column.name)
            assert column.description, (resource, column.name)
        for name, value in resource.fields.items():
            assert isinstance(value(obj), str), (resource, name)


def test_every_kind_survives_what_a_client_may_leave_out() -> None:
    """An empty object is invalid for most kinds, but never an exception."""
    for resource in load_catalogue():
        obj = decode(resource.model, b"{}")
        resource.strategy.default(obj)
        resource.strategy.prepare_create(obj)
        resource.strategy.validate(obj)
        old = decode(resource.model, encode(obj))
        resource.strategy.prepare_update(obj, old)
        resource.strategy.validate_update(obj, old)
        resource.strategy.prepare_status_update(obj, old)
        resource.strategy.validate_status_update(obj, old)
        resource.strategy.create_warnings(obj)


def test_defaults_are_stable() -> None:
    """Decoding what was stored changes nothing, or every read would look like a change."""
    for resource in load_catalogue():
        obj = decode(resource.model, b'{"metadata":{"name":"x"}}')
        resource.strategy.default(obj)
        once = encode(obj)
        again = decode(resource.model, once)
        resource.strategy.default(again)
        assert encode(again) == once


@pytest.mark.parametrize(
    ("model", "document", "message"),
    [
        (Pod, {"spec": {"containers": "app"}}, "spec.containers"),
        (Pod, {"spec": {"containers": [{"ports": [{"hostPort": "80"}]}]}}, "spec.containers[0].ports[0].hostPort"),
        (Pod, {"spec": {"containers": [{"resources": {"limits": {"cpu": "many"}}}]}}, "quantities must match"),
        (Deployment, {"spec": {"replicas": 2**31}}, "spec.replicas"),
        (Deployment, {"spec": {"replicas": 1.5}}, "spec.replicas"),
        (Deployment, {"spec": {"strategy": {"rollingUpdate": {"maxSurge": 2**31}}}}, "maxSurge"),
        (Pod, {"spec": {"activeDeadlineSeconds": 2**63}}, "spec.activeDeadlineSeconds"),
        (Pod, {"metadata": {"labels": {"a": 1}}}, "metadata.labels.a"),
    ],
)
def test_a_value_of_the_wrong_type_is_refused_with_its_path(
    model: type[Any], document: dict[str, Any], message: str
) -> None:
    with pytest.raises(BadRequest) as caught:
        from_dict(model, document)
    assert message in caught.value.message


def test_null_reads_as_absent() -> None:
    pod = decode(Pod, b'{"metadata":{"creationTimestamp":null},"spec":{"containers":null,"restartPolicy":null}}')
    assert pod.spec.containers == []
    assert pod.spec.restartPolicy == "Always"


def test_kinds_with_a_pod_spec_share_its_validator() -> None:
    for model in (Pod, ReplicaSet, Deployment):
        decode(model, b"{}")
    assert PodSpec.__pydantic_complete__


MERGES: list[tuple[type[Any], str, str]] = [
    (Pod, "spec.containers", "name"),
    (Pod, "spec.initContainers", "name"),
    (Pod, "spec.ephemeralContainers", "name"),
    (Pod, "spec.volumes", "name"),
    (Pod, "spec.imagePullSecrets", "name"),
    (Pod, "spec.hostAliases", "ip"),
    (Pod, "spec.topologySpreadConstraints", "topologyKey"),
    (Pod, "spec.schedulingGates", "name"),
    (Pod, "spec.resourceClaims", "name"),
    (Pod, "spec.containers.ports", "containerPort"),
    (Pod, "spec.containers.env", "name"),
    (Pod, "spec.containers.volumeMounts", "mountPath"),
    (Pod, "spec.containers.volumeDevices", "devicePath"),
    (Pod, "spec.ephemeralContainers.env", "name"),
    (Pod, "status.conditions", "type"),
    (Pod, "status.podIPs", "ip"),
    (Pod, "status.hostIPs", "ip"),
    (Service, "spec.ports", "port"),
    (Service, "status.conditions", "type"),
    (Node, "status.conditions", "type"),
    (Node, "status.addresses", "type"),
    (Deployment, "status.conditions", "type"),
    (Deployment, "spec.template.spec.containers", "name"),
    (ReplicaSet, "status.conditions", "type"),
    (ServiceAccount, "secrets", "name"),
    (Pod, "metadata.ownerReferences", "uid"),
]
ATOMIC: list[tuple[type[Any], str]] = [
    (Pod, "spec.tolerations"),
    (Pod, "spec.readinessGates"),
    (Pod, "spec.containers.envFrom"),
    (Pod, "spec.containers.resizePolicy"),
    (Pod, "status.containerStatuses"),
    (Node, "spec.taints"),
    (Node, "status.images"),
    (ServiceAccount, "imagePullSecrets"),
]


def _at(path: str, items: list[dict[str, Any]]) -> dict[str, Any]:
    """A document with `items` at the path; a list of named containers on the way there."""
    value: Any = items
    for name in reversed(path.split(".")):
        value = {name: value}
        inner = value[name]
        if name in ("containers", "ephemeralContainers") and isinstance(inner, dict):
            value = {name: [{"name": "app", **inner}]}
    return dict(value)


def _from(path: str, document: Any) -> Any:
    for name in path.split("."):
        document = (document[0] if isinstance(document, list) else document)[name]
    return document


@pytest.mark.parametrize(("model", "path", "key"), MERGES)
def test_lists_merge_by_upstreams_keys(model: type[Any], path: str, key: str) -> None:
    one, two = {key: "one", "kept": "yes"}, {key: "two"}
    result = strategic_merge_patch(_at(path, [one]), _at(path, [two]), model)
    assert _from(path, result) == [two, one]
    result = strategic_merge_patch(_at(path, [one]), _at(path, [{key: "one", "added": "yes"}]), model)
    assert _from(path, result) == [{key: "one", "kept": "yes", "added": "yes"}]


@pytest.mark.parametrize(("model", "path"), ATOMIC)
def test_other_lists_are_replaced(model: type[Any], path: str) -> None:
    one, two = {"name": "one"}, {"name": "two"}
    assert _from(path, strategic_merge_patch(_at(path, [one]), _at(path, [two]), model)) == [two]


def test_finalizers_merge_as_a_set() -> None:
    patched = strategic_merge_patch({"metadata": {"finalizers": ["a/b"]}}, {"metadata": {"finalizers": ["c/d"]}}, Pod)
    assert patched["metadata"]["finalizers"] == ["c/d", "a/b"]


def test_apply_can_turn_a_rolling_update_into_recreate() -> None:
    """The server defaulted `rollingUpdate`, which Recreate forbids: apply has to take it away."""
    applied = {"spec": {"strategy": {"type": "RollingUpdate"}}}
    current = {"spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%"}}}}
    modified = {"spec": {"strategy": {"type": "Recreate"}}}
    patch = three_way_strategic(applied, modified, current, Deployment)
    assert strategic_merge_patch(current, patch, Deployment)["spec"]["strategy"] == {"type": "Recreate"}


def test_full_upstream_pod_is_kept() -> None:
    """A field that nothing acts on is stored and returned."""
    spec = {
        "containers": [
            {
                "name": "app",
                "image": "app:1",
                "resizePolicy": [{"resourceName": "cpu", "restartPolicy": "NotRequired"}],
                "restartPolicy": "Never",
                "restartPolicyRules": [{"action": "Restart", "exitCodes": {"operator": "In", "values": [42]}}],
                "readinessProbe": {"grpc": {"port": 9000, "service": "health"}},
                "lifecycle": {"preStop": {"sleep": {"seconds": 3}}, "stopSignal": "SIGUSR1"},
            }
        ],
        "resourceClaims": [{"name": "gpu", "resourceClaimTemplateName": "gpu"}],
        "schedulingGates": [{"name": "example.com/wait"}],
        "overhead": {"cpu": "250m"},
        "hostUsers": False,
        "os": {"name": "linux"},
        "dnsConfig": {"options": [{"name": "ndots", "value": "2"}]},
        "volumes": [{"name": "model", "image": {"reference": "models:1", "pullPolicy": "Never"}}],
    }
    pod = from_dict(Pod, {"metadata": {"name": "x"}, "spec": spec})
    PODS.strategy.default(pod)
    stored = decode(Pod, encode(pod)).model_dump(exclude_none=True)["spec"]
    for name in spec:
        if name != "containers":
            assert stored[name] == spec[name]
    for name, value in spec["containers"][0].items():  # type: ignore[attr-defined]
        if name != "readinessProbe":
            assert stored["containers"][0][name] == value
    assert PODS.strategy.validate(pod) == []
    assert DEPLOYMENTS.strategy.allow_unconditional_update


@pytest.mark.parametrize(
    ("api_version", "kind"),
    [("policy/v1", "Eviction"), ("autoscaling/v1", "Scale"), ("authentication.k8s.io/v1", "TokenRequest")],
)
def test_the_body_of_a_subresource_is_a_kind_without_a_path(api_version: str, kind: str) -> None:
    catalogue = load_catalogue()
    resource = catalogue.by_kind(api_version, kind)
    assert resource is not None
    assert resource in list(catalogue.kinds())
    assert resource not in list(catalogue)
    assert catalogue.find(resource.group, resource.version, resource.plural) is None
    assert resource.plural not in {each.plural for each in catalogue}


def test_present_fields_are_those_with_a_value() -> None:
    assert from_dict(Pod, {"metadata": {"name": "x"}}).metadata.present() == ["name"]


def test_versions_come_in_the_order_of_preference() -> None:
    versions = ["v1alpha2", "v1", "v2beta1", "v1beta2", "v10", "v2", "custom"]
    assert sorted(versions, key=version_rank) == ["v10", "v2", "v1", "v2beta1", "v1beta2", "v1alpha2", "custom"]
    assert load_catalogue().groups()["autoscaling"] == ["v2", "v1"]
