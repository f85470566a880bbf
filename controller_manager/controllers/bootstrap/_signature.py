"""Signs a text with a bootstrap token: a JSON Web Signature, HS256, whose payload is left out. Pure.

Source: RFC 7515, appendix F (detached content); Kubernetes documentation, "Authenticating with Bootstrap Tokens",
"ConfigMap Signing".
"""

from __future__ import annotations

import hashlib
import hmac
import json
from base64 import urlsafe_b64encode


def detached_signature(text: str, token_id: str, token_secret: str) -> str:
    """Returns "HEADER..SIGNATURE". PyJWT has no signature in this form, and warns of a key as short as a token."""
    header = _encoded(json.dumps({"alg": "HS256", "kid": token_id}, separators=(",", ":")).encode())
    signed = f"{header}.{_encoded(text.encode())}"
    return f"{header}..{_encoded(hmac.digest(token_secret.encode(), signed.encode(), hashlib.sha256))}"


def _encoded(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()
