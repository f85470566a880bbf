"""The checks of the Pod Security Standards: what each level refuses, from which release on, and in which words."""

from __future__ import annotations

from typing import Any

import pytest

from apimachinery.model import from_dict
from apiserver.admission.podsecurity._policy import LevelVersion
from apiserver.admission.podsecurity._standards import CHECKS, NEWEST_MINOR, details, minor_of, violations
from kubeapi.core.pod.spec import PodSpec

HARDENED: dict[str, Any] = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
SAFE_POD = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}


def pod(context: Any = None, *, container: Any = None, **spec: Any) -> dict[str, Any]:
    """A pod that "restricted" allows, but for what is given: `context` is its security context, `container` adds
    members to the container "c"."""
    container = container or {}
    own = {**HARDENED, **container.get("securityContext", {})}
    return {
        "containers": [{"name": "c", "image": "i", **container, "securityContext": own}],
        "securityContext": {**SAFE_POD, **(context or {})},
        **spec,
    }


def broken(spec: dict[str, Any], level: str, version: str = "latest", annotations: dict[str, str] | None = None) -> str:
    return details(violations(LevelVersion(level, version), annotations or {}, from_dict(PodSpec, spec)))


def secured(**context: Any) -> dict[str, Any]:
    return pod(container={"securityContext": context})


PROBE = {"httpGet": {"port": 1, "host": "h"}}

BASELINE: list[tuple[str, dict[str, Any], str, str]] = [
    (
        "apparmor of the pod",
        pod({"appArmorProfile": {"type": "Unconfined"}}),
        "forbidden AppArmor profile",
        'pod must not set AppArmor profile type to "Unconfined"',
    ),
    (
        "apparmor of both",
        pod(
            {"appArmorProfile": {"type": "Unconfined"}},
            container={"securityContext": {"appArmorProfile": {"type": "Unconfined"}}},
        ),
        "forbidden AppArmor profile",
        'pod and container "c" must not set AppArmor profile type to "Unconfined"',
    ),
    (
        "privileged",
        secured(privileged=True),
        "privileged",
        'container "c" must not set securityContext.privileged=true',
    ),
    (
        "host namespaces",
        pod(hostNetwork=True, hostPID=True, hostIPC=True),
        "host namespaces",
        "hostNetwork=true, hostPID=true, hostIPC=true",
    ),
    (
        "host port",
        pod(container={"ports": [{"containerPort": 1, "hostPort": 9}]}),
        "hostPort",
        'container "c" uses hostPort 9',
    ),
    (
        "host ports",
        pod(
            container={
                "ports": [
                    {"containerPort": 1, "hostPort": 9},
                    {"containerPort": 2, "hostPort": 10},
                    {"containerPort": 3},
                ]
            }
        ),
        "hostPort",
        'container "c" uses hostPorts 10, 9',
    ),
    (
        "probe",
        pod(container={"readinessProbe": PROBE, "startupProbe": {"tcpSocket": {"port": 1, "host": "g"}}}),
        "probe or lifecycle host",
        'container "c" uses probe or lifecycle hosts "g", "h"',
    ),
    (
        "hook",
        pod(container={"lifecycle": {"preStop": PROBE}}),
        "probe or lifecycle host",
        'container "c" uses probe or lifecycle host "h"',
    ),
    (
        "selinux type",
        pod({"seLinuxOptions": {"type": "spc_t"}}),
        "seLinuxOptions",
        'pod set forbidden securityContext.seLinuxOptions: type "spc_t"',
    ),
    (
        "selinux user, role",
        secured(seLinuxOptions={"user": "u", "role": "r"}),
        "seLinuxOptions",
        'container "c" set forbidden securityContext.seLinuxOptions: user may not be set; role may not be set',
    ),
    (
        "sysctls",
        pod({"sysctls": [{"name": "kernel.msgmax", "value": "1"}, {"name": "a.b", "value": "1"}]}),
        "forbidden sysctls",
        "kernel.msgmax, a.b",
    ),
    (
        "host process",
        secured(windowsOptions={"hostProcess": True}),
        "hostProcess",
        'container "c" must not set securityContext.windowsOptions.hostProcess=true',
    ),
]

OVERRIDDEN: list[tuple[str, dict[str, Any], str, str, str, str]] = [
    (
        "capabilities",
        secured(capabilities={"drop": ["ALL"], "add": ["NET_RAW", "CHOWN"]}),
        "non-default capabilities",
        'container "c" must not include "NET_RAW" in securityContext.capabilities.add',
        "unrestricted capabilities",
        'container "c" must not include "CHOWN", "NET_RAW" in securityContext.capabilities.add',
    ),
    (
        "host path",
        pod(volumes=[{"name": "h", "hostPath": {"path": "/x"}}]),
        "hostPath volumes",
        'volume "h"',
        "restricted volume types",
        'volume "h" uses restricted volume type "hostPath"',
    ),
    (
        "seccomp",
        secured(seccompProfile={"type": "Unconfined"}),
        "seccompProfile",
        'container "c" must not set securityContext.seccompProfile.type to "Unconfined"',
        "seccompProfile",
        'container "c" must not set securityContext.seccompProfile.type to "Unconfined"',
    ),
    (
        "proc",
        secured(procMount="Unmasked"),
        "procMount",
        'container "c" must not set securityContext.procMount to "Unmasked"',
        "procMount",
        'container "c" must not set securityContext.procMount to "Unmasked"',
    ),
]

RESTRICTED: list[tuple[str, dict[str, Any], str, str]] = [
    (
        "escalation",
        secured(allowPrivilegeEscalation=True),
        "allowPrivilegeEscalation != false",
        'container "c" must set securityContext.allowPrivilegeEscalation=false',
    ),
    (
        "capabilities kept",
        secured(capabilities={"drop": ["CHOWN"]}),
        "unrestricted capabilities",
        'container "c" must set securityContext.capabilities.drop=["ALL"]',
    ),
    (
        "capabilities kept and added",
        secured(capabilities={"add": ["KILL"]}),
        "unrestricted capabilities",
        'container "c" must set securityContext.capabilities.drop=["ALL"]; '
        'container "c" must not include "KILL" in securityContext.capabilities.add',
    ),
    (
        "volumes",
        pod(
            volumes=[{"name": "n", "nfs": {"server": "s", "path": "/p"}}, {"name": "g", "gitRepo": {"repository": "r"}}]
        ),
        "restricted volume types",
        'volumes "n", "g" use restricted volume types "gitRepo", "nfs"',
    ),
    (
        "root allowed",
        pod({"runAsNonRoot": None}),
        "runAsNonRoot != true",
        'pod or container "c" must set securityContext.runAsNonRoot=true',
    ),
    (
        "root asked for by the pod",
        pod({"runAsNonRoot": False}, container={"securityContext": {"runAsNonRoot": True}}),
        "runAsNonRoot != true",
        "pod must not set securityContext.runAsNonRoot=false",
    ),
    (
        "root asked for by a container",
        secured(runAsNonRoot=False),
        "runAsNonRoot != true",
        'container "c" must not set securityContext.runAsNonRoot=false',
    ),
    (
        "user 0 of both",
        pod({"runAsUser": 0}, container={"securityContext": {"runAsUser": 0}}),
        "runAsUser=0",
        'pod and container "c" must not set runAsUser=0',
    ),
    (
        "no seccomp",
        pod({"seccompProfile": None}),
        "seccompProfile",
        'pod or container "c" must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"',
    ),
]


@pytest.mark.parametrize(
    ("spec", "reason", "detail"), [case[1:] for case in BASELINE], ids=[case[0] for case in BASELINE]
)
def test_baseline_refuses_a_way_to_the_host_and_so_does_restricted(
    spec: dict[str, Any], reason: str, detail: str
) -> None:
    assert broken(spec, "baseline") == f"{reason} ({detail})"
    assert broken(spec, "restricted") == f"{reason} ({detail})"
    assert broken(spec, "privileged") == ""


@pytest.mark.parametrize(
    ("spec", "reason", "detail", "stricter", "stricter_detail"),
    [case[1:] for case in OVERRIDDEN],
    ids=[case[0] for case in OVERRIDDEN],
)
def test_restricted_tells_a_stricter_rule_once(
    spec: dict[str, Any], reason: str, detail: str, stricter: str, stricter_detail: str
) -> None:
    assert broken(spec, "baseline") == f"{reason} ({detail})"
    assert broken(spec, "restricted") == f"{stricter} ({stricter_detail})"


@pytest.mark.parametrize(
    ("spec", "reason", "detail"), [case[1:] for case in RESTRICTED], ids=[case[0] for case in RESTRICTED]
)
def test_restricted_alone_refuses_needless_rights(spec: dict[str, Any], reason: str, detail: str) -> None:
    assert broken(spec, "restricted") == f"{reason} ({detail})"
    if "KILL" not in detail:
        assert broken(spec, "baseline") == ""


@pytest.mark.parametrize(
    "spec",
    [
        pod(),
        secured(capabilities={"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]}),
        secured(seccompProfile={"type": "Localhost", "localhostProfile": "p"}),
        secured(appArmorProfile={"type": "RuntimeDefault"}, procMount="Default", runAsUser=1, privileged=False),
        pod({"seLinuxOptions": {"type": "container_engine_t", "level": "s0"}}),
        pod({"seccompProfile": None}, container={"securityContext": {"seccompProfile": {"type": "RuntimeDefault"}}}),
        pod({"runAsNonRoot": None}, container={"securityContext": {"runAsNonRoot": True}}),
        pod(container={"livenessProbe": {"httpGet": {"port": 1}}, "ports": [{"containerPort": 1}]}),
        pod(volumes=[{"name": kind, kind: {}} for kind in ("emptyDir", "configMap", "secret", "projected", "csi")]),
        pod(volumes=[{"name": "i", "image": {"reference": "r"}}]),
        pod({"sysctls": [{"name": "net.ipv4.tcp_rmem", "value": "1"}]}),
    ],
)
def test_restricted_allows_what_is_harmless(spec: dict[str, Any]) -> None:
    assert broken(spec, "restricted") == ""


def test_containers_are_named_in_their_order_and_of_every_sort() -> None:
    bad = {"image": "i", "securityContext": {"privileged": True}}
    spec = {
        "ephemeralContainers": [{"name": "debug", **bad}],
        "containers": [{"name": "b", **bad}, {"name": "a", **bad}],
        "initContainers": [{"name": "init", **bad}],
    }
    named = '"init", "b", "a", "debug"'
    assert broken(spec, "baseline") == f"privileged (containers {named} must not set securityContext.privileged=true)"


def test_a_rule_begins_with_its_release() -> None:
    def versions(spec: dict[str, Any], level: str = "restricted") -> list[int]:
        """The releases that refuse the pod."""
        return [minor for minor in range(NEWEST_MINOR + 3) if broken(spec, level, f"v1.{minor}")]

    everything = list(range(NEWEST_MINOR + 3))
    assert versions(secured(privileged=True)) == everything
    assert versions(secured(allowPrivilegeEscalation=True)) == everything[8:]
    assert versions(pod({"seccompProfile": None})) == everything[19:]
    assert versions(secured(capabilities={"drop": []})) == everything[22:]
    assert versions(secured(capabilities={"add": ["NET_RAW"]})) == everything
    assert versions(pod({"runAsUser": 0})) == everything[23:]
    assert versions(pod(container={"livenessProbe": PROBE}), "baseline") == everything[34:]
    assert versions(pod({"seLinuxOptions": {"type": "container_engine_t"}})) == everything[:31]
    for since, name in (
        (0, "net.ipv4.tcp_syncookies"),
        (27, "net.ipv4.ip_local_reserved_ports"),
        (29, "net.ipv4.tcp_keepalive_time"),
        (32, "net.ipv4.tcp_wmem"),
    ):
        assert versions(pod({"sysctls": [{"name": name, "value": "1"}]}), "baseline") == everything[:since]


def test_pods_on_windows_need_no_fields_of_linux_since_1_25() -> None:
    spec: dict[str, Any] = {"containers": [{"name": "c"}], "os": {"name": "windows"}}
    spec["securityContext"] = {"runAsNonRoot": True}
    assert broken(spec, "restricted") == ""
    assert broken(spec, "restricted", "v1.24").count("(") == 3
    assert broken({**spec, "os": {"name": "linux"}}, "restricted").count("(") == 3


def test_root_of_a_user_namespace_is_not_root_since_1_35() -> None:
    spec = pod({"runAsNonRoot": None, "runAsUser": 0}, hostUsers=False)
    assert broken(spec, "restricted") == ""
    assert broken(spec, "restricted", "v1.34").count("(") == 2
    assert broken({**spec, "hostUsers": True}, "restricted").count("(") == 2
    unmasked = pod(container={"securityContext": {"procMount": "Unmasked"}}, hostUsers=False)
    assert broken(unmasked, "baseline") == ""
    assert broken(unmasked, "restricted").startswith("procMount (")


def test_annotations_of_old_releases() -> None:
    key = "container.apparmor.security.beta.kubernetes.io/c"
    text = 'forbidden AppArmor profile (annotation must not set AppArmor profile type to "{}="unconfined"")'
    assert broken(pod(), "baseline", annotations={key: "unconfined"}) == text.format(key)
    assert broken(pod(), "baseline", annotations={key: "localhost/x"}) == ""
    seccomp = {"container.seccomp.security.alpha.kubernetes.io/c": "unconfined"}
    seccomp |= {"seccomp.security.alpha.kubernetes.io/pod": "unconfined"}
    shown = ", ".join(f'{key}="unconfined"' for key in seccomp)
    assert broken(pod(), "baseline", "v1.18", seccomp) == f"seccompProfile (forbidden annotations {shown})"
    assert broken(pod(), "baseline", "v1.19", seccomp) == ""


def test_versions_to_come_are_the_newest() -> None:
    assert [minor_of(version) for version in ("v1.0", "v1.34", "v1.99", "latest")] == [0, 34, 35, 35]
    assert max(max(check.by_minor) for check in CHECKS.values()) == NEWEST_MINOR
