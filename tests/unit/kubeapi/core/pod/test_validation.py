# ruff: noqa: E501  (tables of messages)
from typing import Any

import pytest

from kubeapi.core.pod.resource import RESOURCE as PODS
from tests.kits.kinds import container, merged, pod, problems

C = "spec.containers[0]"
DNS_LABEL = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
QUALIFIED = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
LABEL_VALUE = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
PORT = "must be between 1 and 65535, inclusive"


def check(document: dict[str, Any], *expected: str) -> None:
    assert problems(PODS, document) == list(expected)


V = "spec.volumes[0]"
MODE = "must be a number between 0 and 0777 (octal), both inclusive"
VOLUMES: list[tuple[dict[str, Any], list[str]]] = [
    ({"name": ""}, [f"{V}.name: Required value"]),
    ({"name": "A"}, [f'{V}.name: Invalid value: "A": {DNS_LABEL}']),
    (
        {"emptyDir": {}, "hostPath": {"path": "/a"}},
        [f"{V}.hostPath: Forbidden: may not specify more than 1 volume type"],
    ),
    (
        {"emptyDir": {"sizeLimit": "-1"}},
        [f"{V}.emptyDir.sizeLimit: Forbidden: SizeLimit field must be a valid resource quantity"],
    ),
    ({"hostPath": {}}, [f"{V}.hostPath.path: Required value"]),
    ({"hostPath": {"path": "/a/../b"}}, [f"{V}.hostPath.path: Invalid value: \"/a/../b\": must not contain '..'"]),
    (
        {"hostPath": {"path": "/a", "type": "Folder"}},
        [
            f'{V}.hostPath.type: Unsupported value: "Folder": supported values: "", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket"'
        ],
    ),
    ({"configMap": {}}, [f"{V}.configMap.name: Required value"]),
    ({"configMap": {"name": "c", "defaultMode": 0o1000}}, [f"{V}.configMap.defaultMode: Invalid value: 512: {MODE}"]),
    (
        {"configMap": {"name": "c", "items": [{}]}},
        [f"{V}.configMap.items[0].key: Required value", f"{V}.configMap.items[0].path: Required value"],
    ),
    (
        {"configMap": {"name": "c", "items": [{"key": "a", "path": "/a"}]}},
        [f'{V}.configMap.items[0].path: Invalid value: "/a": must be a relative path'],
    ),
    (
        {"configMap": {"name": "c", "items": [{"key": "a", "path": "../a"}]}},
        [f"{V}.configMap.items[0].path: Invalid value: \"../a\": must not contain '..'"],
    ),
    (
        {"configMap": {"name": "c", "items": [{"key": "a", "path": "..a"}]}},
        [f"{V}.configMap.items[0].path: Invalid value: \"..a\": must not start with '..'"],
    ),
    (
        {"configMap": {"name": "c", "items": [{"key": "a", "path": "a", "mode": -1}]}},
        [f"{V}.configMap.items[0].mode: Invalid value: -1: {MODE}"],
    ),
    ({"secret": {}}, [f"{V}.secret.secretName: Required value"]),
    ({"persistentVolumeClaim": {}}, [f"{V}.persistentVolumeClaim.claimName: Required value"]),
    ({"nfs": {"server": "s", "path": "a"}}, [f'{V}.nfs.path: Invalid value: "a": must be an absolute path']),
    (
        {"nfs": {}},
        [
            f"{V}.nfs.server: Required value",
            f"{V}.nfs.path: Required value",
            f'{V}.nfs.path: Invalid value: "": must be an absolute path',
        ],
    ),
    ({"csi": {}}, [f"{V}.csi.driver: Required value"]),
    (
        {"csi": {"driver": "d.example", "nodePublishSecretRef": {}}},
        [f"{V}.csi.nodePublishSecretRef.name: Required value"],
    ),
    (
        {"iscsi": {"targetPortal": "p", "iqn": "x", "lun": 300}},
        [
            f"{V}.iscsi.lun: Invalid value: 300: must be between 0 and 255, inclusive",
            f'{V}.iscsi.iqn: Invalid value: "x": must be valid format starting with iqn, eui, or naa',
        ],
    ),
    (
        {"downwardAPI": {"items": [{"path": "a"}]}},
        [f"{V}.downwardAPI.items[0]: Required value: one of fieldRef and resourceFieldRef is required"],
    ),
    (
        {
            "downwardAPI": {
                "items": [
                    {
                        "path": "a",
                        "fieldRef": {"fieldPath": "metadata.labels"},
                        "resourceFieldRef": {"resource": "limits.cpu"},
                    }
                ]
            }
        },
        [
            f'{V}.downwardAPI.items[0]: Invalid value: "resource": fieldRef and resourceFieldRef can not be specified simultaneously'
        ],
    ),
    (
        {"downwardAPI": {"items": [{"path": "a", "resourceFieldRef": {"resource": "limits.cpu"}}]}},
        [f"{V}.downwardAPI.items[0].resourceFieldRef.containerName: Required value"],
    ),
    (
        {"downwardAPI": {"items": [{"path": "a", "fieldRef": {"fieldPath": "status.podIP"}}]}},
        [
            f'{V}.downwardAPI.items[0].fieldRef.fieldPath: Unsupported value: "status.podIP": supported values: "metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid"'
        ],
    ),
    (
        {"projected": {"sources": [{"serviceAccountToken": {"path": "t", "expirationSeconds": 60}}]}},
        [
            f"{V}.projected.sources[0].serviceAccountToken.expirationSeconds: Invalid value: 60: may not specify a duration less than 10 minutes"
        ],
    ),
    (
        {"projected": {"sources": [{"serviceAccountToken": {}}]}},
        [f"{V}.projected.sources[0].serviceAccountToken.path: Required value"],
    ),
    ({"projected": {"sources": [{"secret": {}}]}}, [f"{V}.projected.sources[0].secret.name: Required value"]),
    (
        {"projected": {"sources": [{}]}},
        [],
    ),
    (
        {"projected": {"sources": [{"secret": {"name": "a"}, "configMap": {"name": "a"}}]}},
        [f"{V}.projected.sources[0]: Forbidden: may not specify more than 1 volume type per source"],
    ),
    (
        {
            "projected": {
                "sources": [
                    {"secret": {"name": "a", "items": [{"key": "k", "path": "p"}]}},
                    {"configMap": {"name": "a", "items": [{"key": "k", "path": "p"}]}},
                ]
            }
        },
        [f'{V}.projected: Invalid value: "a": conflicting duplicate paths'],
    ),
    ({"ephemeral": {}}, [f"{V}.ephemeral.volumeClaimTemplate: Required value"]),
    (
        {"ephemeral": {"volumeClaimTemplate": {}}},
        [
            f"{V}.ephemeral.volumeClaimTemplate.spec.accessModes: Required value: at least 1 access mode is required",
            f"{V}.ephemeral.volumeClaimTemplate.spec.resources[storage]: Required value",
        ],
    ),
    ({"image": {}}, [f"{V}.image.reference: Required value"]),
    ({"flocker": {}}, [f"{V}.flocker: Required value: one of datasetName and datasetUUID is required"]),
    ({"fc": {}}, [f"{V}.fc.targetWWNs: Required value: must specify either targetWWNs or wwids, but not both"]),
    ({"gitRepo": {}}, [f"{V}.gitRepo.repository: Required value"]),
    ({"glusterfs": {}}, [f"{V}.glusterfs.endpoints: Required value", f"{V}.glusterfs.path: Required value"]),
    ({"cephfs": {}}, [f"{V}.cephfs.monitors: Required value"]),
]


@pytest.mark.parametrize(("volume", "expected"), VOLUMES)
def test_each_fault_of_a_volume_is_named(volume: dict[str, Any], expected: list[str]) -> None:
    check(pod({"volumes": [{"name": "v", **volume}], "serviceAccountName": "default"}), *expected)


def test_a_token_needs_a_service_account() -> None:
    volume = {"name": "v", "projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}}
    at = f"{V}.projected.sources[0].serviceAccountToken"
    check(pod({"volumes": [volume]}), f"{at}: Forbidden: must not be specified when serviceAccountName is not set")


def test_the_mirror_of_a_static_pod_names_its_node() -> None:
    mirror = pod(metadata={"annotations": {"kubernetes.io/config.mirror": "x"}})
    at = "metadata.annotations[kubernetes.io/config.mirror]"
    assert problems(PODS, mirror) == [
        f'{at}: Invalid value: "x": must set spec.nodeName if mirror pod annotation is set'
    ]
    assert problems(PODS, merged(mirror, {"spec": {"nodeName": "n"}})) == []


def test_volume_names_are_unique() -> None:
    check(pod({"volumes": [{"name": "v"}, {"name": "v"}]}), 'spec.volumes[1].name: Duplicate value: "v"')


M = f"{C}.volumeMounts[0]"
LIST = f"{C}.volumeMounts"  # upstream leaves out the index
MOUNTS: list[tuple[dict[str, Any], list[str]]] = [
    ({"mountPath": "/a"}, [f"{M}.name: Required value"]),
    ({"name": "other", "mountPath": "/a"}, [f'{M}.name: Not found: "other"']),
    ({"name": "v"}, [f"{M}.mountPath: Required value"]),
    (
        {"name": "v", "mountPath": "/a", "subPath": "/x"},
        [f'{LIST}.subPath: Invalid value: "/x": must be a relative path'],
    ),
    (
        {"name": "v", "mountPath": "/a", "subPath": "a/../b"},
        [f"{LIST}.subPath: Invalid value: \"a/../b\": must not contain '..'"],
    ),
    (
        {"name": "v", "mountPath": "/a", "subPath": "x", "subPathExpr": "y"},
        [f'{M}.subPathExpr: Invalid value: "y": subPathExpr and subPath are mutually exclusive'],
    ),
    (
        {"name": "v", "mountPath": "/a", "mountPropagation": "Both"},
        [
            f'{LIST}.mountPropagation: Unsupported value: "Both": supported values: "Bidirectional", "HostToContainer", "None"'
        ],
    ),
    (
        {"name": "v", "mountPath": "/a", "mountPropagation": "Bidirectional"},
        [
            f"{LIST}.mountPropagation: Forbidden: Bidirectional mount propagation is available only to privileged containers"
        ],
    ),
    (
        {"name": "v", "mountPath": "/a", "recursiveReadOnly": "Enabled"},
        [f"{LIST}.recursiveReadOnly: Forbidden: may only be specified when readOnly is true"],
    ),
]


@pytest.mark.parametrize(("mount", "expected"), MOUNTS)
def test_each_fault_of_a_volume_mount_is_named(mount: dict[str, Any], expected: list[str]) -> None:
    document = container(volumeMounts=[mount])
    document["spec"]["volumes"] = [{"name": "v"}]
    check(document, *expected)


def test_mount_paths_are_unique_among_mounts_and_devices() -> None:
    document = container(
        volumeMounts=[
            {"name": "v", "mountPath": "/a"},
            {"name": "v", "mountPath": "/a"},
            {"name": "v", "mountPath": "/dev/x"},
        ],
        volumeDevices=[{"name": "d", "devicePath": "/dev/x"}],
    )
    document["spec"]["volumes"] = [{"name": "v"}, {"name": "d", "persistentVolumeClaim": {"claimName": "c"}}]
    check(
        document,
        f'{C}.volumeMounts[1].mountPath: Invalid value: "/a": must be unique',
        f'{C}.volumeMounts[2].mountPath: Invalid value: "/dev/x": must not already exist as a path in volumeDevices',
    )


def test_devices_are_claims() -> None:
    document = container(volumeDevices=[{"name": "v", "devicePath": "/dev/x"}])
    document["spec"]["volumes"] = [{"name": "v"}]
    text = "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode"
    check(document, f'{C}.volumeDevices[0].name: Invalid value: "v": {text}')


SC = f"{C}.securityContext"
SECURITY: list[tuple[dict[str, Any], list[str]]] = [
    ({"runAsUser": -1}, [f"{SC}.runAsUser: Invalid value: -1: must be between 0 and 2147483647, inclusive"]),
    (
        {"runAsGroup": 2**31},
        [f"{SC}.runAsGroup: Invalid value: 2147483648: must be between 0 and 2147483647, inclusive"],
    ),
    (
        {"procMount": "Unmasked"},
        [f'{SC}.procMount: Invalid value: "Unmasked": `hostUsers` must be false to use `Unmasked`'],
    ),
    (
        {"appArmorProfile": {"type": "Localhost", "localhostProfile": " a"}},
        [f'{SC}.appArmorProfile.localhostProfile: Invalid value: " a": must not be padded with whitespace'],
    ),
    (
        {"seccompProfile": {"type": "Localhost", "localhostProfile": "/a"}},
        [f'{SC}.seccompProfile.localhostProfile: Invalid value: "/a": must be a relative path'],
    ),
    ({"procMount": "x"}, [f'{SC}.procMount: Unsupported value: "x": supported values: "Default", "Unmasked"']),
    (
        {"privileged": True, "allowPrivilegeEscalation": False},
        [
            f'{SC}: Invalid value: {{"privileged":true,"allowPrivilegeEscalation":false}}: cannot set `allowPrivilegeEscalation` to false and `privileged` to true'
        ],
    ),
    (
        {"seccompProfile": {"type": "Local"}},
        [
            f'{SC}.seccompProfile.type: Unsupported value: "Local": supported values: "Localhost", "RuntimeDefault", "Unconfined"'
        ],
    ),
    (
        {"seccompProfile": {"type": "Localhost"}},
        [f"{SC}.seccompProfile.localhostProfile: Required value: must be set when seccomp type is Localhost"],
    ),
    (
        {"seccompProfile": {"type": "Unconfined", "localhostProfile": "x"}},
        [f'{SC}.seccompProfile.localhostProfile: Invalid value: "x": can only be set when seccomp type is Localhost'],
    ),
    (
        {"appArmorProfile": {}},
        [f"{SC}.appArmorProfile.type: Required value: type is required when appArmorProfile is set"],
    ),
]


@pytest.mark.parametrize(("context", "expected"), SECURITY)
def test_security_of_a_container(context: dict[str, Any], expected: list[str]) -> None:
    check(container(securityContext=context), *expected)


P = "spec.securityContext"
SUBDOMAIN = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')".replace(
    "\\\\", "\\"
)
SPECS: list[tuple[dict[str, Any], list[str]]] = [
    ({"restartPolicy": "always"}, ['spec.restartPolicy: Unsupported value: "always": supported values: "Always", "OnFailure", "Never"']),
    ({"dnsPolicy": "x"}, ['spec.dnsPolicy: Unsupported value: "x": supported values: "ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"']),
    ({"dnsPolicy": "None"}, ["spec.dnsConfig: Required value: must provide `dnsConfig` when `dnsPolicy` is None"]),
    ({"dnsPolicy": "None", "dnsConfig": {}}, ["spec.dnsConfig.nameservers: Required value: must provide at least one DNS nameserver when `dnsPolicy` is None"]),
    ({"dnsConfig": {"nameservers": ["x"]}}, ['spec.dnsConfig.nameservers[0]: Invalid value: "x": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)']),
    ({"dnsConfig": {"nameservers": ["1.1.1.1"] * 4}}, ['spec.dnsConfig.nameservers: Invalid value: ["1.1.1.1","1.1.1.1","1.1.1.1","1.1.1.1"]: must not have more than 3 nameservers']),
    ({"dnsConfig": {"searches": ["A"]}}, [f'spec.dnsConfig.searches[0]: Invalid value: "A": {SUBDOMAIN}']),
    ({"dnsConfig": {"searches": ["a.example.", ".", "_tcp.x"]}}, []),
    ({"dnsConfig": {"options": [{}]}}, ["spec.dnsConfig.options[0]: Required value: must not be empty"]),
    ({"activeDeadlineSeconds": 0}, ["spec.activeDeadlineSeconds: Invalid value: 0: must be between 1 and 2147483647, inclusive"]),
    ({"nodeSelector": {"a b": "x"}}, [f'spec.nodeSelector: Invalid value: "a b": {QUALIFIED}']),
    ({"nodeName": "N"}, [f'spec.nodeName: Invalid value: "N": {SUBDOMAIN}']),
    ({"serviceAccountName": "A_b"}, [f'spec.serviceAccountName: Invalid value: "A_b": {SUBDOMAIN}']),
    ({"priorityClassName": "A"}, [f'spec.priorityClassName: Invalid value: "A": {SUBDOMAIN}']),
    ({"hostname": "a.b"}, ['spec.hostname: Invalid value: "a.b": must not contain dots']),
    ({"subdomain": "a_b"}, [f'spec.subdomain: Invalid value: "a_b": {DNS_LABEL}']),
    ({"os": {"name": "plan9"}}, ['spec.os: Unsupported value: "plan9": supported values: "linux", "windows"']),
    ({"preemptionPolicy": "x"}, ['spec.preemptionPolicy: Unsupported value: "x": supported values: "PreemptLowerPriority", "Never"']),
    ({"hostPID": True, "shareProcessNamespace": True}, ["spec.securityContext.shareProcessNamespace: Invalid value: true: ShareProcessNamespace and HostPID cannot both be enabled"]),
    ({"hostUsers": False, "hostNetwork": True}, ["spec.hostNetwork: Forbidden: when `pod.Spec.HostUsers` is false"]),
    ({"hostAliases": [{"ip": "x", "hostnames": ["A"]}]}, ['spec.hostAliases[0].ip: Invalid value: "x": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)', f'spec.hostAliases[0].hostnames[0]: Invalid value: "A": {SUBDOMAIN}']),
    ({"readinessGates": [{"conditionType": "a b"}]}, [f'spec.readinessGates[0].conditionType: Invalid value: "a b": {QUALIFIED}']),
    ({"schedulingGates": [{"name": "a"}, {"name": "a"}]}, ['spec.schedulingGates[1]: Duplicate value: "a"']),
    ({"schedulingGates": [{"name": "a"}], "nodeName": "n"}, ["spec.nodeName: Forbidden: cannot be set until all schedulingGates have been cleared"]),
    ({"overhead": {"cpu": "-1"}}, ['spec.overhead[cpu]: Invalid value: "-1": must be greater than or equal to 0']),
    ({"resourceClaims": [{"name": "a"}]}, ['spec.resourceClaims[0]: Invalid value: "a": must specify one of: `resourceClaimName`, `resourceClaimTemplateName`']),
    ({"securityContext": {"fsGroup": -1}}, [f"{P}.fsGroup: Invalid value: -1: must be between 0 and 2147483647, inclusive"]),
    ({"securityContext": {"supplementalGroups": [-1]}}, [f"{P}.supplementalGroups[0]: Invalid value: -1: must be between 0 and 2147483647, inclusive"]),
    ({"securityContext": {"fsGroupChangePolicy": "x"}}, [f'{P}.fsGroupChangePolicy: Unsupported value: "x": supported values: "Always", "OnRootMismatch"']),
    ({"securityContext": {"sysctls": [{}]}}, [f"{P}.sysctls[0].name: Required value"]),
    ({"securityContext": {"sysctls": [{"name": "a"}, {"name": "a"}]}}, [f'{P}.sysctls[1].name: Duplicate value: "a"']),
    ({"securityContext": {"runAsUser": 1}, "os": {"name": "windows"}}, [f"{P}.runAsUser: Forbidden: cannot be set for a windows pod"]),
    ({"hostnameOverride": "a.b", "hostNetwork": True}, ["spec.hostnameOverride: Forbidden: may not be specified when hostNetwork is true"]),
]  # fmt: skip


@pytest.mark.parametrize(("spec", "expected"), SPECS)
def test_each_fault_of_a_pod_spec_is_named(spec: dict[str, Any], expected: list[str]) -> None:
    check(pod(spec), *expected)


T = "spec.tolerations[0]"
TOLERATIONS: list[tuple[dict[str, Any], list[str]]] = [
    ({"key": "a", "operator": "Like"}, [f'{T}.operator: Unsupported value: "Like": supported values: "Equal", "Exists"']),
    ({"key": "a", "operator": "Gt", "value": "5"}, [f'{T}.operator: Unsupported value: "Gt": supported values: "Equal", "Exists", "Lt", "Gt"']),
    ({"key": "a", "value": "-" * 64}, [f'{T}.operator: Invalid value: "{"-" * 64}": must be no more than 63 bytes;{LABEL_VALUE}']),
    ({"value": "a"}, [f'{T}.operator: Invalid value: "": operator must be Exists when `key` is empty, which means "match all values and all keys"']),
    ({"key": "a", "operator": "Exists", "value": "b"}, [f'{T}.operator: Invalid value: "b": value must be empty when `operator` is \'Exists\'']),
    ({"key": "a", "effect": "Never"}, [f'{T}.effect: Unsupported value: "Never": supported values: "NoSchedule", "PreferNoSchedule", "NoExecute"']),
    ({"key": "a", "effect": "NoSchedule", "tolerationSeconds": 1}, [f"{T}.effect: Invalid value: \"NoSchedule\": effect must be 'NoExecute' when `tolerationSeconds` is set"]),
    ({"key": "a b"}, [f'{T}.key: Invalid value: "a b": {QUALIFIED}']),
    ({"operator": "Exists"}, []),
]  # fmt: skip


@pytest.mark.parametrize(("toleration", "expected"), TOLERATIONS)
def test_each_fault_of_a_toleration_is_named(toleration: dict[str, Any], expected: list[str]) -> None:
    check(pod({"tolerations": [toleration]}), *expected)


NA = "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution"
EXPRESSIONS: list[tuple[dict[str, Any], list[str]]] = [
    ({"key": "a", "operator": "In"}, [".values: Required value: must be specified when `operator` is 'In' or 'NotIn'"]),
    ({"key": "a", "operator": "Exists", "values": ["x"]}, [".values: Forbidden: may not be specified when `operator` is 'Exists' or 'DoesNotExist'"]),
    ({"key": "a", "operator": "Gt", "values": ["1", "2"]}, [".values: Required value: must be specified single value when `operator` is 'Lt' or 'Gt'"]),
    ({"key": "a", "operator": "Is", "values": ["1"]}, ['.operator: Invalid value: "Is": not a valid selector operator']),
    ({"key": "a b", "operator": "Exists"}, [f'.key: Invalid value: "a b": {QUALIFIED}']),
    ({"key": "a", "operator": "NotIn", "values": ["x"]}, []),
]  # fmt: skip


@pytest.mark.parametrize(("expression", "expected"), EXPRESSIONS)
def test_node_affinity(expression: dict[str, Any], expected: list[str]) -> None:
    terms = {"nodeSelectorTerms": [{"matchExpressions": [expression]}]}
    affinity = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}}
    at = f"{NA}.nodeSelectorTerms[0].matchExpressions[0]"
    check(pod({"affinity": affinity}), *[at + text for text in expected])


@pytest.mark.parametrize(
    ("affinity", "expected"),
    [
        ({"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {}}}, [f"{NA}.nodeSelectorTerms: Required value: must have at least one node selector term"]),
        ({"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [{"matchFields": [{"key": "metadata.uid", "operator": "In", "values": ["a"]}]}]}}}, [f'{NA}.nodeSelectorTerms[0].matchFields[0].key: Invalid value: "metadata.uid": not a valid field selector key']),
        ({"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [{"matchFields": [{"key": "metadata.name", "operator": "Exists"}]}]}}}, [f'{NA}.nodeSelectorTerms[0].matchFields[0].operator: Invalid value: "Exists": not a valid selector operator']),
        ({"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [{"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["a", "b"]}]}]}}}, [f"{NA}.nodeSelectorTerms[0].matchFields[0].values: Required value: must be only one value when `operator` is 'In' or 'NotIn' for node field selector"]),
        ({"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 0}]}}, ["spec.affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].weight: Invalid value: 0: must be in the range 1-100"]),
        ({"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [{}]}}, [
            "spec.affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].topologyKey: Required value: can not be empty",
            'spec.affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].topologyKey: Invalid value: "": name part must be non-empty',
            f'spec.affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].topologyKey: Invalid value: "": {QUALIFIED}',
        ]),
        ({"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 101, "podAffinityTerm": {"topologyKey": "a"}}]}}, ["spec.affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].weight: Invalid value: 101: must be in the range 1-100"]),
        ({"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [{"topologyKey": "a", "labelSelector": {"matchExpressions": [{"key": "a", "operator": "Is"}]}}]}}, ['spec.affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].labelSelector.matchExpressions[0].operator: Invalid value: "Is": not a valid selector operator']),
        ({"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [{"topologyKey": "a", "namespaces": ["A"]}]}}, [f'spec.affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].namespaces[0]: Invalid value: "A": {DNS_LABEL}']),
        ({"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [{"topologyKey": "a", "matchLabelKeys": ["k"]}]}}, ["spec.affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].matchLabelKeys: Forbidden: must not be specified when labelSelector is not set"]),
    ],
)  # fmt: skip
def test_each_fault_of_an_affinity_is_named(affinity: dict[str, Any], expected: list[str]) -> None:
    check(pod({"affinity": affinity}), *expected)


S = "spec.topologySpreadConstraints[0]"
GOOD = {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, []),
        ({"maxSkew": 0}, [f"{S}.maxSkew: Invalid value: 0: must be greater than zero"]),
        ({"topologyKey": ""}, [f"{S}.topologyKey: Required value: can not be empty"]),
        ({"whenUnsatisfiable": "x"}, [f'{S}.whenUnsatisfiable: Unsupported value: "x": supported values: "DoNotSchedule", "ScheduleAnyway"']),
        ({"minDomains": 0}, [f"{S}.minDomains: Invalid value: 0: must be greater than zero"]),
        ({"minDomains": 1, "whenUnsatisfiable": "ScheduleAnyway"}, [f"{S}.minDomains: Invalid value: 1: can only use minDomains if whenUnsatisfiable=DoNotSchedule, not ScheduleAnyway"]),
        ({"nodeTaintsPolicy": "x"}, [f'{S}.nodeTaintsPolicy: Unsupported value: "x": supported values: "Honor", "Ignore"']),
        ({"labelSelector": {"matchExpressions": [{"key": "a", "operator": "In"}]}}, [f"{S}.labelSelector.matchExpressions[0].values: Required value: must be specified when `operator` is 'In' or 'NotIn'"]),
    ],
)  # fmt: skip
def test_topology_spread(change: dict[str, Any], expected: list[str]) -> None:
    check(pod({"topologySpreadConstraints": [{**GOOD, **change}]}), *expected)


def test_a_pair_of_key_and_action_spreads_once() -> None:
    text = (
        'spec.topologySpreadConstraints[0].{topologyKey, whenUnsatisfiable}: Duplicate value: "{zone, DoNotSchedule}"'
    )
    check(pod({"topologySpreadConstraints": [GOOD, GOOD]}), text)


def test_all_problems_are_reported_at_once() -> None:
    check(
        pod({"containers": [{}], "restartPolicy": "x", "nodeName": "N"}),
        f"{C}.name: Required value",
        f"{C}.image: Required value",
        'spec.restartPolicy: Unsupported value: "x": supported values: "Always", "OnFailure", "Never"',
        f'spec.nodeName: Invalid value: "N": {SUBDOMAIN}',
    )


@pytest.mark.parametrize(
    ("spec", "name", "expected"),
    [
        ({"hostNetwork": True}, "net.core.somaxconn", "may not be specified when 'hostNetwork' is true"),
        ({"hostNetwork": True}, "net/core/somaxconn", "may not be specified when 'hostNetwork' is true"),
        ({"hostIPC": True}, "kernel.shm_rmid_forced", "may not be specified when 'hostIPC' is true"),
        ({"hostIPC": True}, "net.core.somaxconn", ""),
    ],
)
def test_sysctls_of_the_hosts_namespaces(spec: dict[str, Any], name: str, expected: str) -> None:
    document = pod({**spec, "securityContext": {"sysctls": [{"name": name, "value": "1"}]}})
    check(document, *([f'{P}.sysctls[0].name: Invalid value: "{name}": {expected}'] if expected else []))


def test_contexts_fit_the_operating_system() -> None:
    windows = container(securityContext={"privileged": True})
    windows["spec"]["os"] = {"name": "windows"}
    check(windows, f"{SC}.privileged: Forbidden: cannot be set for a windows pod")
    options = {"windowsOptions": {"hostProcess": False}}
    linux = container(securityContext=options)
    linux["spec"] |= {"os": {"name": "linux"}, "securityContext": options}
    text = "Forbidden: windows options cannot be set for a linux pod"
    check(linux, f"{SC}.windowsOptions: {text}", f"{P}.windowsOptions: {text}")


def test_problems_are_reported_in_the_order_of_the_original() -> None:
    spec = {
        "os": {"name": "x"},
        "priorityClassName": "A",
        "tolerations": [{"key": "a", "operator": "x"}],
        "hostname": "A",
        "activeDeadlineSeconds": 0,
        "serviceAccountName": "A",
        "containers": [
            {
                "name": "c",
                "image": "c",
                "livenessProbe": {},
                "lifecycle": {"preStop": {}},
                "imagePullPolicy": "x",
                "volumeMounts": [{"mountPath": "/a", "name": "a"}],
            }
        ],
    }
    assert [problem.partition(":")[0] for problem in problems(PODS, pod(spec))] == [
        f"{C}.volumeMounts[0].name",
        f"{C}.imagePullPolicy",
        f"{C}.lifecycle.preStop",
        f"{C}.livenessProbe",
        "spec.serviceAccountName",
        "spec.activeDeadlineSeconds",
        "spec.hostname",
        "spec.tolerations[0].operator",
        "spec.priorityClassName",
        "spec.os",
    ]
