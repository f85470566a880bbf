"""The cluster's certificates and kubeconfigs: made once, kept while good, remade when not."""

from __future__ import annotations

import base64
import json
import ssl
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from mini_cluster.cluster.state import ClusterState, EtcdPorts, Ports
from mini_cluster.pki.certificates import LEAF_LIFETIME, RENEW_BEFORE, Certificate, ensure
from mini_cluster.pki.identities import cluster_certificates
from mini_cluster.pki.kubeconfig import write_kubeconfig

NOW = datetime(2026, 1, 31, 10, tzinfo=UTC)
STATE = ClusterState("172.30.7.0/24", "10.244.0.0/16", Ports(6443, 3, 4, (EtcdPorts(1, 2),))).with_node_count(2)
WANTED = cluster_certificates(STATE, "laptop")


def load(folder: Path, name: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate((folder / f"{name}.crt").read_bytes())


def test_a_second_run_makes_nothing(tmp_path: Path) -> None:
    made = ensure(tmp_path, WANTED, NOW)
    assert set(made) == {"ca", "etcd/ca", "front-proxy-ca", *(certificate.name for certificate in WANTED)}
    assert ensure(tmp_path, WANTED, NOW + timedelta(days=1)) == []


def test_keys_are_their_owner_s_alone(tmp_path: Path) -> None:
    ensure(tmp_path, WANTED, NOW)
    for key in tmp_path.rglob("*.key"):
        assert stat.S_IMODE(key.stat().st_mode) == 0o600


def test_leaves_near_their_end_are_renewed_and_the_authority_is_kept(tmp_path: Path) -> None:
    ensure(tmp_path, WANTED, NOW)
    authority = (tmp_path / "ca.crt").read_bytes()
    late = NOW + LEAF_LIFETIME - RENEW_BEFORE + timedelta(minutes=1)
    assert set(ensure(tmp_path, WANTED, late)) == {certificate.name for certificate in WANTED}
    assert (tmp_path / "ca.crt").read_bytes() == authority


def test_a_changed_host_or_subject_is_remade_alone(tmp_path: Path) -> None:
    first = [Certificate("web", "web", hosts=("a",)), Certificate("me", "me", "people")]
    ensure(tmp_path, first, NOW)
    assert ensure(tmp_path, [Certificate("web", "web", hosts=("a", "b")), first[1]], NOW) == ["web"]
    assert ensure(tmp_path, [Certificate("me", "me", "others")], NOW) == ["me"]


@pytest.mark.parametrize("damage", ["crt", "key"])
def test_a_damaged_or_foreign_half_is_remade(tmp_path: Path, damage: str) -> None:
    wanted = [Certificate("me", "me"), Certificate("you", "you")]
    ensure(tmp_path, wanted, NOW)
    (tmp_path / f"me.{damage}").write_bytes((tmp_path / f"you.{damage}").read_bytes())
    assert ensure(tmp_path, wanted, NOW) == ["me"]
    (tmp_path / f"me.{damage}").write_text("no certificate")
    assert ensure(tmp_path, wanted, NOW) == ["me"]


def test_another_authority_remakes_its_leaves(tmp_path: Path) -> None:
    ensure(tmp_path, WANTED, NOW)
    (tmp_path / "etcd/ca.key").unlink()
    assert set(ensure(tmp_path, WANTED, NOW)) == {"etcd/ca", "etcd/server", "apiserver-etcd-client"}


def test_the_api_server_s_certificate_has_every_name_it_is_called_by(tmp_path: Path) -> None:
    ensure(tmp_path, WANTED, NOW)
    names = load(tmp_path, "apiserver").extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert {"localhost", "laptop", "kubernetes", "kubernetes.default.svc.cluster.local"} <= set(
        names.get_values_for_type(x509.DNSName)
    )
    assert {"127.0.0.1", "172.30.7.1", "10.96.0.1"} <= {str(ip) for ip in names.get_values_for_type(x509.IPAddress)}


def test_identities_are_kubernetes_own(tmp_path: Path) -> None:
    ensure(tmp_path, WANTED, NOW)
    subjects = {name: load(tmp_path, name).subject.rfc4514_string() for name in ("admin", "kubelet-worker-2")}
    assert subjects == {
        "admin": "CN=kubernetes-admin,O=system:masters",
        "kubelet-worker-2": "CN=system:node:worker-2,O=system:nodes",
    }


def test_a_server_s_certificate_is_no_client_s(tmp_path: Path) -> None:
    ensure(tmp_path, WANTED, NOW)
    usage = load(tmp_path, "apiserver").extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.SERVER_AUTH]


def test_openssl_takes_the_files(tmp_path: Path) -> None:
    ensure(tmp_path, WANTED, NOW)
    context = ssl.create_default_context(cafile=str(tmp_path / "ca.crt"))
    context.load_cert_chain(tmp_path / "admin.crt", tmp_path / "admin.key")


def test_an_embedded_kubeconfig_can_be_carried_away(tmp_path: Path) -> None:
    ensure(tmp_path, WANTED, NOW)
    path = tmp_path / "kubeconfig"
    write_kubeconfig(path, "https://127.0.0.1:6443", tmp_path, "admin", user="kubernetes-admin", embed=True)
    config = json.loads(path.read_text())
    assert str(tmp_path) not in path.read_text()
    assert base64.b64decode(config["users"][0]["user"]["client-key-data"]) == (tmp_path / "admin.key").read_bytes()
    assert config["clusters"][0]["cluster"]["server"] == "https://127.0.0.1:6443"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_an_equal_kubeconfig_is_left_alone(tmp_path: Path) -> None:
    ensure(tmp_path, WANTED, NOW)
    path = tmp_path / "kubeconfig"
    write_kubeconfig(path, "https://127.0.0.1:6443", tmp_path, "admin")
    before = path.stat().st_ino
    write_kubeconfig(path, "https://127.0.0.1:6443", tmp_path, "admin")
    assert path.stat().st_ino == before


def test_the_key_of_tokens_is_made_once(tmp_path: Path) -> None:
    ensure(tmp_path, WANTED, NOW)
    key = (tmp_path / "sa.key").read_bytes()
    assert b"PRIVATE KEY" in key
    ensure(tmp_path, WANTED, NOW + timedelta(days=4000))
    assert (tmp_path / "sa.key").read_bytes() == key
