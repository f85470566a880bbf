"""The security settings that a node refuses before it starts anything of the pod."""

from __future__ import annotations

from typing import Any

import pytest

from kubelet.pod.resources.pod_security import SAFE_SYSCTLS, NodePolicy, pattern_error, security_refusal
from tests.kits.node.kubelet import make_pod

POLICY = NodePolicy(unsafe_sysctls=("net.core.somaxconn", "net.ipv4.tcp_*", "kernel/msg*"))


def refusal(policy: NodePolicy, **spec: Any) -> tuple[str, str] | None:
    failure = security_refusal(make_pod(spec), policy)
    return (failure.reason, failure.message) if failure is not None else None


def sysctl_refusal(name: str, **spec: Any) -> str | None:
    found = refusal(POLICY, securityContext={"sysctls": [{"name": name, "value": "1"}]}, **spec)
    assert found is None or found[0] == "SysctlForbidden"
    return found[1] if found else None


def test_safe_sysctls_need_no_permission() -> None:
    assert all(sysctl_refusal(name) is None for name in SAFE_SYSCTLS)


def test_others_need_one() -> None:
    assert sysctl_refusal("kernel.sem") == 'forbidden sysctl: "kernel.sem" not allowlisted'
    assert sysctl_refusal("vm.swappiness") == 'forbidden sysctl: "vm.swappiness" not allowlisted'
    for name in ("net.core.somaxconn", "net/ipv4/tcp_mem", "kernel.msgmax"):
        assert sysctl_refusal(name) is None


def test_the_hosts_namespace_keeps_its_settings() -> None:
    assert sysctl_refusal("net.ipv4.tcp_mem", hostNetwork=True) == (
        'forbidden sysctl: "net.ipv4.tcp_mem" not allowed with host net enabled'
    )
    assert sysctl_refusal("kernel.shm_rmid_forced", hostIPC=True) == (
        'forbidden sysctl: "kernel.shm_rmid_forced" not allowed with host ipc enabled'
    )
    assert sysctl_refusal("kernel.shm_rmid_forced", hostNetwork=True) is None


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("net.*", ""),
        ("kernel.sem", ""),
        ("fs.mqueue.*", ""),
        ("kernel.*", "the sysctls"),
        ("vm.swappiness", "the sysctl "),
    ],
)
def test_patterns_name_what_a_pod_has_for_itself(pattern: str, words: str) -> None:
    error = pattern_error([pattern])
    assert (words in error and "not known to be namespaced" in error) if words else error == ""


def test_apparmor_profiles_need_apparmor() -> None:
    context = {"appArmorProfile": {"type": "RuntimeDefault"}}
    containers = [{"name": "app", "image": "i", "securityContext": context}]
    message = "Cannot enforce AppArmor: AppArmor is not enabled on the host"
    assert refusal(POLICY, containers=containers) == ("AppArmor", message)
    assert refusal(POLICY, securityContext=context) == ("AppArmor", message)
    assert refusal(POLICY, securityContext={"appArmorProfile": {"type": "Unconfined"}}) is None
    assert refusal(NodePolicy(apparmor=True), securityContext=context) is None


def test_pods_for_windows_are_refused() -> None:
    message = "Failed to admit pod as the OS field doesn't match node OS"
    assert refusal(POLICY, os={"name": "windows"}) == ("PodOSNotSupported", message)
    assert refusal(POLICY, os={"name": "linux"}) is None
    containers = [{"name": "app", "image": "i", "securityContext": {"windowsOptions": {"runAsUserName": "me"}}}]
    found = refusal(POLICY, containers=containers)
    assert found is not None
    assert found[0] == "PodOSNotSupported"
    assert "container app" in found[1]
