"""Secrets that hold a token of a service account which lasts until they are deleted.

Their tokens have claims of their own, older than those of tokens that are requested.
Source: Kubernetes documentation, "Secrets", "ServiceAccount token Secrets".
"""

from __future__ import annotations

from typing import Any

from apimachinery.meta import Object

TYPE = "kubernetes.io/service-account-token"
ACCOUNT_NAME = "kubernetes.io/service-account.name"
ACCOUNT_UID = "kubernetes.io/service-account.uid"
"""Annotations of the Secret. The name is its maker's; the uid is set with the token."""
INVALID_SINCE = "kubernetes.io/legacy-token-invalid-since"
"""Label of a Secret whose token is refused, as it was not used for long; its value is the day of that decision."""
LAST_USED = "kubernetes.io/legacy-token-last-used"
"""Label of a Secret whose token is used; its value is the last day."""
TRACKING_NAMESPACE, TRACKING_NAME = "kube-system", "kube-apiserver-legacy-service-account-token-tracking"
"""The ConfigMap that says since when uses are noted."""
TRACKED_SINCE = "since"
"""Its key with the first day."""

ISSUER = "kubernetes/serviceaccount"
NAMESPACE_CLAIM = f"{ISSUER}/namespace"
SECRET_CLAIM = f"{ISSUER}/secret.name"
ACCOUNT_CLAIM = f"{ISSUER}/service-account.name"
UID_CLAIM = f"{ISSUER}/service-account.uid"
USER_PREFIX = "system:serviceaccount:"


def token_claims(account: Object, secret_name: str) -> dict[str, Any]:
    """Returns the claims of the token for an account in a Secret of this name."""
    return {
        "iss": ISSUER,
        NAMESPACE_CLAIM: account.namespace,
        SECRET_CLAIM: secret_name,
        ACCOUNT_CLAIM: account.name,
        UID_CLAIM: account.metadata.uid,
        "sub": f"{USER_PREFIX}{account.namespace}:{account.name}",
    }
