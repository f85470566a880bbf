# ruff: noqa: E501  (tables of messages)
from typing import Any

import pytest

from kubeapi.apps.replicaset import RESOURCE as REPLICASETS
from kubeapi.core.pod.resource import RESOURCE as PODS
from tests.kits.kinds import container, load, pod, problems

C = "spec.containers[0]"
DNS_LABEL = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
SUBDOMAIN = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
QUALIFIED = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
PORT = "must be between 1 and 65535, inclusive"


def check(document: dict[str, Any], *expected: str) -> None:
    assert problems(PODS, document) == list(expected)


def test_an_ordinary_pod_is_valid() -> None:
    document = container(
        command=["run"],
        ports=[{"name": "http", "containerPort": 80}, {"containerPort": 53, "protocol": "UDP"}],
        env=[{"name": "A", "value": "1"}, {"name": "B", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}],
        envFrom=[{"configMapRef": {"name": "c"}}],
        resources={"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"memory": "64Mi"}},
        readinessProbe={"httpGet": {"port": "http"}},
        volumeMounts=[{"name": "data", "mountPath": "/data"}, {"name": "cfg", "mountPath": "/cfg", "subPath": "a/b"}],
        securityContext={"runAsUser": 1000, "allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    )
    document["spec"] |= {
        "initContainers": [
            {"name": "init", "image": "i"},
            {"name": "side", "image": "s", "restartPolicy": "Always", "livenessProbe": {"exec": {"command": ["x"]}}},
        ],
        "volumes": [{"name": "data", "emptyDir": {"sizeLimit": "1Gi"}}, {"name": "cfg", "configMap": {"name": "c"}}],
        "tolerations": [
            {"operator": "Exists"},
            {"key": "a", "value": "b", "effect": "NoExecute", "tolerationSeconds": 1},
        ],
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "hostAliases": [{"ip": "10.0.0.1", "hostnames": ["a.example"]}],
        "securityContext": {"fsGroup": 1, "sysctls": [{"name": "net.core.somaxconn", "value": "1"}]},
    }
    check(document)


CONTAINERS: list[tuple[dict[str, Any], list[str]]] = [
    (pod({"containers": []}), ["spec.containers: Required value"]),
    (pod({"containers": [{"image": "a"}]}), [f"{C}.name: Required value"]),
    (pod({"containers": [{"name": "a"}]}), [f"{C}.image: Required value"]),
    (container(image=" app "), [f'{C}.image: Invalid value: " app ": must not have leading or trailing whitespace']),
    (container(name="App"), [f'{C}.name: Invalid value: "App": {DNS_LABEL}']),
    (container(name="a" * 64), [f'{C}.name: Invalid value: "{"a" * 64}": must be no more than 63 characters']),
    (
        pod({"containers": [{"name": "a", "image": "a"}, {"name": "a", "image": "a"}]}),
        ['spec.containers[1].name: Duplicate value: "a"'],
    ),
    (
        pod({"initContainers": [{"name": "app", "image": "a"}]}),
        ['spec.initContainers[0].name: Duplicate value: "app"'],
    ),
    (
        container(imagePullPolicy="Sometimes"),
        [f'{C}.imagePullPolicy: Unsupported value: "Sometimes": supported values: "Always", "IfNotPresent", "Never"'],
    ),
    (
        container(terminationMessagePolicy="X"),
        [f'{C}.terminationMessagePolicy: Unsupported value: "X": supported values: "File", "FallbackToLogsOnError"'],
    ),
    (
        container(restartPolicy="Maybe"),
        [f'{C}.restartPolicy: Unsupported value: "Maybe": supported values: "Always", "Never", "OnFailure"'],
    ),
    (
        container(restartPolicyRules=[{"action": "Restart", "exitCodes": {"operator": "In", "values": [1]}}]),
        [f"{C}.restartPolicy: Required value: must specify restartPolicy when restart rules are used"],
    ),
    (
        container(restartPolicy="Never", restartPolicyRules=[{"action": "Stop"}]),
        [
            f'{C}.restartPolicyRules[0].action: Unsupported value: "Stop": supported values: "Restart"',
            f"{C}.restartPolicyRules[0].exitCodes: Required value: must be specified",
        ],
    ),
    (
        container(resizePolicy=[{"resourceName": "gpu", "restartPolicy": "x"}]),
        [
            f'{C}.resizePolicy: Unsupported value: "gpu": supported values: "cpu", "memory"',
            f'{C}.resizePolicy: Unsupported value: "x": supported values: "NotRequired", "RestartContainer"',
        ],
    ),
    (
        pod({"initContainers": [{"name": "i", "image": "i", "livenessProbe": {"exec": {"command": ["x"]}}}]}),
        [
            "spec.initContainers[0].livenessProbe: Forbidden: may not be set for init containers without restartPolicy=Always"
        ],
    ),
    (
        pod({"initContainers": [{"name": "i", "image": "i", "lifecycle": {}}]}),
        [
            "spec.initContainers[0].lifecycle: Forbidden: may not be set for init containers without restartPolicy=Always"
        ],
    ),
]


@pytest.mark.parametrize(("document", "expected"), CONTAINERS)
def test_each_fault_of_a_container_is_named(document: dict[str, Any], expected: list[str]) -> None:
    check(document, *expected)


PORTS: list[tuple[list[dict[str, Any]], list[str]]] = [
    ([{}], ["[0].containerPort: Required value"]),
    ([{"containerPort": 70000}], [f"[0].containerPort: Invalid value: 70000: {PORT}"]),
    ([{"containerPort": -1}], [f"[0].containerPort: Invalid value: -1: {PORT}"]),
    ([{"containerPort": 80, "hostPort": 70000}], [f"[0].hostPort: Invalid value: 70000: {PORT}"]),
    (
        [{"containerPort": 80, "protocol": "tcp"}],
        ['[0].protocol: Unsupported value: "tcp": supported values: "SCTP", "TCP", "UDP"'],
    ),
    (
        [{"containerPort": 80, "name": "HTTP"}],
        [
            '[0].name: Invalid value: "HTTP": must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)',
            '[0].name: Invalid value: "HTTP": must contain at least one letter (a-z)',
        ],
    ),
    (
        [{"containerPort": 80, "name": "a-very-long-name"}],
        ['[0].name: Invalid value: "a-very-long-name": must be no more than 15 characters'],
    ),
    ([{"containerPort": 80, "name": "80"}], ['[0].name: Invalid value: "80": must contain at least one letter (a-z)']),
    (
        [{"containerPort": 80, "name": "a--b"}],
        ['[0].name: Invalid value: "a--b": must not contain consecutive hyphens'],
    ),
    ([{"containerPort": 80, "name": "-a"}], ['[0].name: Invalid value: "-a": must not begin or end with a hyphen']),
    ([{"containerPort": 80, "name": "a"}, {"containerPort": 81, "name": "a"}], ['[1].name: Duplicate value: "a"']),
    (
        [{"containerPort": 80, "hostPort": 80}, {"containerPort": 81, "hostPort": 80}],
        ['[1].hostPort: Duplicate value: "TCP//80"'],
    ),
    ([{"containerPort": 80, "hostPort": 80}, {"containerPort": 80, "hostPort": 80, "protocol": "UDP"}], []),
]


@pytest.mark.parametrize(("ports", "expected"), PORTS)
def test_each_fault_of_a_container_port_is_named(ports: list[dict[str, Any]], expected: list[str]) -> None:
    check(container(ports=ports), *[f"{C}.ports{text}" for text in expected])


def test_host_ports_of_the_hosts_network_are_the_containers_own() -> None:
    document = container(ports=[{"containerPort": 80, "hostPort": 81}])
    document["spec"]["hostNetwork"] = True
    check(document, f"{C}.ports[0].hostPort: Invalid value: 81: must match `containerPort` when `hostNetwork` is true")


def test_two_containers_cannot_have_one_host_port() -> None:
    port = {"containerPort": 80, "hostPort": 80}
    items = [{"name": name, "image": "x", "ports": [port]} for name in ("a", "b")]
    check(pod({"containers": items}), 'spec.containers[1].ports[0].hostPort: Duplicate value: "TCP//80"')


FIELD = "spec.containers[0].env[0].valueFrom"
ENV: list[tuple[dict[str, Any], list[str]]] = [
    ({}, [f"{C}.env[0].name: Required value"]),
    (
        {"name": "a=b"},
        [
            f"{C}.env[0].name: Invalid value: \"a=b\": a valid environment variable name must consist only of printable ASCII characters other than '='"
        ],
    ),
    ({"name": "my.var-1 x"}, []),
    (
        {"name": "A", "valueFrom": {}},
        [
            f'{FIELD}: Invalid value: "": must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`'
        ],
    ),
    (
        {"name": "A", "value": "x", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "k"}}},
        [f'{FIELD}: Invalid value: "": may not be specified when `value` is not empty'],
    ),
    (
        {
            "name": "A",
            "valueFrom": {"configMapKeyRef": {"name": "c", "key": "k"}, "secretKeyRef": {"name": "c", "key": "k"}},
        },
        [f'{FIELD}: Invalid value: "": may not have more than one field specified at a time'],
    ),
    (
        {"name": "A", "valueFrom": {"configMapKeyRef": {}}},
        [
            f'{FIELD}.configMapKeyRef.name: Invalid value: "": {SUBDOMAIN}',
            f"{FIELD}.configMapKeyRef.key: Required value",
        ],
    ),
    (
        {"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "a/b"}}},
        [
            f"{FIELD}.secretKeyRef.key: Invalid value: \"a/b\": a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
        ],
    ),
    ({"name": "A", "valueFrom": {"fieldRef": {}}}, [f"{FIELD}.fieldRef.fieldPath: Required value"]),
    (
        {"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "status.qosClass"}}},
        [
            f'{FIELD}.fieldRef.fieldPath: Invalid value: "status.qosClass": error converting fieldPath: field label not supported: status.qosClass'
        ],
    ),
    (
        {"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels"}}},
        [
            f'{FIELD}.fieldRef.fieldPath: Unsupported value: "metadata.labels": supported values: "metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName", "status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs"'
        ],
    ),
    ({"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['app']"}}}, []),
    (
        {"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name['app']"}}},
        [
            f"{FIELD}.fieldRef.fieldPath: Invalid value: \"metadata.name['app']\": error converting fieldPath: field label does not support subscript: metadata.name['app']"
        ],
    ),
    ({"name": "A", "valueFrom": {"resourceFieldRef": {}}}, [f"{FIELD}.resourceFieldRef.resource: Required value"]),
    (
        {"name": "A", "valueFrom": {"resourceFieldRef": {"resource": "cpu"}}},
        [
            f'{FIELD}.resourceFieldRef.resource: Unsupported value: "cpu": supported values: "limits.cpu", "limits.ephemeral-storage", "limits.memory", "requests.cpu", "requests.ephemeral-storage", "requests.memory"'
        ],
    ),
    (
        {"name": "A", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu", "divisor": "10m"}}},
        [
            f'{FIELD}.resourceFieldRef.divisor: Invalid value: "limits.cpu": only divisor\'s values 1m and 1 are supported with the cpu resource'
        ],
    ),
    ({"name": "A", "valueFrom": {"resourceFieldRef": {"resource": "limits.memory", "divisor": "1Mi"}}}, []),
    (
        {"name": "A", "valueFrom": {"resourceFieldRef": {"resource": "limits.memory", "divisor": "2"}}},
        [
            f'{FIELD}.resourceFieldRef.divisor: Invalid value: "limits.memory": only divisor\'s values 1, 1k, 1M, 1G, 1T, 1P, 1E, 1Ki, 1Mi, 1Gi, 1Ti, 1Pi, 1Ei are supported with the memory resource'
        ],
    ),
    (
        {"name": "A", "valueFrom": {"fileKeyRef": {}}},
        [
            f"{FIELD}.fileKeyRef.volumeName: Required value",
            f"{FIELD}.fileKeyRef.path: Required value",
            f"{FIELD}.fileKeyRef.key: Required value",
        ],
    ),
]


@pytest.mark.parametrize(("variable", "expected"), ENV)
def test_each_fault_of_a_variable_is_named(variable: dict[str, Any], expected: list[str]) -> None:
    check(container(env=[variable]), *expected)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ({}, ['envFrom: Invalid value: "": must specify one of: `configMapRef` or `secretRef`']),
        (
            {"configMapRef": {"name": "a"}, "secretRef": {"name": "a"}},
            ['envFrom: Invalid value: "": may not have more than one field specified at a time'],
        ),
        ({"configMapRef": {}}, ["envFrom[0].configMapRef.name: Required value"]),
        ({"secretRef": {}}, ["envFrom[0].secretRef.name: Required value"]),
        (
            {"prefix": "a=", "secretRef": {"name": "a"}},
            [
                "envFrom[0].prefix: Invalid value: \"a=\": a valid environment variable name must consist only of printable ASCII characters other than '='"
            ],
        ),
    ],
)
def test_sources_of_variables(source: dict[str, Any], expected: list[str]) -> None:
    check(container(envFrom=[source]), *[f"{C}.{text}" for text in expected])


R = f"{C}.resources"
RESOURCES: list[tuple[dict[str, Any], list[str]]] = [
    (
        {"limits": {"cpu": "-1"}},
        [
            f'{R}.limits[cpu]: Invalid value: "-1": must be greater than or equal to 0',
            f'{R}.requests[cpu]: Invalid value: "-1": must be greater than or equal to 0',
        ],
    ),
    (
        {"requests": {"memory": "-1Gi"}},
        [f'{R}.requests[memory]: Invalid value: "-1Gi": must be greater than or equal to 0'],
    ),
    (
        {"requests": {"cpu": "2"}, "limits": {"cpu": "1500m"}},
        [f'{R}.requests: Invalid value: "2": must be less than or equal to cpu limit of 1500m'],
    ),
    (
        {"requests": {"memory": "2Gi"}, "limits": {"memory": "1Gi"}},
        [f'{R}.requests: Invalid value: "2Gi": must be less than or equal to memory limit of 1Gi'],
    ),
    ({"requests": {"cpu": "1000m"}, "limits": {"cpu": "1"}}, []),
    (
        {"requests": {"disk": "1"}},
        [
            f'{R}.requests[disk]: Invalid value: "disk": must be a standard resource type or fully qualified',
            f'{R}.requests[disk]: Invalid value: "disk": must be a standard resource for containers',
        ],
    ),
    (
        {"requests": {"pods": "1"}},
        [f'{R}.requests[pods]: Invalid value: "pods": must be a standard resource for containers'],
    ),
    ({"requests": {"kubernetes.io/x": "1"}}, []),
    (
        {"limits": {"requests.example.com/x": "1"}},
        [
            f'{R}.limits[requests.example.com/x]: Invalid value: "requests.example.com/x": doesn\'t follow extended resource name standard',
            f'{R}.requests[requests.example.com/x]: Invalid value: "requests.example.com/x": doesn\'t follow extended resource name standard',
        ],
    ),
    (
        {"limits": {"hugepages-2Mi": "3Mi", "cpu": "1"}},
        [
            f'{R}.limits[hugepages-2Mi]: Invalid value: "3Mi": 3Mi is not positive integer multiple of hugepages-2Mi',
            f'{R}.requests[hugepages-2Mi]: Invalid value: "3Mi": 3Mi is not positive integer multiple of hugepages-2Mi',
        ],
    ),
    ({"limits": {"example.com/gpu": "1"}}, []),
    (
        {"limits": {"example.com/gpu": "1500m"}},
        [
            f'{R}.limits[example.com/gpu]: Invalid value: "1500m": must be an integer',
            f'{R}.requests[example.com/gpu]: Invalid value: "1500m": must be an integer',
        ],
    ),
    (
        {"requests": {"example.com/gpu": "1"}},
        [f"{R}.limits: Required value: Limit must be set for non overcommitable resources"],
    ),
    (
        {"requests": {"example.com/gpu": "1"}, "limits": {"example.com/gpu": "2"}},
        [f'{R}.requests: Invalid value: "1": must be equal to example.com/gpu limit of 2'],
    ),
    ({"limits": {"hugepages-2Mi": "4Mi"}}, [f"{R}: Forbidden: HugePages require cpu or memory"]),
    ({"limits": {"hugepages-2Mi": "4Mi", "memory": "1Gi"}}, []),
    (
        {"claims": [{"name": "gpu"}]},
        [f'{R}.claims[0]: Not found: "gpu": must be one of the names in pod.spec.resourceClaims which is empty'],
    ),
    ({"claims": [{}]}, [f"{R}.claims[0]: Required value"]),
]


@pytest.mark.parametrize(("resources", "expected"), RESOURCES)
def test_each_fault_of_resources_is_named(resources: dict[str, Any], expected: list[str]) -> None:
    check(container(resources=resources), *expected)


L = f"{C}.livenessProbe"
EXEC = {"exec": {"command": ["x"]}}
PROBES: list[tuple[dict[str, Any], list[str]]] = [
    ({"livenessProbe": {}}, [f"{L}: Required value: must specify a handler type"]),
    (
        {"livenessProbe": {**EXEC, "tcpSocket": {"port": 1}}},
        [f"{L}.tcpSocket: Forbidden: may not specify more than 1 handler type"],
    ),
    ({"livenessProbe": {"exec": {}}}, [f"{L}.exec.command: Required value"]),
    ({"livenessProbe": {"httpGet": {}}}, [f"{L}.httpGet.port: Invalid value: 0: {PORT}"]),
    (
        {"livenessProbe": {"httpGet": {"port": "no_name"}}},
        [
            f'{L}.httpGet.port: Invalid value: "no_name": must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)'
        ],
    ),
    (
        {"livenessProbe": {"httpGet": {"port": 1, "scheme": "http"}}},
        [f'{L}.httpGet.scheme: Unsupported value: "http": supported values: "HTTP", "HTTPS"'],
    ),
    (
        {"livenessProbe": {"httpGet": {"port": 1, "httpHeaders": [{"name": "a b"}]}}},
        [
            f"{L}.httpGet.httpHeaders: Invalid value: \"a b\": a valid HTTP header must consist of alphanumeric characters or '-' (e.g. 'X-Header-Name', regex used for validation is '[-A-Za-z0-9]+')"
        ],
    ),
    ({"livenessProbe": {"tcpSocket": {"port": 0}}}, [f"{L}.tcpSocket.port: Invalid value: 0: {PORT}"]),
    ({"livenessProbe": {"grpc": {"port": 70000}}}, [f"{L}.grpc.port: Invalid value: 70000: {PORT}"]),
    (
        {"livenessProbe": {**EXEC, "timeoutSeconds": -1}},
        [f"{L}.timeoutSeconds: Invalid value: -1: must be greater than or equal to 0"],
    ),
    (
        {"livenessProbe": {**EXEC, "initialDelaySeconds": -1}},
        [f"{L}.initialDelaySeconds: Invalid value: -1: must be greater than or equal to 0"],
    ),
    (
        {"livenessProbe": {**EXEC, "periodSeconds": -1}},
        [f"{L}.periodSeconds: Invalid value: -1: must be greater than or equal to 0"],
    ),
    (
        {"livenessProbe": {**EXEC, "failureThreshold": -1}},
        [f"{L}.failureThreshold: Invalid value: -1: must be greater than or equal to 0"],
    ),
    ({"livenessProbe": {**EXEC, "successThreshold": 2}}, [f"{L}.successThreshold: Invalid value: 2: must be 1"]),
    (
        {"startupProbe": {**EXEC, "successThreshold": 2}},
        [f"{C}.startupProbe.successThreshold: Invalid value: 2: must be 1"],
    ),
    ({"readinessProbe": {**EXEC, "successThreshold": 2}}, []),
    (
        {"livenessProbe": {**EXEC, "terminationGracePeriodSeconds": 0}},
        [f"{L}.terminationGracePeriodSeconds: Invalid value: 0: must be greater than 0"],
    ),
    (
        {"readinessProbe": {**EXEC, "terminationGracePeriodSeconds": 1}},
        [f"{C}.readinessProbe.terminationGracePeriodSeconds: Invalid value: 1: must not be set for readinessProbes"],
    ),
    ({"lifecycle": {"postStart": {}}}, [f"{C}.lifecycle.postStart: Required value: must specify a handler type"]),
    (
        {"lifecycle": {"preStop": {"sleep": {"seconds": 31}}}},
        [
            f"{C}.lifecycle.preStop.sleep: Invalid value: 31: must be non-negative and less than terminationGracePeriodSeconds (30)"
        ],
    ),
    ({"lifecycle": {"preStop": {"sleep": {"seconds": 30}}}}, []),
]


@pytest.mark.parametrize(("fields", "expected"), PROBES)
def test_probes_and_hooks(fields: dict[str, Any], expected: list[str]) -> None:
    check(container(**fields), *expected)


def ephemeral(**fields: Any) -> list[str]:
    """The errors of a stored pod that has got a debug container."""
    document = pod({"ephemeralContainers": [{"name": "debug", "image": "d:1", **fields}], "volumes": [{"name": "v"}]})
    return [str(error) for error in PODS.strategy.validate(load(PODS, document))]


DEBUG = "spec.ephemeralContainers[0]"


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, []),
        ({"targetContainerName": "app"}, []),
        ({"targetContainerName": "x"}, [f'{DEBUG}.targetContainerName: Not found: "x"']),
        ({"name": "app"}, [f'{DEBUG}.name: Duplicate value: "app"']),
        (
            {"ports": [{"containerPort": 1}], "livenessProbe": EXEC},
            [
                f"{DEBUG}.ports: Forbidden: cannot be set for an Ephemeral Container",
                f"{DEBUG}.livenessProbe: Forbidden: cannot be set for an Ephemeral Container",
            ],
        ),
        (
            {"resources": {"limits": {"cpu": "1"}}},
            [f"{DEBUG}.resources: Forbidden: cannot be set for an Ephemeral Container"],
        ),
        (
            {"volumeMounts": [{"name": "v", "mountPath": "/v", "subPath": "x"}]},
            [f"{DEBUG}.volumeMounts[0].subPath: Forbidden: cannot be set for an Ephemeral Container"],
        ),
    ],
)
def test_ephemeral_containers(fields: dict[str, Any], expected: list[str]) -> None:
    assert ephemeral(**fields) == expected


def test_init_containers_may_share_a_host_port_as_they_run_one_by_one() -> None:
    port = {"containerPort": 80, "hostPort": 80}
    check(pod({"initContainers": [{"name": name, "image": "x", "ports": [port]} for name in ("a", "b")]}))
    document = pod({"initContainers": [{"name": "a", "image": "x", "ports": [port, {**port, "containerPort": 81}]}]})
    check(document, 'spec.initContainers[0].ports[1].hostPort: Duplicate value: "TCP//80"')


POD_RESOURCES: list[tuple[dict[str, Any], dict[str, Any], list[str]]] = [
    # (of the pod, of its container, errors)
    ({"limits": {"cpu": "2"}}, {"limits": {"cpu": "1"}}, []),
    (
        {"claims": [{"name": "a"}]},
        {},
        ["spec.resources.claims: Forbidden: claims cannot be set for Resources at pod-level"],
    ),
    (
        {"limits": {"ephemeral-storage": "1Gi"}, "requests": {"ephemeral-storage": "1Gi"}},
        {},
        [
            'spec.resources.limits[ephemeral-storage]: Unsupported value: "ephemeral-storage": supported values: "cpu", "hugepages-", "memory"',
            'spec.resources.requests[ephemeral-storage]: Unsupported value: "ephemeral-storage": supported values: "cpu", "hugepages-", "memory"',
        ],
    ),
    (
        {"requests": {"cpu": "1"}},
        {"requests": {"cpu": "1500m"}},
        [
            'spec.resources.requests[cpu]: Invalid value: "1": must be greater than or equal to aggregate container requests of 1500m'
        ],
    ),
    (
        {"limits": {"cpu": "1"}},
        {"limits": {"cpu": "2"}, "requests": {"cpu": "1"}},
        [f'{R}.limits[cpu]: Invalid value: "2": must be less than or equal to pod limits of 1'],
    ),
    (
        {"limits": {"cpu": "1"}, "requests": {"cpu": "2"}},
        {},
        ['spec.resources.requests: Invalid value: "2": must be less than or equal to cpu limit of 1'],
    ),
]


@pytest.mark.parametrize(("whole", "part", "expected"), POD_RESOURCES)
def test_resources_of_the_whole_pod(whole: dict[str, Any], part: dict[str, Any], expected: list[str]) -> None:
    document = container(resources=part)
    document["spec"]["resources"] = whole
    check(document, *expected)


def test_templates_may_have_any_image_name() -> None:
    """As upstream: some tools fill a placeholder in later."""
    labels = {"app": "web"}
    template = {"metadata": {"labels": labels}, "spec": container(image=" ")["spec"]}
    assert problems(REPLICASETS, {"spec": {"selector": {"matchLabels": labels}, "template": template}}) == []
