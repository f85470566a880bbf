"""Finds the registry credentials for an image pull in the pod's imagePullSecrets. Pure."""

from __future__ import annotations

import base64
import binascii
import fnmatch
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from apimachinery.image_reference import DEFAULT_REGISTRY, Reference
from kubelet.runtime.interface import RegistryAuth

DOCKER_CONFIG_JSON = "kubernetes.io/dockerconfigjson"
DOCKER_CFG = "kubernetes.io/dockercfg"
MAX_CREDENTIALS = 16  # tried per pull; the least specific are left out


def secret_credentials(secret_type: str | None, data: Mapping[str, str] | None) -> dict[str, RegistryAuth]:
    """Registry (with path, maybe with wildcards) -> credentials; `data` values are base64, as in a Secret.

    Raises: ValueError when the secret's content cannot be read; another secret type gives nothing.
    """
    if secret_type == DOCKER_CONFIG_JSON:
        entries = _document(data, ".dockerconfigjson").get("auths")
    elif secret_type == DOCKER_CFG:
        entries = _document(data, ".dockercfg")
    else:
        return {}
    if not isinstance(entries, dict):
        return {}
    return {server: _auth(server, entry) for server, entry in entries.items() if isinstance(entry, dict)}


def _document(data: Mapping[str, str] | None, key: str) -> dict[str, Any]:
    try:
        document = orjson.loads(base64.b64decode((data or {}).get(key, "")))
    except (binascii.Error, orjson.JSONDecodeError) as error:
        raise ValueError(f"unable to read {key}: {error}") from None
    return document if isinstance(document, dict) else {}


def _auth(server: str, entry: Mapping[str, Any]) -> RegistryAuth:
    username, password = str(entry.get("username") or ""), str(entry.get("password") or "")
    if encoded := entry.get("auth"):
        try:
            username, _, password = base64.b64decode(str(encoded)).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError) as error:
            raise ValueError(f"unable to read the credentials of {server}: {error}") from None
    return RegistryAuth(username, password.rstrip("\0"), str(entry.get("identitytoken") or ""), server)


def matching_credentials(reference: Reference, credentials: Sequence[Mapping[str, RegistryAuth]]) -> list[RegistryAuth]:
    """Returns those whose registry matches, the longest path first, at most MAX_CREDENTIALS.

    Source: Kubernetes' "Images" page, "Interpretation of config.json": host globs part by part, path prefixes.
    """
    matches: list[tuple[int, RegistryAuth]] = []
    for registry_map in credentials:
        for server, auth in registry_map.items():
            host, path = _split_server(server)
            if _host_matches(host, reference.registry) and f"{reference.path}/".startswith(path):
                matches.append((len(path), auth))
    matches.sort(key=lambda item: item[0], reverse=True)
    unique = dict.fromkeys(auth for _, auth in matches)
    return list(unique)[:MAX_CREDENTIALS]


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
