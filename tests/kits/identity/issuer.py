"""An issuer of JSON Web Tokens on loopback: an HTTPS server with a discovery document and keys, and what it signs."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from tests.kits.identity.certificates import write_certificates
from tests.kits.net.loopback import https_server

AUDIENCE = "the-cluster"
WELL_KNOWN = "/.well-known/openid-configuration"


class Issuer:
    """`keys` are what it serves, by key id; a test may change them, and what the documents say."""

    def __init__(self, url: str, ca_pem: str) -> None:
        self.url = url
        self.ca_pem = ca_pem
        self.keys: dict[str, Any] = {"first": rsa.generate_private_key(65537, 2048)}
        self.discovery: dict[str, Any] = {"issuer": url, "jwks_uri": f"{url}/keys"}
        self.requests: list[str] = []

    def token(
        self, key_id: str = "first", *, key: Any = None, headers: dict[str, Any] | None = None, **claims: Any
    ) -> str:
        """Signed by one of the keys, or by another; a claim of None is left out."""
        now = int(time.time())
        all_claims = {"iss": self.url, "aud": AUDIENCE, "sub": "joe", "iat": now, "exp": now + 600, **claims}
        given = {name: value for name, value in all_claims.items() if value is not None}
        key = key or self.keys[key_id]
        algorithm = "ES256" if isinstance(key, ec.EllipticCurvePrivateKey) else "RS256"
        return jwt.encode(given, key, algorithm, headers={"kid": key_id, **(headers or {})})

    def key_set(self) -> dict[str, Any]:
        return {"keys": [{**_jwk(key), "kid": key_id, "use": "sig"} for key_id, key in self.keys.items()]}

    def answer(self, path: str) -> dict[str, Any] | None:
        self.requests.append(path)
        return {WELL_KNOWN: self.discovery, "/keys": self.key_set()}.get(path)

    def configuration(self, **authenticator: Any) -> dict[str, Any]:
        """An AuthenticationConfiguration that believes this issuer."""
        mappings = {"username": {"claim": "sub", "prefix": "oidc:"}, "groups": {"claim": "groups", "prefix": "oidc:"}}
        issuer = {"url": self.url, "certificateAuthority": self.ca_pem, "audiences": [AUDIENCE]}
        return {
            "apiVersion": "apiserver.config.k8s.io/v1",
            "kind": "AuthenticationConfiguration",
            "jwt": [{"issuer": issuer, "claimMappings": mappings, **authenticator}],
        }


def _jwk(key: Any) -> dict[str, Any]:
    algorithm = ECAlgorithm if isinstance(key, ec.EllipticCurvePrivateKey) else RSAAlgorithm
    fields: dict[str, Any] = json.loads(algorithm.to_jwk(key.public_key()))
    return {name: value for name, value in fields.items() if name != "key_ops"}


@contextmanager
def running_issuer(folder: Path) -> Iterator[Issuer]:
    files = write_certificates(folder)

    served: list[Issuer] = []
    with https_server(files, lambda path, _: served[0].answer(path)) as port:
        served.append(Issuer(f"https://127.0.0.1:{port}", files["ca"].read_text()))
        yield served[0]
