"""The keys that Secrets are encrypted with in etcd: the file that the API server gets as its encryption configuration.

It is made once: a snapshot of etcd can be read only together with its keys.
"""

from __future__ import annotations

import base64
import os
import secrets
from pathlib import Path
from typing import Any

from apimachinery.text.yaml import YamlError, read_document, to_yaml
from componentbase.host.privatefiles import write_private
from mini_cluster.errors import LauncherError

KEY_BYTES = 32
IDENTITY: dict[str, Any] = {"identity": {}}


class KeysError(LauncherError):
    """A file of keys can't be used."""


def ensure_encryption(file: Path) -> None:
    """Writes the configuration if there is none, with a new key. Secrets that were stored before stay readable.

    AES-GCM, as nothing weaker is faster; the Secrets of such a cluster are written far less often than the 200,000
    times after which its key should be replaced.
    """
    if not file.exists():
        name = f"key-{secrets.token_hex(4)}"
        key = {"name": name, "secret": base64.b64encode(os.urandom(KEY_BYTES)).decode()}
        _write(file, [{"aesgcm": {"keys": [key]}}, IDENTITY])


def keys_of_snapshot(snapshot: Path) -> Path:
    """Returns the file beside a snapshot that holds the keys of its Secrets."""
    return snapshot.with_name(f"{snapshot.name}.keys.yaml")


def save_keys(file: Path, snapshot: Path) -> None:
    """Copies a cluster's keys to the side of a snapshot."""
    if file.exists():
        write_private(keys_of_snapshot(snapshot), file.read_bytes())


def adopt_keys(file: Path, snapshot: Path) -> bool:
    """Adds the keys of a snapshot to those of a cluster, for reading alone; False if there are none beside it.

    Raises: KeysError.
    """
    other = keys_of_snapshot(snapshot)
    if not other.exists():
        return False
    own = [provider for provider in _read(file) if provider != IDENTITY]
    added = [provider for provider in _read(other) if provider != IDENTITY and provider not in own]
    if added:
        _write(file, [*own, *added, IDENTITY])
    return True


def _read(file: Path) -> list[dict[str, Any]]:
    """Returns the providers of Secrets. Raises: KeysError."""
    try:
        rules = read_document(file.read_bytes()).value["resources"]
        return [provider for rule in rules if "secrets" in rule["resources"] for provider in rule["providers"]]
    except (OSError, YamlError, KeyError, TypeError) as error:
        raise KeysError(f"{file} is not an encryption configuration: {error}") from None


def _write(file: Path, providers: list[dict[str, Any]]) -> None:
    document = {
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "EncryptionConfiguration",
        "resources": [{"resources": ["secrets"], "providers": providers}],
    }
    write_private(file, to_yaml(document).encode())
