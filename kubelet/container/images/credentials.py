"""Reads registry credentials from the documents that Docker's clients write, and matches them with images. Pure."""

from __future__ import annotations

import base64
import binascii
import fnmatch
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from typing import Any, Literal

import orjson

from apimachinery.text.image_reference import DEFAULT_REGISTRY, Reference
from kubelet.runtime.interface import RegistryAuth

DOCKER_CONFIG_JSON = "kubernetes.io/dockerconfigjson"
DOCKER_CFG = "kubernetes.io/dockercfg"
MAX_CREDENTIALS = 16  # tried per pull; the least specific are left out


@dataclass(frozen=True, slots=True)
class Source:
    """The object that gave a credential: the pods that name it may use the images that were pulled with it."""

    kind: Literal["Secret", "ServiceAccount"]
    uid: str
    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class Credential:
    """`source` is None for one that the node has for all of its pods."""

    auth: RegistryAuth
    source: Source | None = None

    @property
    def hash(self) -> str:
        """Tells equal credentials without keeping them."""
        return hashlib.sha256(orjson.dumps(astuple(self.auth))).hexdigest()


Keyring = Mapping[str, Credential]
"""Credentials by the images that they are for: a registry, maybe with wildcards, maybe with a path."""


def keyring(auths: Mapping[str, RegistryAuth], source: Source | None = None) -> Keyring:
    """Makes the keyring of one source."""
    return {server: Credential(auth, source) for server, auth in auths.items()}


def secret_credentials(secret_type: str | None, data: Mapping[str, str] | None) -> dict[str, RegistryAuth]:
    """Registry (with path, maybe with wildcards) -> credentials; `data` values are base64, as in a Secret.

    Raises: ValueError when the secret's content cannot be read; another secret type gives nothing.
    """
    key = {DOCKER_CONFIG_JSON: ".dockerconfigjson", DOCKER_CFG: ".dockercfg"}.get(secret_type or "")
    if key is None:
        return {}
    try:
        return read_credentials(base64.b64decode((data or {}).get(key, "")), legacy=secret_type == DOCKER_CFG)
    except ValueError as error:
        raise ValueError(f"unable to read {key}: {error}") from None


def read_credentials(text: bytes, *, legacy: bool) -> dict[str, RegistryAuth]:
    """Reads a `config.json`, or a `.dockercfg`, which has its member "auths" alone. Raises: ValueError."""
    document = orjson.loads(text)
    entries = document if legacy or not isinstance(document, dict) else document.get("auths")
    if not isinstance(entries, dict):
        return {}
    return {server: _auth(server, entry) for server, entry in entries.items() if isinstance(entry, dict)}


def _auth(server: str, entry: Mapping[str, Any]) -> RegistryAuth:
    username, password = str(entry.get("username") or ""), str(entry.get("password") or "")
    if encoded := entry.get("auth"):
        try:
            username, _, password = base64.b64decode(str(encoded)).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError) as error:
            raise ValueError(f"the credentials of {server}: {error}") from None
    return RegistryAuth(username, password.rstrip("\0"), str(entry.get("identitytoken") or ""), server)


def matching_credentials(reference: Reference, keyrings: Sequence[Keyring]) -> list[Credential]:
    """Returns those for the image, at most MAX_CREDENTIALS, the more specific of a keyring's first, each only once.

    Source: Kubernetes' "Images" page, "Interpretation of config.json": host globs part by part, path prefixes.
    """
    matches: dict[RegistryAuth, Credential] = {}
    for entries in keyrings:
        for server in sorted(entries, key=_split_server, reverse=True):
            if image_matches(server, reference):
                matches.setdefault(entries[server].auth, entries[server])
    return list(matches.values())[:MAX_CREDENTIALS]


def image_matches(pattern: str, reference: Reference) -> bool:
    """Tells whether "*.reg.io:5000/team" is about the image: host globs part by part, port, and path prefix."""
    host, path = _split_server(pattern)
    return _host_matches(host, reference.registry) and f"{reference.path}/".startswith(path)


def _split_server(server: str) -> tuple[str, str]:
    """ "https://index.docker.io/v1/" -> ("docker.io", ""); "reg.io/team/" -> ("reg.io", "team/")."""
    bare = server.partition("://")[2] or server
    host, _, path = bare.partition("/")
    path = path.strip("/")
    if path in ("v1", "v2"):
        path = ""
    if host in ("index.docker.io", "registry-1.docker.io"):
        host = DEFAULT_REGISTRY
    return host, f"{path}/" if path else ""


def _host_matches(pattern: str, host: str) -> bool:
    pattern_name, _, pattern_port = pattern.partition(":")
    name, _, port = host.partition(":")
    if pattern_port != port:
        return False
    pattern_parts, parts = pattern_name.split("."), name.split(".")
    return len(pattern_parts) == len(parts) and all(map(fnmatch.fnmatchcase, parts, pattern_parts))
