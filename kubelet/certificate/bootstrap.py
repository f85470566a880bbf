"""The first start of a node: gets its client certificate by a bootstrap token, and writes its kubeconfig.

Source: Kubernetes documentation, "TLS bootstrapping".
"""

from __future__ import annotations

import json
import os
from base64 import b64encode
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from componentbase import logs
from componentbase.clock import Clock
from componentbase.daemon import FatalError
from kubeclient.config import ClientConfig, ConfigError, load_config
from kubeclient.rest import RestClient, user_agent
from kubelet.certificate.files import CertificateFiles
from kubelet.certificate.request import client_certificate
from kubelet.certificate.rotation import Rotation
from kubelet.options import Options

CLIENT = "kubelet-client"

log = logs.logger(__name__)


async def ensure_kubeconfig(options: Options, clock: Clock) -> None:
    """Makes the kubeconfig of a node that has none, or whose certificate has expired.

    Waits for as long as the certificate takes to be issued. Raises: FatalError.
    """
    files = CertificateFiles(options.cert_dir, CLIENT)
    if not options.bootstrap_kubeconfig or _is_usable(options.kubeconfig, files, clock):
        return
    try:
        config = load_config(options.bootstrap_kubeconfig)
        rest = RestClient(config, user_agent=user_agent("kubelet"), clock=clock)
    except (ConfigError, OSError) as error:
        raise FatalError(f"--bootstrap-kubeconfig: {error}") from None
    log.info("asking for the first client certificate", node=options.node_name, server=config.server)
    async with rest:
        if (
            files.load(datetime.fromtimestamp(clock.now(), UTC)) is None
        ):  # else killed before the kubeconfig was written
            await Rotation(rest, client_certificate(options.node_name), files, clock, lambda: None).obtain()
    _write_kubeconfig(Path(options.kubeconfig), config, files)


def is_rotated(config: ClientConfig, files: CertificateFiles) -> bool:
    """Tells whether the client certificate of the kubeconfig is one that the kubelet has asked for itself."""
    return not config.cert_data and config.cert_file == str(files.current)


def _is_usable(path: str, files: CertificateFiles, clock: Clock) -> bool:
    """Tells whether the kubeconfig is there; where it names our own certificate, that must be valid, too."""
    if not os.path.exists(path):
        return False
    try:
        config = load_config(path)
    except ConfigError as error:
        raise FatalError(f"--kubeconfig: {error}") from None
    return not is_rotated(config, files) or files.load(datetime.fromtimestamp(clock.now(), UTC)) is not None


def _write_kubeconfig(path: Path, config: ClientConfig, files: CertificateFiles) -> None:
    """Writes the kubeconfig at once. Its server and authority are those of the bootstrap kubeconfig."""
    cluster: dict[str, Any] = {"server": config.server}
    if config.ca_data:
        cluster["certificate-authority-data"] = b64encode(config.ca_data.encode()).decode()
    elif config.ca_file:
        cluster["certificate-authority"] = config.ca_file
    if config.insecure:
        cluster["insecure-skip-tls-verify"] = True
    if config.tls_server_name:
        cluster["tls-server-name"] = config.tls_server_name
    user = {"client-certificate": str(files.current), "client-key": str(files.current)}
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "default", "cluster": cluster}],
        "users": [{"name": "default-auth", "user": user}],
        "contexts": [{"name": "default-context", "context": {"cluster": "default", "user": "default-auth"}}],
        "current-context": "default-context",
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(json.dumps(document, indent=2) + "\n")
    temporary.replace(path)
