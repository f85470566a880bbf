"""The flags of the API server."""

from __future__ import annotations

import pytest

from apimachinery.features import FEATURES, Feature
from apiserver.auth.authorization.webhook import WebhookSettings
from apiserver.main.configured import set_features
from apiserver.options.options import parse_options
from componentbase.daemon import FatalError


def test_flags_have_upstreams_defaults() -> None:
    options = parse_options([])
    assert (options.secure_port, options.service_node_ports, options.event_ttl_seconds) == (
        6443, range(30000, 32768), 3600,
    )  # fmt: skip
    assert [str(network) for network in options.service_cluster_ip_range] == ["10.96.0.0/16"]
    assert options.authorization_modes == ["AlwaysAllow"]
    options = parse_options(["--etcd-servers=http://a:1,http://b:2", "--service-node-port-range=100-200"])
    assert (options.etcd_servers, options.service_node_ports) == (["http://a:1", "http://b:2"], range(100, 201))


def test_several_modes_decide_in_their_order() -> None:
    assert parse_options(["--authorization-mode=Node,RBAC"]).authorization_modes == ["Node", "RBAC"]


def test_a_mode_that_does_not_exist_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse_options(["--authorization-mode=ABAC,RBAC"])
    assert "ABAC is not implemented; there are AlwaysAllow, AlwaysDeny, Node, RBAC, Webhook" in capsys.readouterr().err


def test_the_webhook_has_a_file_and_times() -> None:
    flags = ["--authorization-mode=Node,Webhook", "--authorization-webhook-config-file=f"]
    assert parse_options(flags).authorization_webhook == WebhookSettings("f", "v1beta1", 300.0, 30.0)
    flags += ["--authorization-webhook-version=v1", "--authorization-webhook-cache-authorized-ttl=0s"]
    assert parse_options(flags).authorization_webhook == WebhookSettings("f", "v1", 0.0, 30.0)
    assert parse_options(["--authorization-mode=RBAC"]).authorization_webhook is None


@pytest.mark.parametrize(
    "flags",
    [
        ["--authorization-mode=Webhook"], ["--authorization-webhook-config-file=f"],
        ["--authorization-webhook-version=v2"], ["--authorization-mode=RBAC,RBAC"],
        ["--authorization-mode="], ["--service-cluster-ip-range=10.0.0.0/30"],
        ["--service-cluster-ip-range=fd00::/63"], ["--service-cluster-ip-range="],
        ["--service-cluster-ip-range=10.0.0.0/16,10.1.0.0/16"], ["--service-node-port-range=5"], ["--tls-cert-file=x"],
        ["--kubelet-client-key=x"], ["--unknown"], ["--event-ttl=5"],
    ],
)  # fmt: skip
def test_flags_that_can_not_be_used_end_the_process(flags: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parse_options(flags)
    assert caught.value.code == 2
    assert "error:" in capsys.readouterr().err


def test_features_are_switched_on_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FEATURES, "Flight", Feature("Flight"))
    set_features(parse_options(["--feature-gates=Flight=true"]))
    assert FEATURES["Flight"].enabled
    set_features(parse_options(["--feature-gates=Flight=false"]))
    assert not FEATURES["Flight"].enabled
    with pytest.raises(FatalError, match="unrecognized feature gate: Flights"):
        set_features(parse_options(["--feature-gates=Flight=true,Flights=true"]))
