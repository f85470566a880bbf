"""What one line tells a machine that joins: where the cluster is, how to know it, and its networks."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from ipaddress import IPv4Network

from mini_cluster.errors import LauncherError

HASH = re.compile(r"sha256:[0-9a-f]{64}\Z")
TOKEN = re.compile(r"[a-z0-9]{6}\.[a-z0-9]{16}\Z")


class InvitationError(LauncherError):
    """The line is not one that `join-command` printed."""


@dataclass(frozen=True)
class Invitation:
    server: str
    """ "ADDRESS:PORT" of the API server."""
    token: str
    ca_hash: str
    pod_network: str
    host_network: str
    """The network of the worker hosts on the control plane's own machine."""

    @property
    def command(self) -> str:
        return (
            f"mini-cluster join {self.server} --token {self.token} --discovery-token-ca-cert-hash {self.ca_hash} "
            f"--pod-network {self.pod_network} --host-network {self.host_network}"
        )

    def check(self) -> None:
        """Raises: InvitationError."""
        host, colon, port = self.server.rpartition(":")
        if not host or not colon or not port.isdigit():
            raise InvitationError(f"{self.server!r} is not ADDRESS:PORT of an API server")
        if not TOKEN.match(self.token):
            raise InvitationError("the token has not the form abcdef.0123456789abcdef")
        if not HASH.match(self.ca_hash):
            raise InvitationError("the hash of the authority has not the form sha256:<64 hexadecimal digits>")
        try:
            IPv4Network(self.pod_network), IPv4Network(self.host_network)
        except ValueError as error:
            raise InvitationError(str(error)) from None


def hashed_authorities(pem: bytes) -> dict[str, bytes]:
    """Returns each certificate of the text (PEM, alone) by the hash with which a machine knows its authority.

    The hash is kubeadm's. It is of the public key, so a renewed certificate of the same key keeps it.
    Raises: ValueError for no certificate.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    authorities = {}
    for certificate in x509.load_pem_x509_certificates(pem):
        key = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        authorities["sha256:" + hashlib.sha256(key).hexdigest()] = certificate.public_bytes(Encoding.PEM)
    return authorities


def ca_hash(pem: bytes) -> str:
    """Returns the hash of the first authority. Raises: ValueError for no certificate."""
    return next(iter(hashed_authorities(pem)))
