"""Who may ask: tokens, client certificates, and nobody else."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from componentbase.tls import client_context
from tests.kits.control_plane.apiserver import ApiServer
from tests.kits.control_plane.etcd import EtcdServer
from tests.kits.identity.certificates import write_certificates


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return write_certificates(tmp_path_factory.mktemp("pki"))


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory, certificates: dict[str, Path]) -> Iterator[ApiServer]:
    folder = tmp_path_factory.mktemp("api")
    files = certificates
    flags = [
        f"--client-ca-file={files['ca']}", f"--tls-cert-file={files['server']}",
        f"--tls-private-key-file={files['server-key']}",
    ]  # fmt: skip
    with EtcdServer(folder) as etcd, ApiServer(folder / "apiserver", etcd.url, *flags) as server:
        yield server


PRIVATE = ["/api", "/apis", "/api/v1", "/api/v1/pods", "/api/v1/namespaces/default", "/metrics", "/openapi/v3", "/none"]


@pytest.mark.parametrize("path", PRIVATE)
def test_without_identity_nothing_is_told(api: ApiServer, path: str) -> None:
    for headers in ({}, {"authorization": "Bearer wrong"}, {"authorization": "Basic x"}, {"authorization": ""}):
        with api.client() as http:
            answer = http.get(path, headers=headers)
        assert answer.status_code == 401
        assert answer.json() == {
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": "Unauthorized",
            "reason": "Unauthorized", "code": 401,
        }  # fmt: skip


@pytest.mark.parametrize("path", ["/healthz", "/livez", "/readyz", "/version", "/readyz?verbose", "/livez/ping"])
def test_health_and_version_are_open(api: ApiServer, path: str) -> None:
    with api.client() as http:
        assert http.get(path).status_code == 200


def test_tokens_are_taken_in_any_case_of_the_scheme(api: ApiServer) -> None:
    for value in ("Bearer test-token", "bearer test-token", "Bearer  other-token"):
        with api.client() as http:
            assert http.get("/api", headers={"authorization": value}).status_code == 200


def tls(files: dict[str, Path], authority: Path | None = None) -> ssl.SSLContext:
    """A client's context with a certificate; without an authority it trusts any server."""
    return client_context(
        ca_file=str(authority or ""),
        cert_file=str(files["client"]),
        key_file=str(files["client-key"]),
        insecure=authority is None,
    )


def test_a_client_certificate_is_an_identity(api: ApiServer, certificates: dict[str, Path]) -> None:
    with httpx.Client(base_url=api.url, verify=tls(certificates, certificates["ca"])) as http:
        for _ in range(3):
            assert http.get("/api/v1/namespaces").status_code == 200
        assert http.get("/api", headers={"authorization": "Bearer wrong"}).status_code == 401


def test_a_certificate_of_another_authority_is_none(api: ApiServer, tmp_path: Path) -> None:
    files = write_certificates(tmp_path)
    with httpx.Client(base_url=api.url, verify=tls(files)) as http, pytest.raises(httpx.TransportError):
        http.get("/api")


def test_bad_flags_end_the_server_with_a_message(tmp_path: Path) -> None:
    for flag, said in (
        ("--authorization-mode=Nobody,RBAC", "Nobody is not implemented"),
        ("--disable-admission-plugins=Nothing", "unknown admission plugin"),
        ("--service-cluster-ip-range=10.0.0.0/33", "service-cluster-ip-range"),
        ("--tls-cert-file=/none", "belong together"),
        ("--service-node-port-range=5", "30000-32767"),
    ):
        with pytest.raises(RuntimeError, match=said):
            ApiServer(tmp_path / flag.strip("-").split("=")[0], "http://127.0.0.1:1", flag).start()
