"""kubectl's rules for finding, merging and reading kubeconfig files."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
import yaml

from kubeclient.access.config import ConfigError, in_cluster_config, load_config


def write(path: Path, **sections: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump({"apiVersion": "v1", "kind": "Config", **sections}))
    return path


def kubeconfig(path: Path, name: str = "one", server: str = "https://127.0.0.1:6443", **user: object) -> Path:
    return write(
        path,
        clusters=[{"name": name, "cluster": {"server": server, "certificate-authority": "pki/ca.crt"}}],
        users=[{"name": name, "user": user or {"token": f"token-{name}"}}],
        contexts=[{"name": name, "context": {"cluster": name, "user": name, "namespace": f"ns-{name}"}}],
        **{"current-context": name},
    )


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("KUBECONFIG", "KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


def test_an_explicit_file_is_read_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig(tmp_path / "other", "other")))
    config = load_config(str(kubeconfig(tmp_path / "config")))
    assert (config.context, config.namespace, config.token) == ("one", "ns-one", "token-one")
    assert (config.host, config.port, config.secure) == ("127.0.0.1", 6443, True)


def test_paths_are_relative_to_their_file(tmp_path: Path) -> None:
    file = kubeconfig(tmp_path / "deep" / "config", **{"client-certificate": "a.crt", "client-key": "/abs/a.key"})
    config = load_config(str(file))
    assert config.ca_file == str(tmp_path / "deep" / "pki" / "ca.crt")
    assert config.cert_file == str(tmp_path / "deep" / "a.crt")
    assert config.key_file == "/abs/a.key"


def test_of_several_files_the_first_wins_and_missing_ones_are_skipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = kubeconfig(tmp_path / "a", "one"), kubeconfig(tmp_path / "b", "two")
    rival = kubeconfig(tmp_path / "c", "one", server="https://rival:1")
    monkeypatch.setenv("KUBECONFIG", f"{tmp_path / 'missing'}:{first}:{second}:{rival}")
    assert load_config().server == "https://127.0.0.1:6443"
    assert load_config().context == "one"
    assert load_config(context="two").token == "token-two"


def test_data_is_decoded(tmp_path: Path) -> None:
    pem = "-----BEGIN CERTIFICATE-----\nx\n"
    file = kubeconfig(tmp_path / "c", **{"client-certificate-data": base64.b64encode(pem.encode()).decode()})
    assert load_config(str(file)).cert_data == pem


def test_the_home_config_is_the_default(tmp_path: Path) -> None:
    kubeconfig(tmp_path / "home" / ".kube" / "config", "home")
    assert load_config().context == "home"


def test_a_pods_own_credentials_are_the_last_resort(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "token").write_text("t")
    (tmp_path / "namespace").write_text("team\n")
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.96.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    config = in_cluster_config(str(tmp_path))
    assert config is not None
    assert (config.server, config.namespace) == ("https://10.96.0.1:443", "team")
    assert config.ca_file == str(tmp_path / "ca.crt")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [", "not a YAML file"),
        ("- a", "expected a mapping"),
        ("kind: Pod", "its kind is 'Pod'"),
        ("kind: Config", "names no current-context"),
        ("current-context: gone", 'context "gone" does not exist'),
        ("clusters: {}", "names no current-context"),
        ("clusters: [x]", "every item of clusters needs a name"),
        ("current-context: c\ncontexts: [{name: c, context: {cluster: k}}]", 'cluster "k" does not exist'),
        (
            "current-context: c\ncontexts: [{name: c, context: {cluster: k}}]\nclusters: [{name: k, cluster: {server: ftp://x}}]",
            "server must be an http",
        ),
        (
            "current-context: c\ncontexts: [{name: c, context: {cluster: k, user: u}}]\n"
            "clusters: [{name: k, cluster: {server: 'https://x'}}]\nusers: [{name: u, user: {client-key-data: '%%'}}]",
            "client-key-data is not base64",
        ),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "config"
    file.write_text(text)
    with pytest.raises(ConfigError, match=message):
        load_config(str(file))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        load_config(str(tmp_path / "none"))
    with pytest.raises(ConfigError, match="no kubeconfig found"):
        load_config()


def test_a_user_may_ask_to_run_in_the_name_of_another(tmp_path: Path) -> None:
    other = {"as": "joe", "as-groups": ["a", "b"], "as-uid": "7", "as-user-extra": {"acme.com/project": ["one", "two"]}}
    config = load_config(str(kubeconfig(tmp_path / "config", **other)))
    assert config.impersonation is not None
    assert list(config.impersonation.headers()) == [
        ("Impersonate-User", "joe"),
        ("Impersonate-Group", "a"),
        ("Impersonate-Group", "b"),
        ("Impersonate-Uid", "7"),
        ("Impersonate-Extra-acme.com%2Fproject", "one"),
        ("Impersonate-Extra-acme.com%2Fproject", "two"),
    ]
    with pytest.raises(ConfigError, match="need a user to impersonate"):
        load_config(str(kubeconfig(tmp_path / "groups", **{"as-groups": ["a"]})))
