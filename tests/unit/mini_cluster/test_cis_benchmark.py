"""The items of the CIS Kubernetes Benchmark that can be read off what the launcher starts, one a line.

The options are the daemons' own, defaults included. Flags that ours don't have stand for what they don't have either:
no profiling, no insecure or read-only port, no service account that is not looked up.

Source: CIS Kubernetes Benchmark v1.9, sections 1 to 5.
"""

from __future__ import annotations

import ssl
import stat
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from apiserver.admission._plugin import enabled_plugins
from apiserver.auth.authorization.defaults._role import DefaultRole
from apiserver.main.defaultroles import default_roles
from apiserver.options.options import Options, parse_options
from componentbase import tls
from kubelet.options import parse_options as parse_kubelet_options
from mini_cluster.cluster.component import Programs
from mini_cluster.cluster.components import cluster_components
from mini_cluster.cluster.layout import Layout
from mini_cluster.cluster.state import ClusterState, EtcdPorts, Ports
from mini_cluster.pki.certificates import ensure
from mini_cluster.pki.encryption import ensure_encryption
from mini_cluster.pki.identities import cluster_certificates
from mini_cluster.pki.kubeconfig import write_kubeconfig

LAYOUT = Layout(Path("/srv/demo"), Path("/run/mini-kubernetes-abc"))
STATE = ClusterState("172.30.7.0/24", "10.244.0.0/16", Ports(6443, 3, 4, (EtcdPorts(1, 2),))).with_node_count(1)
PROGRAMS = Programs(Path("/venv/bin"), "/usr/bin/etcd", "/usr/sbin/dockerd", "/usr/bin/nsenter")
ARGUMENTS = {item.name: item.program[1:] for item in cluster_components(LAYOUT, STATE, PROGRAMS)}
FLAGS = {
    name: dict(flag.removeprefix("--").partition("=")[::2] for flag in arguments)
    for name, arguments in ARGUMENTS.items()
}
API: Options = parse_options(ARGUMENTS["kube-apiserver"])
KUBELET: Any = parse_kubelet_options(ARGUMENTS["kubelet-worker-1"])
MANAGER, SCHEDULER, ETCD = (FLAGS[name] for name in ("kube-controller-manager", "kube-scheduler", "etcd"))
PLUGINS = {plugin.name for plugin in enabled_plugins(API.disable_admission_plugins, API.enable_admission_plugins)}

ITEMS: list[tuple[str, str, Callable[[], Any]]] = [
    ("1.2.2", "no static tokens", lambda: not API.authentication.token_auth_file),
    ("1.2.4", "a client certificate for kubelets", lambda: API.kubelet_client_certificate and API.kubelet_client_key),
    ("1.2.5", "kubelets are verified", lambda: API.kubelet_certificate_authority),
    ("1.2.6", "not everything is allowed", lambda: "AlwaysAllow" not in API.authorization_modes),
    ("1.2.7", "kubelets see what their pods use", lambda: "Node" in API.authorization_modes),
    ("1.2.8", "rights come from roles", lambda: "RBAC" in API.authorization_modes),
    ("1.2.10", "not everything is admitted", lambda: "AlwaysAdmit" not in PLUGINS),
    ("1.2.12", "ServiceAccount is on", lambda: "ServiceAccount" in PLUGINS),
    ("1.2.13", "NamespaceLifecycle is on", lambda: "NamespaceLifecycle" in PLUGINS),
    ("1.2.14", "NodeRestriction is on", lambda: "NodeRestriction" in PLUGINS),
    ("1.2.20", "requests end", lambda: 0 < API.request_timeout_seconds <= 60),
    ("1.2.22", "service accounts have a key", lambda: API.service_account_signing_key_file),
    ("1.2.23", "a certificate for etcd", lambda: API.etcd_certfile and API.etcd_keyfile),
    ("1.2.24", "a serving certificate", lambda: API.tls_cert_file and API.tls_private_key_file),
    ("1.2.25", "clients are verified", lambda: API.client_ca_file),
    ("1.2.26", "etcd is verified", lambda: API.etcd_cafile),
    ("1.2.27", "Secrets are encrypted at rest", lambda: API.encryption_provider_config),
    ("1.3.3", "each controller has an account", lambda: MANAGER["use-service-account-credentials"] == "true"),
    ("1.3.4", "a key for accounts' tokens", lambda: MANAGER["service-account-private-key-file"]),
    ("1.3.5", "pods get the authority", lambda: MANAGER["root-ca-file"]),
    ("1.3.7", "controllers serve loopback", lambda: MANAGER["bind-address"] == "127.0.0.1"),
    ("1.4.2", "the scheduler serves loopback", lambda: SCHEDULER["bind-address"] == "127.0.0.1"),
    ("2.1", "etcd has a certificate", lambda: ETCD["cert-file"] and ETCD["key-file"]),
    ("2.2", "etcd's clients have one", lambda: ETCD["client-cert-auth"] == "true"),
    ("2.3", "none that etcd makes itself", lambda: "auto-tls" not in ETCD),
    ("2.4", "members have certificates", lambda: ETCD["peer-cert-file"] and ETCD["peer-key-file"]),
    ("2.5", "members verify each other", lambda: ETCD["peer-client-cert-auth"] == "true"),
    ("2.6", "none that members make", lambda: "peer-auto-tls" not in ETCD),
    ("2.7", "etcd has an authority of its own", lambda: ETCD["trusted-ca-file"] != API.client_ca_file),
    ("4.2.3", "a kubelet verifies its clients", lambda: KUBELET.client_ca_file),
    ("4.2.9", "a kubelet has a certificate", lambda: KUBELET.tls_cert_file and KUBELET.tls_private_key_file),
    ("4.2.10", "a kubelet renews its certificate", lambda: KUBELET.rotate_certificates),
]

NOT_SET = {
    "1.2.1": (
        lambda: API.authentication.anonymous_auth is False,
        "health is open to load balancers; roles allow no more",
    ),
    "1.2.9": (lambda: "EventRateLimit" in PLUGINS, "off by default, as upstream"),
    "1.2.11": (lambda: "AlwaysPullImages" in PLUGINS, "images of a laptop's cluster are often built on it"),
    "1.2.16": (
        lambda: "audit-log-path" in FLAGS["kube-apiserver"],
        "an audit log grows on the laptop's disk",
    ),
}
"""What the launcher leaves to those who run a cluster for others, and why."""


@pytest.mark.parametrize(("number", "text", "holds"), ITEMS, ids=[f"{item[0]} {item[1]}" for item in ITEMS])
def test_the_launcher_sets(number: str, text: str, holds: Callable[[], Any]) -> None:
    assert holds(), f"{number}: {text}"


@pytest.mark.parametrize("number", NOT_SET)
def test_what_is_not_set_is_still_not(number: str) -> None:
    holds, why = NOT_SET[number]
    assert not holds(), f"{number} holds now: move it to the items ({why})"


def test_1_1_keys_and_kubeconfigs_are_their_owners_alone(tmp_path: Path) -> None:
    pki = tmp_path / "pki"
    ensure(pki, cluster_certificates(STATE, "laptop"), datetime.now(UTC))
    write_kubeconfig(tmp_path / "kubeconfig", "https://127.0.0.1:6443", pki, "admin")
    ensure_encryption(tmp_path / "encryption.yaml")
    private = [*pki.rglob("*.key"), tmp_path / "kubeconfig", tmp_path / "encryption.yaml"]
    assert {stat.S_IMODE(file.stat().st_mode) for file in private} == {0o600}


def test_1_2_29_old_versions_of_tls_are_refused(tmp_path: Path) -> None:
    certificate, key = tls.self_signed(str(tmp_path), "server", ())
    context = tls.server_context(certificate, key)
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2
    parts = {part for cipher in context.get_ciphers() for part in cipher["name"].split("-")}
    assert not parts & {"RC4", "3DES", "MD5", "NULL"}


def _granted(name: str) -> DefaultRole:
    return next(item for item in default_roles() if item.role.name == name)


def test_5_1_1_only_masters_are_administrators_by_default() -> None:
    binding = _granted("cluster-admin").binding
    assert binding is not None
    assert [subject.name for subject in binding.subjects or ()] == ["system:masters"]


def test_5_1_2_only_controllers_that_look_at_all_kinds_read_all_secrets() -> None:
    readers = {
        subject.name
        for item in default_roles()
        if item.binding is not None and type(item.role).__name__ == "ClusterRole"
        for rule in item.role.rules
        if {"secrets", "*"} & set(rule.resources or ()) and {"get", "list", "watch", "*"} & set(rule.verbs)
        for subject in item.binding.subjects or ()
    }
    assert readers == {
        "system:masters",
        "system:kube-controller-manager",
        "generic-garbage-collector",
        "horizontal-pod-autoscaler",
        "namespace-controller",
        "resourcequota-controller",
    }
