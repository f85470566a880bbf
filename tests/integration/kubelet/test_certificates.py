"""A kubelet's own certificates, on a real API server whose controller manager approves and signs."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from componentbase.clock import Clock
from kubelet.main.agent import run_kubelet
from kubelet.options import Options, parse_options
from tests.fakes.runtime import FakeRuntime
from tests.kits.control_plane.apiserver import ApiServer
from tests.kits.control_plane.etcd import EtcdServer
from tests.kits.eventually import eventually_async
from tests.kits.identity.certificates import write_certificates
from tests.kits.process import TOKEN, controller_manager, free_port

NODE = "worker-1"
REQUESTS = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
MERGE = {"content-type": "application/merge-patch+json"}
LIFETIME_SECONDS = 3600.0


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return write_certificates(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def plane(authority: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    folder = tmp_path_factory.mktemp("plane")
    signing = (
        f"--cluster-signing-cert-file={authority['ca']}",
        f"--cluster-signing-key-file={authority['ca-key']}",
        f"--cluster-signing-duration={LIFETIME_SECONDS:g}s",
    )
    with (
        EtcdServer(folder) as etcd,
        ApiServer(folder / "apiserver", etcd.url, f"--client-ca-file={authority['ca']}") as api,
        controller_manager(api.url, folder / "manager", *signing),
    ):
        yield api


class LateClock(Clock):
    """The wall clock of a machine that was off for a while, for delays, too."""

    def __init__(self, seconds: float) -> None:
        self.late_seconds = seconds

    def now(self) -> float:
        return super().now() + self.late_seconds


class Host:
    """A worker host's files, and kubelets on them, one after the other."""

    def __init__(self, api: ApiServer, root: Path, authority: dict[str, Path]) -> None:
        self.api, self.root, self.authority = api, root, authority
        self.port = free_port()
        self.bootstrap = root / "bootstrap.kubeconfig"
        self.kubeconfig = root / "kubelet.kubeconfig"
        self.write_bootstrap(TOKEN)

    def write_bootstrap(self, token: str) -> None:
        self.bootstrap.write_text(
            f"""
apiVersion: v1
kind: Config
clusters: [{{name: c, cluster: {{server: "{self.api.url}", insecure-skip-tls-verify: true}}}}]
users: [{{name: u, user: {{token: {token}}}}}]
contexts: [{{name: x, context: {{cluster: c, user: u}}}}]
current-context: x
"""
        )

    def options(self) -> Options:
        return parse_options(
            [
                f"--kubeconfig={self.kubeconfig}",
                f"--bootstrap-kubeconfig={self.bootstrap}",
                "--rotate-server-certificates",
                f"--hostname-override={NODE}",
                "--node-ip=127.0.0.1",
                f"--root-dir={self.root}/kubelet",
                f"--client-ca-file={self.authority['ca']}",
                "--address=127.0.0.1",
                f"--port={self.port}",
            ]
        )

    @asynccontextmanager
    async def kubelet(self, late_seconds: float = 0.0) -> AsyncIterator[None]:
        running = asyncio.ensure_future(run_kubelet(self.options(), FakeRuntime(), LateClock(late_seconds)))
        try:
            yield
            assert not running.done(), running.exception()
        finally:
            running.cancel()
            await asyncio.wait((running,))

    def current(self, name: str) -> x509.Certificate | None:
        file = self.root / "kubelet" / "pki" / f"{name}-current.pem"
        return x509.load_pem_x509_certificate(file.read_bytes()) if file.exists() else None

    async def served(self) -> x509.Certificate:
        """The certificate that a new connection sees."""
        pem = await asyncio.to_thread(ssl.get_server_certificate, ("127.0.0.1", self.port))
        return x509.load_pem_x509_certificate(pem.encode())

    async def get(self, path: str) -> dict[str, Any]:
        answer = await asyncio.to_thread(self.api.http.get, path)
        document: dict[str, Any] = answer.json()
        return document

    async def requests(self, signer: str) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = (await self.get(f"{REQUESTS}?fieldSelector=spec.signerName={signer}"))["items"]
        return items

    async def approve(self, name: str, kind: str = "Approved") -> None:
        decision = {"status": {"conditions": [{"type": kind, "status": "True", "reason": "Test"}]}}
        path = f"{REQUESTS}/{name}/approval"
        answer = await asyncio.to_thread(self.api.http.patch, path, json=decision, headers=MERGE)
        assert answer.status_code == 200, answer.text


@pytest.fixture
def host(plane: ApiServer, authority: dict[str, Path], tmp_path: Path) -> Iterator[Host]:
    yield Host(plane, tmp_path, authority)
    plane.http.request("DELETE", REQUESTS)
    plane.http.delete(f"/api/v1/nodes/{NODE}")


SERVING = "kubernetes.io/kubelet-serving"
CLIENT = "kubernetes.io/kube-apiserver-client-kubelet"


async def is_registered(host: Host) -> bool:
    return (await host.get(f"/api/v1/nodes/{NODE}"))["kind"] == "Node"


async def test_a_new_node_gets_its_certificates_by_a_token(host: Host) -> None:
    async with host.kubelet():
        await eventually_async(lambda: host.current("kubelet-client") is not None, "the client certificate is there")
        await eventually_async(lambda: is_registered(host), "the node is registered")
        (request,) = await host.requests(CLIENT)
        assert request["spec"]["username"] == "admin"
        assert host.kubeconfig.stat().st_mode & 0o777 == 0o600

        # Its serving certificate waits for somebody; until then it serves by its own.
        async def waiting() -> bool:
            return len(await host.requests(SERVING)) == 1

        await eventually_async(waiting, "the serving certificate is asked for")
        (request,) = await host.requests(SERVING)
        assert request["spec"]["username"] == f"system:node:{NODE}"
        before = await host.served()
        assert before.issuer == before.subject
        await host.approve(request["metadata"]["name"])

        async def issued() -> bool:
            return (await host.served()).issuer.rfc4514_string() == "CN=test CA"

        await eventually_async(issued, "new connections see the cluster's certificate")


async def test_certificates_are_renewed_before_they_expire(host: Host) -> None:
    async with host.kubelet():
        await eventually_async(lambda: is_registered(host), "the node is registered")
    first = host.current("kubelet-client")
    assert first is not None
    host.write_bootstrap("spent")  # the token is of no more use
    async with host.kubelet(late_seconds=LIFETIME_SECONDS * 0.95):
        await eventually_async(lambda: host.current("kubelet-client") != first, "the certificate is renewed")
        users = {request["spec"]["username"] for request in await host.requests(CLIENT)}
        assert users == {"admin", f"system:node:{NODE}"}


async def test_a_killed_kubelet_goes_on_with_the_request_it_made(host: Host) -> None:
    host.write_bootstrap("other-token")
    async with host.kubelet():

        async def asked() -> bool:
            return len(await host.requests(CLIENT)) == 1

        await eventually_async(asked, "the certificate is asked for")
    async with host.kubelet():
        await eventually_async(lambda: is_registered(host), "the node is registered")
    assert len(await host.requests(CLIENT)) == 1


async def test_a_denied_request_is_followed_by_another(host: Host) -> None:
    async with host.kubelet():
        await eventually_async(lambda: is_registered(host), "the node is registered")

        async def asked() -> bool:
            return bool(await host.requests(SERVING))

        await eventually_async(asked, "the serving certificate is asked for")
        (request,) = await host.requests(SERVING)
        await host.approve(request["metadata"]["name"], "Denied")

        async def again() -> bool:
            return len(await host.requests(SERVING)) == 2

        await eventually_async(again, "another request follows")
