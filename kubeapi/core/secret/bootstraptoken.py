"""Bootstrap tokens: Secrets by which a new node knows the cluster, and the cluster a new node.

Source: Kubernetes documentation, "Authenticating with Bootstrap Tokens".
"""

from __future__ import annotations

import re
from base64 import b64decode
from dataclasses import dataclass
from typing import Literal

from apimachinery.times import parse_time
from kubeapi.core.secret.model import Secret

NAMESPACE = "kube-system"
SECRET_TYPE = "bootstrap.kubernetes.io/token"
FIELD_SELECTOR = f"type={SECRET_TYPE}"
NAME_PREFIX = "bootstrap-token-"
TOKEN = re.compile(r"([a-z0-9]{6})\.([a-z0-9]{16})")
EXTRA_GROUP = re.compile(r"system:bootstrappers:[a-z0-9:-]{0,255}[a-z0-9]")
NEVER = float("inf")

Usage = Literal["authentication", "signing"]


@dataclass(frozen=True, slots=True)
class BootstrapToken:
    id: str
    secret: str
    expires: float
    """Unix seconds; NEVER without an end."""
    usages: frozenset[Usage]
    extra_groups: tuple[str, ...]
    """Groups beside system:bootstrappers."""


def expiry(secret: Secret) -> float:
    """Unix seconds at which the token of the Secret ends; a time that can't be read has passed."""
    text = _value(secret, "expiration")
    if not text:
        return NEVER
    try:
        return parse_time(text)
    except ValueError:
        return 0.0


def bootstrap_token(secret: Secret) -> BootstrapToken | None:
    """Reads the token that a Secret holds; None for any other Secret, and for one that does not keep the rules."""
    if secret.type != SECRET_TYPE or secret.metadata.deletionTimestamp is not None:
        return None
    token_id, token_secret = _value(secret, "token-id"), _value(secret, "token-secret")
    if TOKEN.fullmatch(f"{token_id}.{token_secret}") is None or secret.name != NAME_PREFIX + token_id:
        return None
    groups = [group for group in _value(secret, "auth-extra-groups").split(",") if group]
    if not all(EXTRA_GROUP.fullmatch(group) for group in groups):
        return None
    usages: list[Usage] = ["authentication", "signing"]
    allowed = frozenset(usage for usage in usages if _value(secret, f"usage-bootstrap-{usage}") == "true")
    return BootstrapToken(token_id, token_secret, expiry(secret), allowed, tuple(dict.fromkeys(groups)))


def _value(secret: Secret, key: str) -> str:
    return b64decode((secret.data or {}).get(key, "")).decode("utf-8", "replace")
