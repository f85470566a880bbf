"""Reads how to reach the API server and as whom: kubectl's rules for kubeconfig files, and a pod's own credentials.

Source: Kubernetes documentation, "Organizing Cluster Access Using kubeconfig Files".
"""

from __future__ import annotations

import base64
import binascii
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from componentbase.net.authority import join_host_port
from kubeclient.access.impersonation import Impersonation

IN_CLUSTER_FOLDER = "/var/run/secrets/kubernetes.io/serviceaccount"


class ConfigError(Exception):
    """The configuration can't be used; the message names the file and what is wrong in it."""


class NoConfig(ConfigError):
    """There is no kubeconfig anywhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientConfig:
    """One cluster, one identity, one default namespace. PEM data wins over the file beside it."""

    server: str
    namespace: str = "default"
    context: str = ""
    cluster: str = ""
    user: str = ""
    ca_file: str = ""
    ca_data: str = ""
    cert_file: str = ""
    cert_data: str = ""
    key_file: str = ""
    key_data: str = ""
    token: str = ""
    token_file: str = ""
    insecure: bool = False
    tls_server_name: str = ""
    impersonation: Impersonation | None = None
    """The user in whose name requests run; None for the owner of the credential."""

    @property
    def host(self) -> str:
        return urlsplit(self.server).hostname or ""

    @property
    def port(self) -> int:
        parts = urlsplit(self.server)
        return parts.port or (443 if parts.scheme == "https" else 80)

    @property
    def secure(self) -> bool:
        return self.server.startswith("https:")

    @property
    def path_prefix(self) -> str:
        """The path in front of "/api", without a trailing slash; usually ""."""
        return urlsplit(self.server).path.rstrip("/")


def load_config(path: str | None = None, context: str | None = None) -> ClientConfig:
    """Reads the configuration of `context`, or of the current context.

    `path` (a flag) is read alone and must exist; else every file in KUBECONFIG, merged; else ~/.kube/config; else,
    where none of those exists, the credentials mounted into a pod.

    Raises: ConfigError.
    """
    files = kubeconfig_files(path)
    if path is None or path == "":
        existing = [file for file in files if file.exists()]
        if not existing:
            in_cluster = in_cluster_config()
            if in_cluster is not None:
                return in_cluster
            where = ", ".join(map(str, files))
            raise NoConfig(f"no kubeconfig found: looked for {where}; name one with --kubeconfig or KUBECONFIG")
    return select_context(merge_kubeconfigs(files), context)


def kubeconfig_files(path: str | None = None) -> list[Path]:
    """Lists the files to read, in order; they need not exist."""
    if path:
        return [Path(path)]
    listed = [item for item in os.environ.get("KUBECONFIG", "").split(os.pathsep) if item]
    return [Path(item) for item in dict.fromkeys(listed)] or [Path.home() / ".kube" / "config"]


def kubeconfig_text(cluster: Mapping[str, Any], user: Mapping[str, Any], *, name: str, user_name: str) -> str:
    """Returns a kubeconfig, in JSON, with one cluster and one user, and a context of the cluster's name."""
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": cluster}],
        "users": [{"name": user_name, "user": user}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": user_name}}],
        "current-context": name,
    }
    return json.dumps(document, indent=2) + "\n"


def merge_kubeconfigs(files: list[Path]) -> dict[str, Any]:
    """Merges files into one kubeconfig: the first file that sets a value or names an entry wins.

    Paths inside an entry come out absolute, by the folder of the file they are in. A missing file is skipped, unless it
    is the only one. Raises: ConfigError.
    """
    merged: dict[str, Any] = {"apiVersion": "v1", "kind": "Config", "current-context": "", "preferences": {}}
    entries: dict[str, dict[str, dict[str, Any]]] = {"clusters": {}, "contexts": {}, "users": {}}
    for file in files:
        if not file.exists() and len(files) > 1:
            continue
        document = _read(file)
        merged["current-context"] = merged["current-context"] or document.get("current-context") or ""
        for section, by_name in entries.items():
            for entry in _named_entries(document, section, file):
                by_name.setdefault(entry["name"], _with_absolute_paths(entry, file.absolute().parent))
    return merged | {section: list(by_name.values()) for section, by_name in entries.items()}


def _read(file: Path) -> dict[str, Any]:
    from apimachinery.text.yaml import YamlError, read_document

    try:
        document = read_document(file.read_bytes()).value
    except OSError as error:
        raise ConfigError(f"{file}: {error.strerror or error}") from None
    except YamlError as error:
        raise ConfigError(f"{file}: not a YAML file: {error}") from None
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise ConfigError(f"{file}: not a kubeconfig: expected a mapping")
    kind = document.get("kind", "Config")
    if kind != "Config":
        raise ConfigError(f"{file}: not a kubeconfig: its kind is {kind!r}")
    return document


def _named_entries(document: Mapping[str, Any], section: str, file: Path) -> list[dict[str, Any]]:
    items = document.get(section) or []
    if not isinstance(items, list):
        raise ConfigError(f"{file}: {section} must be a list")
    for item in items:
        if not isinstance(item, dict) or not isinstance(item.get("name"), str):
            raise ConfigError(f"{file}: every item of {section} needs a name")
        if not isinstance(item.get(section[:-1]) or {}, dict):
            raise ConfigError(f'{file}: {section[:-1]} "{item["name"]}" must be a mapping')
    return items


_PATH_FIELDS = {
    "cluster": ("certificate-authority",),
    "user": ("client-certificate", "client-key", "tokenFile"),
    "context": (),
}


def _with_absolute_paths(entry: dict[str, Any], folder: Path) -> dict[str, Any]:
    result = dict(entry)
    for section, fields in _PATH_FIELDS.items():
        if not entry.get(section):
            continue
        result[section] = dict(entry[section])
        for field in fields:
            if result[section].get(field):
                result[section][field] = str(folder / result[section][field])
    return result


def select_context(kubeconfig: Mapping[str, Any], context: str | None = None) -> ClientConfig:
    """Makes the ClientConfig of one context of a merged kubeconfig. Raises: ConfigError."""
    name = context or kubeconfig.get("current-context") or ""
    if not name:
        raise ConfigError("the kubeconfig names no current-context; choose one with --context")
    chosen = _entry(kubeconfig, "context", name)
    cluster_name, user_name = chosen.get("cluster") or "", chosen.get("user") or ""
    cluster = _entry(kubeconfig, "cluster", cluster_name)
    user = _entry(kubeconfig, "user", user_name) if user_name else {}
    for unsupported in ("exec", "auth-provider", "username"):
        if user.get(unsupported):
            raise ConfigError(f'user "{user_name}": {unsupported} credentials are not supported')
    server = cluster.get("server") or ""
    if urlsplit(server).scheme not in ("http", "https") or not urlsplit(server).hostname:
        raise ConfigError(f'cluster "{cluster_name}": server must be an http:// or https:// address, not {server!r}')
    return ClientConfig(
        server=server,
        namespace=chosen.get("namespace") or "default",
        context=name,
        cluster=cluster_name,
        user=user_name,
        ca_file=cluster.get("certificate-authority") or "",
        ca_data=_pem(cluster, "certificate-authority-data", cluster_name),
        cert_file=user.get("client-certificate") or "",
        cert_data=_pem(user, "client-certificate-data", user_name),
        key_file=user.get("client-key") or "",
        key_data=_pem(user, "client-key-data", user_name),
        token=user.get("token") or "",
        token_file=user.get("tokenFile") or "",
        insecure=bool(cluster.get("insecure-skip-tls-verify")),
        tls_server_name=cluster.get("tls-server-name") or "",
        impersonation=_impersonation(user, user_name),
    )


def _impersonation(user: Mapping[str, Any], name: str) -> Impersonation | None:
    groups, extra = user.get("as-groups") or (), user.get("as-user-extra") or {}
    if not user.get("as"):
        if groups or extra or user.get("as-uid"):
            raise ConfigError(f'user "{name}": as-groups, as-uid and as-user-extra need a user to impersonate (as)')
        return None
    pairs = tuple((key, tuple(values)) for key, values in sorted(extra.items()))
    return Impersonation(user["as"], tuple(groups), user.get("as-uid") or "", pairs)


def _entry(kubeconfig: Mapping[str, Any], kind: str, name: str) -> dict[str, Any]:
    for entry in kubeconfig.get(kind + "s") or ():
        if entry["name"] == name:
            fields: dict[str, Any] = entry.get(kind) or {}
            return fields
    raise ConfigError(f'{kind} "{name}" does not exist in the kubeconfig')


def _pem(entry: Mapping[str, Any], field: str, name: str) -> str:
    value = entry.get(field)
    if not value:
        return ""
    try:
        return base64.b64decode(value, validate=True).decode("ascii")
    except (binascii.Error, ValueError, TypeError):
        raise ConfigError(f'"{name}": {field} is not base64 of a PEM text') from None


def in_cluster_config(folder: str = IN_CLUSTER_FOLDER) -> ClientConfig | None:
    """Returns a pod's own credentials, or None outside of a pod."""
    host, port = os.environ.get("KUBERNETES_SERVICE_HOST"), os.environ.get("KUBERNETES_SERVICE_PORT")
    token_file = Path(folder, "token")
    if not host or not port or not token_file.exists():
        return None
    namespace_file = Path(folder, "namespace")
    return ClientConfig(
        server=f"https://{join_host_port(host, port)}",
        namespace=namespace_file.read_text().strip() if namespace_file.exists() else "default",
        ca_file=str(Path(folder, "ca.crt")),
        token_file=str(token_file),
    )
