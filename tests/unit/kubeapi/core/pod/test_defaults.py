from typing import Any

import pytest

from apimachinery.errors import Invalid
from apimachinery.meta import DeleteOptions
from apimachinery.model import to_dict
from kubeapi.apps.replicaset import RESOURCE as REPLICASETS
from kubeapi.core.pod.resource import RESOURCE as PODS
from tests.kits.kinds import AN_HOUR_AGO, container, created, load, pod


def spec_of(document: dict[str, Any]) -> dict[str, Any]:
    spec: dict[str, Any] = to_dict(load(PODS, document).spec)
    return spec


def test_a_minimal_pod_gets_upstreams_defaults() -> None:
    assert spec_of(pod()) == {
        "containers": [
            {
                "name": "app",
                "image": "app:1",
                "imagePullPolicy": "IfNotPresent",
                "resources": {},
                "terminationMessagePath": "/dev/termination-log",
                "terminationMessagePolicy": "File",
            }
        ],
        "dnsPolicy": "ClusterFirst",
        "enableServiceLinks": True,
        "restartPolicy": "Always",
        "schedulerName": "default-scheduler",
        "securityContext": {},
        "terminationGracePeriodSeconds": 30,
    }


@pytest.mark.parametrize(
    ("image", "policy"),
    [
        ("app", "Always"),
        ("app:latest", "Always"),
        ("app:1", "IfNotPresent"),
        ("registry.example:5000/team/app", "Always"),
        ("registry.example:5000/team/app:1.2", "IfNotPresent"),
        (f"app@sha256:{'0' * 64}", "IfNotPresent"),
        (f"app:latest@sha256:{'0' * 64}", "Always"),
        ("app:latest@sha256:0000", "IfNotPresent"),
        ("Not//an image", "IfNotPresent"),
    ],
)
def test_pull_policy_follows_the_tag(image: str, policy: str) -> None:
    spec = load(PODS, container(image=image)).spec
    assert spec.containers[0].imagePullPolicy == policy


@pytest.mark.parametrize("field", ["containers", "initContainers"])
def test_limits_become_requests_of_a_pod(field: str) -> None:
    item = {
        "name": "x",
        "image": "x:1",
        "resources": {"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "500m"}},
    }
    spec = load(PODS, pod({field: [item]})).spec
    assert getattr(spec, field)[0].resources.requests == {"cpu": "500m", "memory": "1Gi"}


def test_limits_stay_alone_in_a_template() -> None:
    document = {"spec": {"template": container(resources={"limits": {"cpu": "1"}})}}
    assert load(REPLICASETS, document).spec.template.spec.containers[0].resources.requests is None


@pytest.mark.parametrize(
    ("requests", "expected"),
    [({}, {"cpu": "2"}), ({"cpu": "300m"}, {"cpu": "300m"})],
)
def test_pod_level_limits_become_requests(requests: dict[str, str], expected: dict[str, str]) -> None:
    document = container(resources={"requests": requests})
    document["spec"]["resources"] = {"limits": {"cpu": "2"}}
    assert load(PODS, document).spec.resources.requests == expected


def test_host_network_ports_are_host_ports_of_pods_but_not_of_templates() -> None:
    document = container(ports=[{"containerPort": 80}])
    document["spec"]["hostNetwork"] = True
    assert load(PODS, document).spec.containers[0].ports[0].hostPort == 80
    template = load(REPLICASETS, {"spec": {"template": document}}).spec.template
    assert template.spec.containers[0].ports[0].hostPort is None


PROBE_DEFAULTS = {"timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3}


@pytest.mark.parametrize("name", ["livenessProbe", "readinessProbe", "startupProbe"])
@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"httpGet": {"port": 80}}, {"httpGet": {"port": 80, "path": "/", "scheme": "HTTP"}, **PROBE_DEFAULTS}),
        (
            {"httpGet": {"port": "web", "path": "", "scheme": ""}},
            {"httpGet": {"port": "web", "path": "/", "scheme": "HTTP"}, **PROBE_DEFAULTS},
        ),
        ({"tcpSocket": {"port": 80}, "periodSeconds": 0}, {"tcpSocket": {"port": 80}, **PROBE_DEFAULTS}),
        ({"grpc": {"port": 80}}, {"grpc": {"port": 80, "service": ""}, **PROBE_DEFAULTS}),
        (
            {"exec": {"command": ["x"]}, "timeoutSeconds": 9},
            {"exec": {"command": ["x"]}, **PROBE_DEFAULTS, "timeoutSeconds": 9},
        ),
    ],
)
def test_the_defaults_of_probes(name: str, given: dict[str, Any], expected: dict[str, Any]) -> None:
    assert spec_of(container(**{name: given}))["containers"][0][name] == expected


def test_lifecycle_hooks_over_http() -> None:
    spec = spec_of(container(lifecycle={"preStop": {"httpGet": {"port": 80}}}))
    assert spec["containers"][0]["lifecycle"]["preStop"]["httpGet"] == {"port": 80, "path": "/", "scheme": "HTTP"}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"configMap": {"name": "c"}}, {"configMap": {"name": "c", "defaultMode": 420}}),
        ({"secret": {"secretName": "s"}}, {"secret": {"secretName": "s", "defaultMode": 420}}),
        ({"downwardAPI": {}}, {"downwardAPI": {"defaultMode": 420}}),
        ({"hostPath": {"path": "/x"}}, {"hostPath": {"path": "/x", "type": ""}}),
        ({}, {"emptyDir": {}}),
        (
            {"downwardAPI": {"items": [{"path": "p", "fieldRef": {"fieldPath": "metadata.name"}}]}},
            {
                "downwardAPI": {
                    "defaultMode": 420,
                    "items": [{"path": "p", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.name"}}],
                }
            },
        ),
        (
            {"projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}},
            {
                "projected": {
                    "defaultMode": 420,
                    "sources": [{"serviceAccountToken": {"path": "token", "expirationSeconds": 3600}}],
                }
            },
        ),
        (
            {"iscsi": {"targetPortal": "p", "iqn": "iqn", "lun": 0}},
            {"iscsi": {"targetPortal": "p", "iqn": "iqn", "lun": 0, "iscsiInterface": "default"}},
        ),
        (
            {"azureDisk": {"diskName": "d", "diskURI": "u"}},
            {
                "azureDisk": {
                    "diskName": "d",
                    "diskURI": "u",
                    "cachingMode": "ReadWrite",
                    "fsType": "ext4",
                    "readOnly": False,
                    "kind": "Shared",
                }
            },
        ),
        (
            {"rbd": {"monitors": ["m"], "image": "i"}},
            {"rbd": {"monitors": ["m"], "image": "i", "pool": "rbd", "user": "admin", "keyring": "/etc/ceph/keyring"}},
        ),
        (
            {"scaleIO": {"gateway": "g", "system": "s"}},
            {"scaleIO": {"gateway": "g", "system": "s", "storageMode": "ThinProvisioned", "fsType": "xfs"}},
        ),
        ({"image": {"reference": "models"}}, {"image": {"reference": "models", "pullPolicy": "Always"}}),
        (
            {"ephemeral": {"volumeClaimTemplate": {"spec": {"accessModes": ["ReadWriteOnce"]}}}},
            {
                "ephemeral": {
                    "volumeClaimTemplate": {
                        "metadata": {},
                        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {}, "volumeMode": "Filesystem"},
                    }
                }
            },
        ),
    ],
)
def test_the_defaults_of_volumes(given: dict[str, Any], expected: dict[str, Any]) -> None:
    assert spec_of(pod({"volumes": [{"name": "v", **given}]}))["volumes"] == [{"name": "v", **expected}]


def test_field_and_resource_references_of_variables() -> None:
    env = [
        {"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        {"name": "B", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}},
    ]
    found = spec_of(container(env=env))["containers"][0]["env"]
    assert found[0]["valueFrom"]["fieldRef"] == {"apiVersion": "v1", "fieldPath": "metadata.name"}
    assert found[1]["valueFrom"]["resourceFieldRef"] == {"resource": "limits.cpu", "divisor": "0"}


def test_zero_values_count_as_absent() -> None:
    document = container(
        imagePullPolicy="",
        terminationMessagePath="",
        terminationMessagePolicy="",
        ports=[{"containerPort": 1, "protocol": ""}],
    )
    document["spec"] |= {"restartPolicy": "", "dnsPolicy": "", "schedulerName": ""}
    spec = spec_of(document)
    assert (spec["restartPolicy"], spec["dnsPolicy"], spec["schedulerName"]) == (
        "Always",
        "ClusterFirst",
        "default-scheduler",
    )
    found = spec["containers"][0]
    assert found["imagePullPolicy"] == "IfNotPresent"
    assert found["terminationMessagePath"] == "/dev/termination-log"
    assert found["terminationMessagePolicy"] == "File"
    assert found["ports"] == [{"containerPort": 1, "protocol": "TCP"}]


@pytest.mark.parametrize("given", [{"serviceAccountName": "robot"}, {"serviceAccount": "robot"}])
def test_the_service_account_has_two_names(given: dict[str, str]) -> None:
    spec = load(PODS, pod(given)).spec
    assert spec.serviceAccountName == spec.serviceAccount == "robot"


@pytest.mark.parametrize(
    ("status", "ip", "ips"),
    [
        ({"podIP": "10.0.0.1"}, "10.0.0.1", ["10.0.0.1"]),
        ({"podIPs": [{"ip": "10.0.0.1"}, {"ip": "fd00::1"}]}, "10.0.0.1", ["10.0.0.1", "fd00::1"]),
        ({"podIP": "10.0.0.2", "podIPs": [{"ip": "10.0.0.1"}]}, "10.0.0.2", ["10.0.0.2"]),
    ],
)
def test_pod_addresses_agree(status: dict[str, Any], ip: str, ips: list[str]) -> None:
    found = load(PODS, pod(status=status)).status
    assert found.podIP == ip
    assert [item.ip for item in found.podIPs] == ips


def test_create_starts_with_a_fresh_status() -> None:
    status = created(PODS, pod(status={"phase": "Running", "podIP": "10.0.0.1"})).status
    assert to_dict(status) == {"phase": "Pending", "qosClass": "BestEffort"}


def test_a_gated_pod_says_so() -> None:
    gated = pod({"schedulingGates": [{"name": "example.com/wait"}]}, metadata={"creationTimestamp": AN_HOUR_AGO})
    status = to_dict(created(PODS, gated).status)
    assert status["conditions"] == [
        {
            "type": "PodScheduled",
            "status": "False",
            "reason": "SchedulingGated",
            "message": "Scheduling is blocked due to non-empty scheduling gates",
            "lastTransitionTime": AN_HOUR_AGO,
            "lastProbeTime": None,
        }
    ]


def test_ephemeral_containers_are_not_created_with_the_pod() -> None:
    with pytest.raises(Invalid) as caught:
        created(PODS, pod({"ephemeralContainers": [{"name": "debug", "image": "d"}]}))
    assert str(caught.value.causes[0]) == "spec.ephemeralContainers: Forbidden: cannot be set on create"


def test_label_keys_become_requirements_of_the_pods_own_values() -> None:
    selector = {"matchLabels": {"app": "web"}}
    term = {"topologyKey": "zone", "labelSelector": selector, "mismatchLabelKeys": ["tenant"]}
    document = pod(
        {
            "topologySpreadConstraints": [
                {
                    "maxSkew": 1,
                    "topologyKey": "zone",
                    "whenUnsatisfiable": "DoNotSchedule",
                    "labelSelector": selector,
                    "matchLabelKeys": ["pod-template-hash", "absent"],
                },
            ],
            "affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}},
        },
        metadata={"labels": {"pod-template-hash": "abc", "tenant": "a"}},
    )
    spec = to_dict(created(PODS, document).spec)
    assert spec["topologySpreadConstraints"][0]["labelSelector"]["matchExpressions"] == [
        {"key": "pod-template-hash", "operator": "In", "values": ["abc"]}
    ]
    required = spec["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    assert required[0]["labelSelector"]["matchExpressions"] == [{"key": "tenant", "operator": "NotIn", "values": ["a"]}]


FULL = {"cpu": "1", "memory": "1Gi"}


@pytest.mark.parametrize(
    ("resources", "qos"),
    [
        ([{}], "BestEffort"),
        ([{"limits": {"cpu": "0"}}], "BestEffort"),
        ([{"limits": FULL}], "Guaranteed"),
        ([{"limits": FULL, "requests": {"cpu": "1000m", "memory": "1024Mi"}}], "Guaranteed"),
        ([{"limits": FULL, "requests": {"cpu": "500m"}}], "Burstable"),
        ([{"limits": {"cpu": "1"}}], "Burstable"),
        ([{"requests": FULL}], "Burstable"),
        ([{"limits": FULL}, {}], "Burstable"),
        ([{"limits": FULL}, {"limits": FULL}], "Guaranteed"),
        ([{"limits": {"ephemeral-storage": "1Gi"}}], "BestEffort"),
    ],
)
def test_quality_of_service(resources: list[dict[str, Any]], qos: str) -> None:
    items = [{"name": f"c{index}", "image": "x:1", "resources": item} for index, item in enumerate(resources)]
    assert created(PODS, pod({"containers": items})).status.qosClass == qos


def test_init_containers_count_for_quality_of_service() -> None:
    document = container(resources={"limits": FULL})
    document["spec"]["initContainers"] = [{"name": "init", "image": "x:1"}]
    assert created(PODS, document).status.qosClass == "Burstable"


def test_pod_level_resources_decide_quality_of_service() -> None:
    assert created(PODS, pod({"resources": {"limits": FULL}})).status.qosClass == "Guaranteed"


@pytest.mark.parametrize(
    ("spec", "phase", "asked", "granted"),
    [
        ({"nodeName": "n"}, "Running", None, 30),
        ({"nodeName": "n", "terminationGracePeriodSeconds": 5}, "Running", None, 5),
        ({"nodeName": "n"}, "Running", 7, 7),
        ({"nodeName": "n"}, "Running", 0, 0),
        ({"nodeName": "n"}, "Running", -3, 1),
        ({"nodeName": "n", "terminationGracePeriodSeconds": -3}, "Running", None, 1),
        ({}, "Pending", None, 0),
        ({}, "Pending", 9, 0),
        ({"nodeName": "n"}, "Succeeded", None, 0),
        ({"nodeName": "n"}, "Failed", 9, 0),
    ],
)
def test_the_default_grace_period(spec: dict[str, Any], phase: str, asked: int | None, granted: int) -> None:
    obj = load(PODS, pod(spec, status={"phase": phase}))
    assert PODS.strategy.grace_period_seconds(obj, DeleteOptions(gracePeriodSeconds=asked)) == granted


OLD_LABEL = {"nodeSelectorTerms": [{"matchExpressions": [{"key": "beta.kubernetes.io/os", "operator": "Exists"}]}]}


def annotated(name: str) -> dict[str, Any]:
    document = pod()
    document["metadata"]["annotations"] = {name: "x"}
    return document


def files(*paths: str) -> list[dict[str, str]]:
    return [{"path": path} for path in paths]


@pytest.mark.parametrize(
    ("document", "warning"),
    [
        (
            container(env=[{"name": "A"}, {"name": "A"}]),
            'spec.containers[0].env[1]: hides previous definition of "A", which may be dropped when using apply',
        ),
        (
            container(ports=[{"containerPort": 80}, {"containerPort": 80}]),
            "spec.containers[0].ports[1]: duplicate port definition with spec.containers[0].ports[0]",
        ),
        (
            pod({"terminationGracePeriodSeconds": -1}),
            "spec.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be treated as 1",
        ),
        (pod({"imagePullSecrets": [{}]}), 'spec.imagePullSecrets[0].name: invalid empty name ""'),
        (
            container(resources={"requests": {"memory": "100m", "cpu": "100m"}}),
            "spec.containers[0].resources.requests[memory]: "
            'fractional byte value "100m" is invalid, must be an integer',
        ),
        (
            pod({"volumes": [{"name": "v", "configMap": {"name": "c", "items": files("a", "a/b", "ab")}}]}),
            'volume "v" (ConfigMap "c"): overlapping paths: "a/b" with "a"',
        ),
        (
            pod({"volumes": [{"name": "v", "secret": {"secretName": "s", "items": files("a/b", "a")}}]}),
            'volume "v" (Secret "s"): overlapping paths: "a" with "a/b"',
        ),
        (
            pod({"volumes": [{"name": "v", "downwardAPI": {"items": files("x", "x")}}]}),
            'volume "v" (DownwardAPI): overlapping paths: "x" with "x"',
        ),
        (
            pod({"volumes": [{"name": "v", "rbd": {"monitors": ["m"], "image": "i"}}]}),
            "spec.volumes[0].rbd: deprecated in v1.28, non-functional in v1.31+",
        ),
        (
            annotated("scheduler.alpha.kubernetes.io/critical-pod"),
            "metadata.annotations[scheduler.alpha.kubernetes.io/critical-pod]: "
            'non-functional in v1.16+; use the "priorityClassName" field instead',
        ),
        (
            annotated("seccomp.security.alpha.kubernetes.io/pod"),
            "metadata.annotations[seccomp.security.alpha.kubernetes.io/pod]: "
            'non-functional in v1.27+; use the "seccompProfile" field instead',
        ),
        (
            annotated("container.apparmor.security.beta.kubernetes.io/app"),
            "metadata.annotations[container.apparmor.security.beta.kubernetes.io/app]: "
            'deprecated since v1.30; use the "appArmorProfile" field instead',
        ),
        (
            pod({"nodeSelector": {"node-role.kubernetes.io/master": "", "kubernetes.io/os": "linux"}}),
            "spec.nodeSelector[node-role.kubernetes.io/master]: "
            'deprecated since v1.20; use "node-role.kubernetes.io/control-plane" instead',
        ),
        (
            pod({"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": OLD_LABEL}}}),
            "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0]"
            ".matchExpressions[0].key: beta.kubernetes.io/os is deprecated since v1.14; "
            'use "kubernetes.io/os" instead',
        ),
    ],
)
def test_what_a_pod_is_warned_of(document: dict[str, Any], warning: str) -> None:
    assert PODS.strategy.create_warnings(load(PODS, document)) == [warning]


def test_an_annotation_beside_its_field_is_not_warned_of() -> None:
    document = annotated("seccomp.security.alpha.kubernetes.io/pod")
    document["spec"]["securityContext"] = {"seccompProfile": {"type": "RuntimeDefault"}}
    assert PODS.strategy.create_warnings(load(PODS, document)) == []


def test_an_ordinary_pod_warns_of_nothing() -> None:
    assert (
        PODS.strategy.create_warnings(load(PODS, container(env=[{"name": "A"}], ports=[{"containerPort": 80}]))) == []
    )


@pytest.mark.parametrize(
    ("document", "field", "value"),
    [
        (pod({"nodeName": "n"}), "spec.nodeName", "n"),
        (pod(), "spec.nodeName", ""),
        (pod(), "spec.restartPolicy", "Always"),
        (pod(), "spec.schedulerName", "default-scheduler"),
        (pod({"serviceAccountName": "robot"}), "spec.serviceAccountName", "robot"),
        (pod({"hostNetwork": True}), "spec.hostNetwork", "true"),
        (pod(), "spec.hostNetwork", "false"),
        (pod(status={"phase": "Running"}), "status.phase", "Running"),
        (pod(status={"podIP": "10.0.0.1"}), "status.podIP", "10.0.0.1"),
        (pod(status={"nominatedNodeName": "n"}), "status.nominatedNodeName", "n"),
    ],
)
def test_field_selectors(document: dict[str, Any], field: str, value: str) -> None:
    assert PODS.fields[field](load(PODS, document)) == value


def test_a_negative_grace_period_becomes_a_second() -> None:
    new = created(PODS, pod({"terminationGracePeriodSeconds": -3}))
    assert new.spec.terminationGracePeriodSeconds == 1
    changed = load(PODS, pod({"terminationGracePeriodSeconds": -3}))
    PODS.strategy.prepare_update(changed, new)
    assert changed.spec.terminationGracePeriodSeconds == 1
