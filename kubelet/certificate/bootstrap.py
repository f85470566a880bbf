"""The first start of a node: gets its client certificate by a bootstrap token, and writes its kubeconfig.

Source: Kubernetes documentation, "TLS bootstrapping".
"""

from __future__ import annotations

import os
from base64 import b64encode
from pathlib import Path
from typing import Any

from componentbase import logs
from componentbase.clock import Clock
from componentbase.daemon import FatalError
from componentbase.host.privatefiles import write_private
from kubeclient.access.config import ClientConfig, ConfigError, kubeconfig_text, load_config
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
    files = CertificateFiles(options.cert_dir, CLIENT, clock)
    if not options.bootstrap_kubeconfig or _is_usable(options.kubeconfig, files):
        return
    try:
        config = load_config(options.bootstrap_kubeconfig)
        rest = RestClient(config, user_agent=user_agent("kubelet"), clock=clock)
    except (ConfigError, OSError) as error:
        raise FatalError(f"--bootstrap-kubeconfig: {error}") from None
    log.info("asking for the first client certificate", node=options.node_name, server=config.server)
    async with rest:
        if files.load() is None:  # else the kubelet was killed before it wrote the kubeconfig
            await Rotation(rest, client_certificate(options.node_name), files, clock, lambda: None).obtain()
    _write_kubeconfig(Path(options.kubeconfig), config, files)


def is_rotated(config: ClientConfig, files: CertificateFiles) -> bool:
    """Tells whether the client certificate of the kubeconfig is one that the kubelet has asked for itself."""
    return not config.cert_data and config.cert_file == str(files.current)


def _is_usable(path: str, files: CertificateFiles) -> bool:
    """Tells whether the kubeconfig is there; where it names our own certificate, that must be valid, too."""
    if not os.path.exists(path):
        return False
    try:
        config = load_config(path)
    except ConfigError as error:
        raise FatalError(f"--kubeconfig: {error}") from None
    return not is_rotated(config, files) or files.load() is not None


def _write_kubeconfig(path: Path, config: ClientConfig, files: CertificateFiles) -> None:
    """Writes the kubeconfig, with the server and the authority of the bootstrap kubeconfig."""
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
    text = kubeconfig_text(cluster, user, name="default", user_name="default-auth")
    write_private(path, text.encode(), durable=True)
