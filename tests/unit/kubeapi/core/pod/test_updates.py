from typing import Any

import pytest

from apimachinery.names import dns_subdomain_errors
from kubeapi.core.pod.resource import RESOURCE as PODS
from tests.kits.kinds import load, merged, pod, status_problems, update_problems

FIXED = (
    "spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`,"
    "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing "
    "tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)\n"
    "changed: "
)
CLAIM_STATUS = "status.resourceClaimStatuses"
IP = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
TWO = {"containers": [{"name": "app", "image": "app:1"}, {"name": "b", "image": "b"}]}
SAME_TOLERATION = "spec.tolerations: Forbidden: existing toleration can not be modified except its tolerationSeconds"

ONLY_MORE = "only additions are allowed (no deletions or mutations)"
REQUIRED = "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms"


def nodes(*labels: str) -> dict[str, Any]:
    """The affinity for nodes that have all these labels."""
    term = {"matchExpressions": [{"key": label, "operator": "Exists"} for label in labels]}
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}
    return {"affinity": {"nodeAffinity": required}}


CHANGES: list[tuple[dict[str, Any], dict[str, Any], list[str]]] = [
    # (old spec, new spec, errors)
    ({}, {}, []),
    ({}, {"containers": [{"name": "app", "image": "app:2", "imagePullPolicy": "IfNotPresent"}]}, []),
    ({"initContainers": [{"name": "i", "image": "i:1"}]}, {"initContainers": [{"name": "i", "image": "i:2"}]}, []),
    (
        {},
        {"containers": [{"name": "app", "image": "", "imagePullPolicy": "IfNotPresent"}]},
        ["spec.containers[0].image: Required value"] * 2,
    ),
    ({}, {"nodeName": "n"}, [f"{FIXED}spec.nodeName"]),
    ({}, {"dnsPolicy": "Default", "hostNetwork": True}, [f"{FIXED}spec.dnsPolicy, spec.hostNetwork"]),
    ({}, {"containers": [{"name": "app", "image": "app:1", "args": ["x"]}]}, [f"{FIXED}spec.containers"]),
    ({}, TWO, ["spec.containers: Forbidden: pod updates may not add or remove containers"]),
    (
        {},
        {"initContainers": [{"name": "i", "image": "i"}]},
        ["spec.initContainers: Forbidden: pod updates may not add or remove containers"],
    ),
    ({}, {"activeDeadlineSeconds": 9}, []),
    ({"activeDeadlineSeconds": 9}, {"activeDeadlineSeconds": 8}, []),
    (
        {"activeDeadlineSeconds": 9},
        {"activeDeadlineSeconds": 10},
        ["spec.activeDeadlineSeconds: Invalid value: 10: must be less than or equal to previous value"],
    ),
    (
        {"activeDeadlineSeconds": 9},
        {},
        ["spec.activeDeadlineSeconds: Invalid value: null: must not update from a positive integer to nil value"],
    ),
    ({"tolerations": [{"key": "a"}]}, {"tolerations": [{"key": "a"}, {"key": "b"}]}, []),
    ({"tolerations": [{"key": "a"}]}, {"tolerations": []}, [SAME_TOLERATION]),
    (
        {"tolerations": [{"key": "a", "effect": "NoExecute", "tolerationSeconds": 1}]},
        {"tolerations": [{"key": "a", "effect": "NoExecute", "tolerationSeconds": 2}]},
        [],
    ),
    ({"tolerations": [{"key": "a"}]}, {"tolerations": [{"key": "a", "value": "x"}]}, [SAME_TOLERATION]),
    ({"terminationGracePeriodSeconds": -1}, {"terminationGracePeriodSeconds": 1}, []),
    (
        {"terminationGracePeriodSeconds": 9},
        {"terminationGracePeriodSeconds": 1},
        [f"{FIXED}spec.terminationGracePeriodSeconds"],
    ),
    ({"schedulingGates": [{"name": "a"}, {"name": "b"}]}, {"schedulingGates": [{"name": "b"}]}, []),
    (
        {"schedulingGates": [{"name": "a"}]},
        {"schedulingGates": [{"name": "b"}]},
        ["spec.schedulingGates[0].name: Forbidden: only deletion is allowed, but found new scheduling gate 'b'"],
    ),
    ({"schedulingGates": [{"name": "a"}]}, {"schedulingGates": [{"name": "a"}], "nodeSelector": {"a": "b"}}, []),
    ({}, {"nodeSelector": {"a": "b"}}, [f"{FIXED}spec.nodeSelector"]),
    (
        {"schedulingGates": [{"name": "a"}], "nodeSelector": {"a": "b"}},
        {"schedulingGates": [{"name": "a"}], "nodeSelector": {"a": "c"}},
        [
            'spec.nodeSelector: Invalid value: {"a":"c"}: '
            "only additions to spec.nodeSelector are allowed (no mutations or deletions)"
        ],
    ),
    ({"schedulingGates": [{"name": "a"}]}, {"schedulingGates": [{"name": "a"}], **nodes("x")}, []),
    (
        {"schedulingGates": [{"name": "a"}], **nodes("x")},
        {"schedulingGates": [{"name": "a"}], **nodes("x", "y")},
        [],
    ),
    (
        {"schedulingGates": [{"name": "a"}], **nodes("x", "y")},
        {"schedulingGates": [{"name": "a"}], **nodes("x")},
        [f'{REQUIRED}[0]: Invalid value: {{"matchExpressions":[{{"key":"x","operator":"Exists"}}]}}: {ONLY_MORE}'],
    ),
    (
        {"schedulingGates": [{"name": "a"}]},
        {"schedulingGates": [{"name": "a"}], "affinity": {"podAffinity": {}}},
        [f"{FIXED}spec.affinity"],
    ),
]


@pytest.mark.parametrize(("old", "new", "expected"), CHANGES)
def test_what_may_change_in_a_pod(old: dict[str, Any], new: dict[str, Any], expected: list[str]) -> None:
    assert update_problems(PODS, pod(old), pod(new)) == expected


def test_an_empty_list_is_no_change() -> None:
    assert update_problems(PODS, pod(), pod({"tolerations": [], "imagePullSecrets": []})) == []


def _status(state: dict[str, Any], **spec: Any) -> dict[str, Any]:
    statuses = [{"name": "app", "image": "a", "imageID": "", "restartCount": 0, "ready": False, "state": state}]
    return pod(spec, status={"phase": "Running", "containerStatuses": statuses})


ENDED_WELL, ENDED_BADLY = {"terminated": {"exitCode": 0}}, {"terminated": {"exitCode": 1}}
BACK = "status.containerStatuses[0].state: Forbidden: may not be transitioned to non-terminated state"


@pytest.mark.parametrize(
    ("policy", "before", "expected"),
    [
        ("Always", ENDED_WELL, []),
        ("OnFailure", ENDED_BADLY, []),
        ("OnFailure", ENDED_WELL, [BACK]),
        ("Never", ENDED_BADLY, [BACK]),
        ("Never", {"running": {}}, []),
    ],
)
def test_containers_come_back_only_where_the_policy_says_so(
    policy: str, before: dict[str, Any], expected: list[str]
) -> None:
    old, new = _status(before, restartPolicy=policy), _status({"running": {}}, restartPolicy=policy)
    assert status_problems(PODS, old, new) == expected


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ({"podIPs": [{"ip": "x"}]}, [f'status.podIPs[0]: Invalid value: "x": {IP}']),
        (
            {"podIPs": [{"ip": "1.1.1.1"}] * 2},
            ['status.podIPs: Invalid value: ["1.1.1.1","1.1.1.1"]: may specify no more than one IP for each IP family'],
        ),
        ({"podIPs": [{"ip": "1.1.1.1"}, {"ip": "fd00::1"}]}, []),
        ({"podIP": "10.0.0.1"}, []),
        (
            {
                "resourceClaimStatuses": [
                    {"name": "d", "resourceClaimName": "x"},
                    {"name": "e", "resourceClaimName": "X"},
                ]
            },
            [
                f'{CLAIM_STATUS}[1].name: Invalid value: "e": must match the name of an entry in `spec.resourceClaims`',
                *(f'{CLAIM_STATUS}[1].name: Invalid value: "X": {text}' for text in dns_subdomain_errors("X")),
            ],
        ),
        ({"resourceClaimStatuses": [{"name": "d"}] * 2}, [f'{CLAIM_STATUS}[1].name: Duplicate value: "d"']),
    ],
)
def test_each_fault_of_a_pod_status_is_named(status: dict[str, Any], expected: list[str]) -> None:
    spec = {"resourceClaims": [{"name": "d", "resourceClaimTemplateName": "t"}]}
    assert status_problems(PODS, pod(spec), pod(spec, status=status)) == expected


def test_a_status_update_keeps_the_qos_class() -> None:
    old = load(PODS, pod(status={"qosClass": "Guaranteed"}))
    new = load(PODS, pod(status={"phase": "Running"}))
    PODS.strategy.prepare_status_update(new, old)
    assert new.status.qosClass == "Guaranteed"


def test_metadata_changes_freely() -> None:
    assert update_problems(PODS, pod(), merged(pod(), {"metadata": {"labels": {"a": "b"}}})) == []


APPARMOR = "container.apparmor.security.beta.kubernetes.io/app"
MIRROR = "kubernetes.io/config.mirror"


@pytest.mark.parametrize(
    ("old", "new", "errors"),
    [
        ({}, {"a": "b"}, []),
        ({MIRROR: "x", APPARMOR: "unconfined"}, {MIRROR: "x", APPARMOR: "unconfined", "a": "b"}, []),
        (
            {},
            {MIRROR: "x", APPARMOR: "unconfined"},
            [
                f"metadata.annotations[{APPARMOR}]: Forbidden: may not add AppArmor annotations",
                f"metadata.annotations[{MIRROR}]: Forbidden: may not add mirror pod annotation",
            ],
        ),
        (
            {MIRROR: "x", APPARMOR: "runtime/default"},
            {APPARMOR: "unconfined"},
            [
                f"metadata.annotations[{APPARMOR}]: Forbidden: may not remove or update AppArmor annotations",
                f"metadata.annotations[{MIRROR}]: Forbidden: may not remove or update mirror pod annotation",
            ],
        ),
    ],
)
@pytest.mark.parametrize("problems", [update_problems, status_problems])
def test_annotations_that_admission_has_decided_by_stay(problems, old, new, errors):
    before, after = (pod({"nodeName": "n"}, metadata={"annotations": annotations}) for annotations in (old, new))
    assert problems(PODS, before, after) == errors
