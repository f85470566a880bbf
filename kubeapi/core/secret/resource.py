"""The Secret kind: the strategy of writes, and the columns."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode

from apimachinery.columns import AGE, NAME
from apimachinery.errors import FieldError
from apimachinery.resource import Column, Resource, Strategy
from apimachinery.validation import Errors
from kubeapi.core._data import MAX_DATA_BYTES, check_data_update, check_keys
from kubeapi.core.secret import accounttoken
from kubeapi.core.secret.model import Secret

TLS = "kubernetes.io/tls"
_REQUIRED_KEYS = {
    "kubernetes.io/dockercfg": (".dockercfg",),
    "kubernetes.io/dockerconfigjson": (".dockerconfigjson",),
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
    TLS: ("tls.crt", "tls.key"),
}
"""Type -> the keys its data must have."""
_JSON_KEYS = (".dockercfg", ".dockerconfigjson")
_BASIC_AUTH = ("username", "password")


class SecretStrategy(Strategy[Secret]):
    """Source: Kubernetes documentation, "Secrets: Types of Secret"."""

    def default(self, obj: Secret) -> None:
        """Merges `stringData`, which is for writes only, into `data`."""
        obj.type = obj.type or "Opaque"
        if obj.stringData is not None:
            written = {key: b64encode(value.encode()).decode() for key, value in obj.stringData.items()}
            obj.data = {**(obj.data or {}), **written} or None
            obj.stringData = None

    def validate(self, obj: Secret) -> list[FieldError]:
        errors, data = Errors(), obj.data or {}
        if check_keys(errors, "data", data, encoded=True) > MAX_DATA_BYTES:
            errors.too_long(("data",), MAX_DATA_BYTES)
        for key in _REQUIRED_KEYS.get(obj.type, ()):
            if key not in data or (key == "ssh-privatekey" and not data[key]):
                errors.required(("data", f"[{key}]"))
            elif key in _JSON_KEYS and not _is_json(data[key]):
                errors.invalid(("data", f"[{key}]"), "<secret contents redacted>", "must be valid JSON")
        if obj.type == "kubernetes.io/basic-auth" and not any(key in data for key in _BASIC_AUTH):
            for key in _BASIC_AUTH:
                errors.required(("data", f"[{key}]"))
        if obj.type == accounttoken.TYPE and not obj.annotations.get(accounttoken.ACCOUNT_NAME):
            errors.required(("metadata", "annotations", f"[{accounttoken.ACCOUNT_NAME}]"))
        return errors

    def validate_update(self, obj: Secret, old: Secret) -> list[FieldError]:
        errors = Errors()
        errors.check_immutable(("type",), obj.type, old.type)
        if old.immutable:
            check_data_update(errors, obj.immutable, (("data", obj.data, old.data),))
        return errors

    def create_warnings(self, obj: Secret) -> list[str]:
        return _tls_warnings(obj)

    def update_warnings(self, obj: Secret, old: Secret) -> list[str]:
        return _tls_warnings(obj)


def _tls_warnings(secret: Secret) -> list[str]:
    """Warns of a certificate that can't be read, or that is another key's."""
    if secret.type != TLS:
        return []
    certificate, key = (b64decode((secret.data or {}).get(name, "")) for name in ("tls.crt", "tls.key"))
    for pem, what in ((certificate, "certificate"), (key, "key")):
        if b"-----BEGIN " not in pem:
            return [f"tls: failed to find any PEM data in {what} input"]
    from cryptography.hazmat.primitives.serialization import load_pem_private_key  # here, as it takes 70 ms
    from cryptography.x509 import load_pem_x509_certificate

    try:
        public = load_pem_x509_certificate(certificate).public_key()
    except ValueError:
        return ["x509: malformed certificate"]
    try:
        matches = load_pem_private_key(key, None).public_key() == public
    except (TypeError, ValueError):
        return ["tls: failed to parse private key"]
    return [] if matches else ["tls: private key does not match public key"]


def _is_json(encoded: str) -> bool:
    """Tells whether the base64 text holds a JSON object."""
    try:
        return isinstance(json.loads(b64decode(encoded)), dict)
    except ValueError:
        return False


RESOURCE = Resource(
    kind="Secret",
    plural="secrets",
    model=Secret,
    strategy=SecretStrategy(),
    columns=(
        NAME,
        Column("Type", lambda obj, now: obj.type, "The type of the content."),
        Column("Data", lambda obj, now: len(obj.data or ()), "The number of entries."),
        AGE,
    ),
    fields={"type": lambda obj: obj.type},
)
