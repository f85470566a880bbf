"""Gets a certificate from the cluster: creates the request, and waits until it is issued or refused."""

from __future__ import annotations

from base64 import b64decode
from contextlib import aclosing, suppress

from cryptography import x509

from apimachinery.conditions import get_condition
from apimachinery.errors import AlreadyExists
from componentbase import logs
from kubeapi.certificates.certificatesigningrequest import DENIED, FAILED, CertificateSigningRequest
from kubeclient.rest import RestClient
from kubelet.certificate.files import CertificateFiles
from kubelet.certificate.request import WantedCertificate, make_request

log = logs.logger(__name__)


class Refused(Exception):
    """The request was denied, can't be signed, or is gone: a new one needs a new key."""


async def obtain(rest: RestClient, wanted: WantedCertificate, files: CertificateFiles) -> x509.Certificate:
    """Replaces the current certificate by a new one, once the cluster has issued it.

    Raises: Refused, StatusError, ConnectionError, TimeoutError; after all but the first it may go on where it was.
    """
    key = files.pending_key()
    request = make_request(wanted, key)
    with suppress(AlreadyExists):  # made before a restart, by this key
        await rest.create(request)
        log.info("certificate requested", request=request.name, signer=wanted.signer)
    pem = await _wait(rest, request.name)
    certificate = x509.load_pem_x509_certificate(pem)
    if certificate.public_key() != key.public_key():
        files.drop_pending_key()
        raise Refused(f"the certificate in {request.name} is for another key")
    files.replace(pem, key)
    log.info("certificate issued", request=request.name, until=certificate.not_valid_after_utc.isoformat())
    return certificate


async def _wait(rest: RestClient, name: str) -> bytes:
    """Returns the certificate in PEM. Raises: as `obtain`."""
    while True:
        request = await rest.get(CertificateSigningRequest, name)
        if pem := _issued(request):
            return pem
        events = rest.watch(
            CertificateSigningRequest,
            resource_version=request.metadata.resourceVersion or "",
            field_selector=f"metadata.name={name}",
        )
        async with aclosing(events):
            async for event in events:
                if event.type == "DELETED":
                    raise Refused(f"{name} was deleted before it was issued")
                if event.type != "BOOKMARK" and (pem := _issued(event.object)):
                    return pem


def _issued(request: CertificateSigningRequest) -> bytes:
    """Returns the certificate; b"" while there is none. Raises: Refused."""
    for kind in (DENIED, FAILED):
        condition = get_condition(request.status.conditions, kind)
        if condition is not None:
            raise Refused(f"{request.name} is {kind.lower()}: {condition.message or condition.reason or 'no reason'}")
    return b64decode(request.status.certificate or "")
