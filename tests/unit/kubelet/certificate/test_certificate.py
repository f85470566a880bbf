"""The kubelet's certificates: what is asked for under which name, when again, and what the files survive."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from componentbase.clock import Clock
from controller_manager.controllers.certificates._authority import Authority
from controller_manager.controllers.certificates._requests import kubelet_client_error, kubelet_serving_error
from kubeapi.certificates._request import common_name, parse_request
from kubelet.certificate.files import CertificateFiles
from kubelet.certificate.request import (
    WantedCertificate,
    client_certificate,
    covers,
    make_request,
    renewal_time,
    serving_certificate,
)
from tests.fakes.clock import FakeClock
from tests.kits.identity.certificates import write_certificates
from tests.kits.net.requests import request_key

CLIENT = client_certificate("n1")
SERVING = serving_certificate("n1", ("10.0.0.1", "fd00::1"))
HOUR = timedelta(hours=1)


def issued(wanted: WantedCertificate, folder: Path, lifetime: timedelta = HOUR) -> bytes:
    files = write_certificates(folder)
    request = make_request(wanted, request_key()).spec
    authority = Authority.load(str(files["ca"]), str(files["ca-key"]))
    return authority.sign(parse_request(request.request), request.usages, lifetime, datetime.now(UTC))


def test_the_signers_take_what_the_kubelet_asks_for() -> None:
    for wanted, check in ((CLIENT, kubelet_client_error), (SERVING, kubelet_serving_error)):
        spec = make_request(wanted, request_key()).spec
        request = parse_request(spec.request)
        assert check(request, spec.usages) == ""
        assert common_name(request.subject) == "system:node:n1"


def test_a_request_keeps_its_name_for_as_long_as_key_and_content_stay(tmp_path: Path) -> None:
    files = CertificateFiles(str(tmp_path), "kubelet-client", Clock())
    name = make_request(CLIENT, files.pending_key()).name
    assert make_request(CLIENT, CertificateFiles(str(tmp_path), "kubelet-client", Clock()).pending_key()).name == name
    assert make_request(serving_certificate("n1", ("10.0.0.2",)), files.pending_key()).name != name
    files.drop_pending_key()
    assert make_request(CLIENT, files.pending_key()).name != name


def test_a_pending_key_that_was_cut_off_is_made_anew(tmp_path: Path) -> None:
    files = CertificateFiles(str(tmp_path), "kubelet-client", Clock())
    files.pending_key()
    (tmp_path / "kubelet-client.key.tmp").write_bytes(b"-----BEGIN PRIVATE KEY-----\nMIG")
    key = files.pending_key()
    assert files.pending_key().private_numbers() == key.private_numbers()


def test_certificate_and_key_are_replaced_together(tmp_path: Path) -> None:
    clock = FakeClock(datetime.now(UTC).timestamp())
    files = CertificateFiles(str(tmp_path / "pki"), "kubelet-client", clock)
    assert files.load() is None
    files.pending_key()
    files.replace(issued(CLIENT, tmp_path), request_key())
    certificate = files.load()
    assert certificate is not None
    assert files.current.stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in (tmp_path / "pki").iterdir()) == ["kubelet-client-current.pem"]
    clock.step(2 * HOUR.total_seconds())
    assert files.load() is None  # expired


@pytest.mark.parametrize("content", [b"", b"-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n"])
def test_a_damaged_file_counts_as_none(tmp_path: Path, content: bytes) -> None:
    files = CertificateFiles(str(tmp_path), "kubelet-client", Clock())
    files.current.write_bytes(content)
    assert files.load() is None


def test_a_certificate_is_renewed_in_the_last_third_of_its_life(tmp_path: Path) -> None:
    certificate = x509.load_pem_x509_certificate(issued(CLIENT, tmp_path))
    start, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    assert renewal_time(certificate, 0.0) == start + (end - start) * 0.7
    assert renewal_time(certificate, 1.0) == start + (end - start) * 0.9


def test_a_new_address_needs_a_new_certificate(tmp_path: Path) -> None:
    certificate = x509.load_pem_x509_certificate(issued(SERVING, tmp_path))
    assert covers(certificate, SERVING)
    assert covers(certificate, serving_certificate("n1", ("10.0.0.1",)))
    assert not covers(certificate, serving_certificate("n1", ("10.0.0.9",)))
    assert not covers(certificate, serving_certificate("n2", ("10.0.0.1",)))
    client = x509.load_pem_x509_certificate(issued(CLIENT, tmp_path))
    assert covers(client, CLIENT)
    assert not covers(client, SERVING)
