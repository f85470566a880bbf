"""Certificate requests: what is approved, what is signed and for how long, and when requests go."""

from __future__ import annotations

import ssl
from base64 import b64decode, b64encode
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from apimachinery.meta import ObjectMeta
from apimachinery.times import parse_time
from controller_manager.controllers.certificates import approving, cleaner, signing
from controller_manager.controllers.certificates._authority import Authority, AuthorityError, lifetime
from controller_manager.controllers.certificates._requests import (
    client_error,
    kubelet_client_error,
    kubelet_serving_error,
)
from kubeapi.authorization.subjectaccessreview import SubjectAccessReview
from kubeapi.certificates.certificatesigningrequest import (
    KUBE_APISERVER_CLIENT,
    KUBE_APISERVER_CLIENT_KUBELET,
    KUBELET_SERVING,
    CertificateSigningRequest,
    CertificateSigningRequestCondition,
    CertificateSigningRequestSpec,
)
from tests.fakes.api import FakeApi, Running, settle
from tests.fakes.clock import FakeClock
from tests.kits.identity.certificates import write_certificates
from tests.kits.net.requests import encoded_request, request_key, request_pem

NODE = "system:node:n1"
CLIENT_USAGES = ["client auth", "digital signature"]
SERVING_USAGES = ["server auth", "digital signature"]
NOT_NODES = "subject organization is not system:nodes"


def parsed(name: str, *organizations: str, **alternatives: Any) -> x509.CertificateSigningRequest:
    return x509.load_pem_x509_csr(request_pem(name, organizations, **alternatives))


@pytest.mark.parametrize(
    ("usages", "why"),
    [
        (["client auth"], ""),
        (["client auth", "digital signature", "key encipherment"], ""),
        (["digital signature"], "missing required usage for client certificate: client auth"),
        (["client auth", "server auth"], "invalid usage for client certificate: server auth"),
    ],
)
def test_client_certificates_are_for_clients(usages: list[str], why: str) -> None:
    assert client_error(parsed("jane"), usages) == why


@pytest.mark.parametrize(
    ("request_of", "usages", "why"),
    [
        (parsed(NODE, "system:nodes"), CLIENT_USAGES, ""),
        (parsed(NODE, "system:nodes"), [*CLIENT_USAGES, "key encipherment"], ""),
        (parsed(NODE), CLIENT_USAGES, NOT_NODES),
        (parsed(NODE, "system:nodes", "system:masters"), CLIENT_USAGES, NOT_NODES),
        (parsed("n1", "system:nodes"), CLIENT_USAGES, "subject common name does not begin with system:node:"),
        (parsed(NODE, "system:nodes", dns=["a"]), CLIENT_USAGES, "DNS subjectAltNames are not allowed"),
        (parsed(NODE, "system:nodes", ips=["10.0.0.1"]), CLIENT_USAGES, "IP subjectAltNames are not allowed"),
        (
            parsed(NODE, "system:nodes"),
            SERVING_USAGES,
            "usages did not match [client auth digital signature]",
        ),
    ],
)
def test_kubelet_client_certificates_name_one_node(
    request_of: x509.CertificateSigningRequest, usages: list[str], why: str
) -> None:
    assert kubelet_client_error(request_of, usages) == why


@pytest.mark.parametrize(
    ("request_of", "usages", "why"),
    [
        (parsed(NODE, "system:nodes", ips=["10.0.0.1"]), SERVING_USAGES, ""),
        (parsed(NODE, "system:nodes", dns=["n1"]), SERVING_USAGES, ""),
        (parsed(NODE, "system:nodes"), SERVING_USAGES, "DNS or IP subjectAltName is required"),
        (parsed("n1", ips=["10.0.0.1"]), SERVING_USAGES, NOT_NODES),
        (
            parsed(NODE, "system:nodes", dns=["a"], others=[x509.RFC822Name("a@b.example")]),
            SERVING_USAGES,
            "Email subjectAltNames are not allowed",
        ),
        (
            parsed(NODE, "system:nodes", dns=["a"], others=[x509.UniformResourceIdentifier("spiffe://a")]),
            SERVING_USAGES,
            "URI subjectAltNames are not allowed",
        ),
        (
            parsed(NODE, "system:nodes", dns=["a"]),
            CLIENT_USAGES,
            "usages did not match [digital signature server auth]",
        ),
    ],
)
def test_kubelet_serving_certificates_have_addresses(
    request_of: x509.CertificateSigningRequest, usages: list[str], why: str
) -> None:
    assert kubelet_serving_error(request_of, usages) == why


@pytest.mark.parametrize(
    ("seconds", "hours"), [(None, 24.0), (7200, 2.0), (7 * 24 * 3600, 24.0), (600, 1 / 6), (5, 1 / 6)]
)
def test_a_request_may_ask_for_less_time_than_the_signer_gives(seconds: int | None, hours: float) -> None:
    assert lifetime(seconds, timedelta(hours=24)) == timedelta(hours=hours)


@pytest.fixture
def authority(tmp_path: Path) -> dict[str, Path]:
    return write_certificates(tmp_path)


def test_a_signed_certificate_has_what_was_asked_for(authority: dict[str, Path]) -> None:
    issuer = Authority.load(str(authority["ca"]), str(authority["ca-key"]))
    now = datetime.now(UTC)
    request_of = parsed(NODE, "system:nodes", dns=["n1"], ips=["10.0.0.1"])
    certificate = x509.load_pem_x509_certificate(issuer.sign(request_of, SERVING_USAGES, timedelta(hours=1), now))
    certificate.verify_directly_issued_by(issuer.certificate)
    assert certificate.subject == request_of.subject
    assert certificate.public_key() == request_key().public_key()
    assert certificate.not_valid_before_utc <= now
    assert abs(certificate.not_valid_after_utc - now - timedelta(hours=1)) < timedelta(seconds=2)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["n1"]
    purposes = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(purposes) == [x509.ExtendedKeyUsageOID.SERVER_AUTH]
    assert not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


def test_a_certificate_for_client_auth_alone_can_be_used(authority: dict[str, Path], tmp_path: Path) -> None:
    issuer = Authority.load(str(authority["ca"]), str(authority["ca-key"]))
    pem = issuer.sign(parsed("jane"), ["client auth"], timedelta(hours=1), datetime.now(UTC))
    extensions = x509.load_pem_x509_certificate(pem).extensions
    with pytest.raises(x509.ExtensionNotFound):
        extensions.get_extension_for_class(x509.KeyUsage)
    key = request_key().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "jane.pem").write_bytes(pem + key)
    ssl.create_default_context().load_cert_chain(tmp_path / "jane.pem")  # OpenSSL refuses an invalid certificate


def test_a_certificate_never_outlives_its_authority(authority: dict[str, Path]) -> None:
    issuer = Authority.load(str(authority["ca"]), str(authority["ca-key"]))
    pem = issuer.sign(parsed("jane"), ["client auth"], timedelta(days=3650), datetime.now(UTC))
    certificate = x509.load_pem_x509_certificate(pem)
    assert certificate.not_valid_after_utc == issuer.certificate.not_valid_after_utc


def test_files_that_are_no_pair_are_told(authority: dict[str, Path]) -> None:
    with pytest.raises(AuthorityError, match="is not that of the certificate"):
        Authority.load(str(authority["ca"]), str(authority["client-key"]))
    with pytest.raises(AuthorityError, match="No such file"):
        Authority.load(str(authority["ca"]), "/nowhere")


class ReviewingApi(FakeApi):
    """Answers access reviews: `allowed` are (user, subresource)."""

    def __init__(self, *allowed: tuple[str, str]) -> None:
        super().__init__(FakeClock())
        self.allowed = allowed

    async def create(self, obj: Any) -> Any:
        if not isinstance(obj, SubjectAccessReview):
            return await super().create(obj)
        answer = obj.clone()
        attributes = answer.spec.resourceAttributes
        assert attributes is not None
        answer.status.allowed = (answer.spec.user, attributes.subresource) in self.allowed
        return answer


def request(
    user: str,
    signer: str = KUBE_APISERVER_CLIENT_KUBELET,
    *decisions: str,
    encoded: str = "",
    usages: list[str] | None = None,
) -> CertificateSigningRequest:
    obj = CertificateSigningRequest(
        metadata=ObjectMeta(name="r"),
        spec=CertificateSigningRequestSpec(
            request=encoded or encoded_request(NODE, ["system:nodes"]),
            signerName=signer,
            usages=usages or CLIENT_USAGES,
            username=user,
        ),
    )
    obj.status.conditions = [
        CertificateSigningRequestCondition(type=kind, status="True", lastUpdateTime="2026-01-01T00:00:00Z")
        for kind in decisions
    ] or None
    return obj


async def conditions_after(api: FakeApi, running: Running) -> list[str]:
    await settle(api, running)
    return [f"{item.type} {item.message}" for item in api.find(CertificateSigningRequest, "r").status.conditions or ()]


SELF = "Approved Auto approving self kubelet client certificate after SubjectAccessReview."
NEW = "Approved Auto approving kubelet client certificate after SubjectAccessReview."


@pytest.mark.parametrize(
    ("sent", "allowed", "decision"),
    [
        (request("bootstrapper"), [("bootstrapper", "nodeclient")], [NEW]),
        (request(NODE), [(NODE, "selfnodeclient")], [SELF]),
        (request("other"), [("other", "selfnodeclient")], []),  # that right is for one's own name
        (request("bootstrapper"), [], []),
        (request(NODE, KUBELET_SERVING), [(NODE, "selfnodeclient"), (NODE, "nodeclient")], []),
        (request(NODE, encoded=encoded_request("jane")), [(NODE, "nodeclient")], []),
        (request(NODE, KUBE_APISERVER_CLIENT_KUBELET, "Denied"), [(NODE, "nodeclient")], ["Denied None"]),
    ],
)
async def test_kubelets_are_approved_by_their_right(
    sent: CertificateSigningRequest, allowed: list[tuple[str, str]], decision: list[str]
) -> None:
    api = ReviewingApi(*allowed)
    running = Running(api, approving.CONTROLLER)
    api.put(sent)
    assert await conditions_after(api, running) == decision


async def test_who_may_not_yet_is_asked_for_again() -> None:
    api = ReviewingApi()
    running = Running(api, approving.CONTROLLER)
    api.put(request("bootstrapper"))
    await settle(api, running)
    assert running.delays == {"r": approving.RETRY_SECONDS}


def signer(api: FakeApi, authority: dict[str, Path]) -> Running:
    return Running(
        api,
        signing.CONTROLLER,
        cluster_signing_cert_file=str(authority["ca"]),
        cluster_signing_key_file=str(authority["ca-key"]),
        cluster_signing_duration=3600.0,
    )


@pytest.mark.parametrize(
    ("sent", "issued", "decisions"),
    [
        (request(NODE, KUBE_APISERVER_CLIENT_KUBELET, "Approved"), True, ["Approved None"]),
        (request(NODE, KUBE_APISERVER_CLIENT_KUBELET), False, []),
        (request(NODE, KUBE_APISERVER_CLIENT_KUBELET, "Denied"), False, ["Denied None"]),
        (request(NODE, "example.com/own", "Approved"), False, ["Approved None"]),
        (
            request(NODE, KUBE_APISERVER_CLIENT, "Approved", usages=["server auth"]),
            False,
            ["Approved None", "Failed invalid usage for client certificate: server auth"],
        ),
    ],
)
async def test_approved_requests_are_signed_or_fail(
    sent: CertificateSigningRequest, issued: bool, decisions: list[str], authority: dict[str, Path]
) -> None:
    api = FakeApi()
    running = signer(api, authority)
    api.put(sent)
    assert await conditions_after(api, running) == decisions
    certificate = api.find(CertificateSigningRequest, "r").status.certificate
    assert bool(certificate) is issued
    if certificate:
        x509.load_pem_x509_certificate(b64decode(certificate))


def test_requests_go_when_nobody_waits_for_them(authority: dict[str, Path]) -> None:
    made = "2026-01-01T00:00:00Z"
    certificate = b64encode(authority["client"].read_bytes()).decode()
    expiry = x509.load_pem_x509_certificate(authority["client"].read_bytes()).not_valid_after_utc.timestamp()

    def end(*decisions: str, certificate: str | None = None, at: str = made) -> float | None:
        obj = request(NODE, KUBELET_SERVING, *decisions)
        obj.metadata.creationTimestamp = made
        obj.status.certificate = certificate
        for condition in obj.status.conditions or ():
            condition.lastUpdateTime = at
        return cleaner.end_of(obj)

    start = parse_time(made)
    assert end() == start + cleaner.PENDING_SECONDS
    assert end("Denied") == end("Approved", "Failed") == start + cleaner.DECIDED_SECONDS
    assert end("Approved") is None
    assert end("Approved", certificate=certificate) == start + cleaner.DECIDED_SECONDS
    assert end("Approved", certificate=certificate, at="2126-01-01T00:00:00Z") == expiry


async def test_the_cleaner_waits_and_then_removes() -> None:
    clock = FakeClock()
    api = FakeApi(clock)
    running = Running(api, cleaner.CONTROLLER)
    api.put(request(NODE))
    await settle(api, running)
    assert running.delays["r"] == pytest.approx(cleaner.PENDING_SECONDS, abs=1)
    clock.step(cleaner.PENDING_SECONDS + 1)
    running.queue.add("r")
    await settle(api, running)
    assert api.all(CertificateSigningRequest) == []
