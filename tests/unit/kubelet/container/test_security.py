"""Security contexts of pods and containers, and what the runtime is asked for."""

from __future__ import annotations

from typing import Any

import pytest

from apimachinery.model import from_dict
from kubeapi.core.pod.security import PodSecurityContext, SecurityContext
from kubelet.container.config import dotted_sysctl
from kubelet.container.security import merged_security, non_root_error
from kubelet.runtime.configs import Security
from kubelet.runtime.interface import ImageInfo
from tests.kits.node.kubelet import make_pod


def container(**fields: Any) -> SecurityContext:
    return from_dict(SecurityContext, fields)


def test_the_containers_security_wins_over_the_pods() -> None:
    pod = from_dict(
        PodSecurityContext,
        {
            "runAsUser": 1,
            "runAsGroup": 2,
            "fsGroup": 3,
            "supplementalGroups": [4, 3],
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    )
    own = from_dict(
        SecurityContext,
        {"runAsUser": 0, "allowPrivilegeEscalation": False, "capabilities": {"add": ["NET_ADMIN"], "drop": ["ALL"]}},
    )
    merged = merged_security(pod, own, extra_groups=(9,))
    assert (merged.run_as_user, merged.run_as_group, merged.supplemental_groups) == (0, 2, (9, 4, 3))
    assert (merged.add_capabilities, merged.drop_capabilities) == (("NET_ADMIN",), ("ALL",))
    assert merged.no_new_privileges
    assert merged.seccomp == "RuntimeDefault"
    local = from_dict(SecurityContext, {"seccompProfile": {"type": "Localhost", "localhostProfile": "a.json"}})
    assert merged_security(pod, local).seccomp == "Localhost/a.json"
    bare = merged_security(None, None)
    assert (bare.run_as_user, bare.seccomp, bare.apparmor, bare.privileged) == (
        None,
        "Unconfined",
        "RuntimeDefault",
        False,
    )


@pytest.mark.parametrize(
    ("context", "user", "words"),
    [
        ({}, "", ""),
        ({"runAsNonRoot": True, "runAsUser": 5}, "", ""),
        ({"runAsNonRoot": True, "runAsUser": 0}, "5", "container's runAsUser breaks non-root policy"),
        ({"runAsNonRoot": True}, "", "image will run as root"),
        ({"runAsNonRoot": True}, "0:5", "image will run as root"),
        ({"runAsNonRoot": True}, "1000", ""),
        ({"runAsNonRoot": True}, "app:app", "image has non-numeric user (app)"),
        ({"runAsNonRoot": False}, "root", ""),
    ],
)
def test_run_as_non_root(context: dict[str, Any], user: str, words: str) -> None:
    pod = make_pod({"containers": [{"name": "app", "image": "i", "securityContext": context}]})
    error = non_root_error(pod, pod.spec.containers[0], ImageInfo("sha256:1", user=user))
    assert (words in error) if words else error == ""
    if words:
        assert '(pod: "web_default(uid-1)", container: app)' in error


@pytest.mark.parametrize(
    ("add", "drop", "result"),
    [
        (["NET_ADMIN", "CAP_SYS_TIME"], [], (("NET_ADMIN", "SYS_TIME"), ())),
        (["NET_ADMIN"], ["ALL"], (("NET_ADMIN",), ("ALL",))),
        (["ALL"], ["NET_RAW"], (("ALL",), ("NET_RAW",))),
        (["ALL", "KILL"], ["all"], (("KILL",), ("ALL",))),
        (["NET_RAW", "KILL"], ["net_raw"], (("KILL",), ("NET_RAW",))),
    ],
)
def test_a_capability_is_never_added_and_dropped(add: list[str], drop: list[str], result: object) -> None:
    merged = merged_security(None, container(capabilities={"add": add, "drop": drop}))
    assert (merged.add_capabilities, merged.drop_capabilities) == result


def test_every_field_reaches_the_runtime() -> None:
    own = container(
        privileged=True,
        readOnlyRootFilesystem=True,
        procMount="Unmasked",
        seLinuxOptions={"type": "spc_t", "level": "s0:c1"},
        appArmorProfile={"type": "Localhost", "localhostProfile": "mine"},
    )
    assert merged_security(from_dict(PodSecurityContext, {"supplementalGroupsPolicy": "Strict"}), own) == Security(
        strict_groups=True,
        privileged=True,
        read_only_root_filesystem=True,
        unmasked_proc=True,
        apparmor="Localhost/mine",
        selinux=(("type", "spc_t"), ("level", "s0:c1")),
    )
    whole = from_dict(PodSecurityContext, {"seLinuxOptions": {"user": "u"}, "appArmorProfile": {"type": "Unconfined"}})
    merged = merged_security(whole, None, seccomp_default="RuntimeDefault")
    assert (merged.selinux, merged.apparmor, merged.seccomp) == ((("user", "u"),), "Unconfined", "RuntimeDefault")
    unconfined = container(seccompProfile={"type": "Unconfined"})
    assert merged_security(None, unconfined, seccomp_default="RuntimeDefault").seccomp == "Unconfined"


@pytest.mark.parametrize(
    ("name", "dotted"),
    [
        ("net.core.somaxconn", "net.core.somaxconn"),
        ("net/core/somaxconn", "net.core.somaxconn"),
        ("net/ipv4/conf/eth0.1/rp_filter", "net.ipv4.conf.eth0/1.rp_filter"),
        ("net.ipv4.conf.eth0/1.rp_filter", "net.ipv4.conf.eth0/1.rp_filter"),
    ],
)
def test_sysctls_may_be_written_with_slashes(name: str, dotted: str) -> None:
    assert dotted_sysctl(name) == dotted
