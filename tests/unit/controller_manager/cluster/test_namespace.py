"""Namespaces: what goes with them, what their conditions say; the account and the authority every one of them has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from apimachinery.meta import ObjectMeta
from apiserver.main.defaultroles import default_roles
from componentbase.daemon import FatalError
from controller_manager.controllers.cluster._namespacecontent import Findings, conditions, content_resources
from controller_manager.controllers.cluster.rootcacert import CONTROLLER as ROOT_CA
from controller_manager.controllers.cluster.rootcacert import root_ca
from controller_manager.controllers.cluster.serviceaccount import CONTROLLER as SERVICE_ACCOUNT
from controller_manager.options import CONTROLLERS, parse
from kubeapi.core.configmap import ConfigMap
from kubeapi.core.namespace import Namespace
from kubeapi.core.serviceaccount import ServiceAccount
from kubeclient.access.config import ClientConfig
from kubeclient.discovery import APIResource
from kubeclient.manager import collect_controllers, selected
from mini_cluster.objects import storage
from tests.fakes.api import FakeApi, Running, settle

SPECS = collect_controllers(CONTROLLERS).values()
VERBS = ("create", "delete", "deletecollection", "get", "list", "watch")
UPSTREAM = """
serviceaccount-token-controller endpoints-controller endpointslice-controller endpointslice-mirroring-controller
replicationcontroller-controller pod-garbage-collector-controller resourcequota-controller namespace-controller
serviceaccount-controller garbage-collector-controller daemonset-controller job-controller deployment-controller
replicaset-controller horizontal-pod-autoscaler-controller disruption-controller statefulset-controller
cronjob-controller certificatesigningrequest-signing-controller certificatesigningrequest-approving-controller
certificatesigningrequest-cleaner-controller ttl-controller bootstrap-signer-controller token-cleaner-controller
node-ipam-controller node-lifecycle-controller service-lb-controller node-route-controller
persistentvolume-binder-controller persistentvolume-attach-detach-controller persistentvolume-expander-controller
clusterrole-aggregation-controller persistentvolumeclaim-protection-controller
persistentvolume-protection-controller ttl-after-finished-controller root-ca-certificate-publisher-controller
ephemeral-volume-controller resourceclaim-controller legacy-serviceaccount-token-cleaner-controller
validatingadmissionpolicy-status-controller taint-eviction-controller service-cidr-controller
storage-version-migrator-controller selinux-warning-controller volumeattributesclass-protection-controller
"""
"""The names in kube-controller-manager's reference."""


def resource(name: str, group: str = "", *, namespaced: bool = True, verbs: tuple[str, ...] = VERBS) -> APIResource:
    return APIResource(group=group, version="v1", name=name, kind=name.title(), namespaced=namespaced, verbs=verbs)


def test_pods_go_first_and_what_cannot_be_deleted_is_left_out() -> None:
    found = content_resources(
        [
            resource("configmaps"),
            resource("pods", "metrics.k8s.io", verbs=("get", "list")),
            resource("nodes", namespaced=False),
            resource("pods/log"),
            resource("pods"),
            resource("widgets", "example.com", verbs=("list", "delete")),
        ]
    )
    assert [(each.name, each.group) for each in found] == [
        ("pods", ""), ("configmaps", ""), ("widgets", "example.com"),
    ]  # fmt: skip


def test_conditions_tell_what_remains_and_why() -> None:
    findings = Findings(errors=["widgets: no"], unread_groups=("example.com/v1",))
    stuck = ConfigMap(metadata=ObjectMeta(name="a", finalizers=["example.com/hold"]))
    findings.note_objects(resource("configmaps"), [stuck, ConfigMap()])
    assert not findings.empty
    told = {each.type: (each.status, each.reason, each.message) for each in conditions(None, findings, 0.0)}
    assert told["NamespaceContentRemaining"] == (
        "True",
        "SomeResourcesRemain",
        "Some resources are remaining: configmaps has 2 resource instances",
    )
    assert told["NamespaceFinalizersRemaining"][2].endswith("example.com/hold in 1 resource instances")
    assert told["NamespaceDeletionDiscoveryFailure"][:2] == ("True", "DiscoveryFailed")
    assert told["NamespaceDeletionContentFailure"][:2] == ("True", "ContentDeletionFailed")
    assert told["NamespaceDeletionGroupVersionParsingFailure"][:2] == ("False", "ParsedGroupVersions")


def test_conditions_of_an_empty_namespace_are_all_false() -> None:
    assert Findings().empty
    assert {each.status for each in conditions(None, Findings(), 0.0)} == {"False"}


def namespace(name: str = "team") -> Namespace:
    return Namespace(metadata=ObjectMeta(name=name))


async def test_every_namespace_has_its_account_again_and_again() -> None:
    api = FakeApi()
    running = Running(api, SERVICE_ACCOUNT)
    api.put(namespace())
    await settle(api, running)
    assert [each.key for each in api.all(ServiceAccount)] == ["team/default"]
    await api.delete(ServiceAccount, "default", "team")
    await settle(api, running)
    assert [each.key for each in api.all(ServiceAccount)] == ["team/default"]


async def test_a_namespace_that_is_being_deleted_gets_nothing() -> None:
    api = FakeApi()
    running = Running(api, SERVICE_ACCOUNT)
    ending = namespace()
    ending.metadata.deletionTimestamp = "2026-01-01T00:00:00Z"
    api.put(ending)
    await settle(api, running)
    assert api.all(ServiceAccount) == []


async def test_the_authority_is_published_and_repaired(tmp_path: Path) -> None:
    (tmp_path / "ca.crt").write_text("PEM")
    api: Any = FakeApi()
    api.config = ClientConfig(server="https://x")
    running = Running(api, ROOT_CA, root_ca_file=str(tmp_path / "ca.crt"))
    api.put(namespace())
    await settle(api, running)
    assert api.find(ConfigMap, "team/kube-root-ca.crt").data == {"ca.crt": "PEM"}
    api.change(ConfigMap, "team/kube-root-ca.crt", lambda each: setattr(each, "data", {"ca.crt": "forged"}))
    await settle(api, running)
    assert api.find(ConfigMap, "team/kube-root-ca.crt").data == {"ca.crt": "PEM"}
    await api.delete(ConfigMap, "kube-root-ca.crt", "team")
    await settle(api, running)
    assert api.find(ConfigMap, "team/kube-root-ca.crt").data == {"ca.crt": "PEM"}


def test_the_kubeconfigs_authority_is_the_default() -> None:
    assert root_ca("", ClientConfig(server="https://x", ca_data="INLINE")) == "INLINE"
    with pytest.raises(FatalError, match="--root-ca-file"):
        root_ca("/none", ClientConfig(server="https://x"))


# The manager's own choices


def test_controllers_have_upstreams_names() -> None:
    names = {spec.name for spec in SPECS}
    assert {"deployment-controller", "garbage-collector-controller", "taint-eviction-controller"} <= names
    assert names - set(UPSTREAM.split()) == set(storage.ACCOUNTS)  # provisioners are not in there upstream


def test_every_controller_has_an_account_with_a_role_of_its_own() -> None:
    """Else it would be refused everything with --use-service-account-credentials."""
    roles = {default.role.name for default in default_roles()}
    roles |= {f"system:controller:{name}" for name in storage.ACCOUNTS}  # their rights come with their classes
    own = [spec for spec in SPECS if not spec.speaks_as_daemon]
    assert [spec.name for spec in own if f"system:controller:{spec.account}" not in roles] == []


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (["*"], ["a", "b", "c"]),
        (["*", "-b"], ["a", "c"]),
        (["b"], ["b"]),
        (["-a", "*"], ["b", "c"]),
        (["b", "-b"], []),
    ],
)
def test_controllers_are_chosen(wanted: list[str], expected: list[str]) -> None:
    assert selected(wanted, ["a", "b", "c"]) == expected


def test_an_unknown_controller_is_an_error() -> None:
    with pytest.raises(ValueError, match="unknown x, y; there are a, b"):
        selected(["y", "-x"], ["a", "b"])


@pytest.mark.parametrize(
    "flags",
    [
        ["--concurrent-gc-syncs=0"],
        ["--max-endpoints-per-slice=1001"],
        ["--node-monitor-grace-period=5s"],
        ["--kube-api-qps=50"],
        ["--node-monitor-period=fast"],
    ],
)
def test_flags_that_make_no_sense_are_refused(flags: list[str]) -> None:
    with pytest.raises(SystemExit):
        parse(SPECS, flags)


def test_flags_have_upstreams_defaults() -> None:
    options = parse(SPECS, [])
    assert (options.serving.port, options.election.enabled, options.node_monitor_grace_period) == (10257, True, 50)
    assert options.terminated_pod_gc_threshold == 12500
