"""Reads a KubeProxyConfiguration file: the defaults of the flags that its fields stand for. Flags win over the file.

Source: Kubernetes reference, "kube-proxy Configuration (v1alpha1)".
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from apimachinery.model import Model
from componentbase.configfile import decode_config, read_file
from kubeproxy.settings import Mode

API_VERSION, KIND = "kubeproxy.config.k8s.io/v1alpha1", "KubeProxyConfiguration"


class ClientConnection(Model):
    kubeconfig: str | None = None


class DetectLocal(Model):
    bridgeInterface: str | None = None
    interfaceNamePrefix: str | None = None


class ModeConfiguration(Model):
    """What both modes have. Periods as in "30s"."""

    masqueradeBit: int | None = None
    masqueradeAll: bool | None = None
    syncPeriod: str | None = None
    minSyncPeriod: str | None = None


class IptablesConfiguration(ModeConfiguration):
    localhostNodePorts: bool | None = None


class KubeProxyConfiguration(Model):
    clientConnection: ClientConnection | None = None
    mode: str | None = None
    hostnameOverride: str | None = None
    clusterCIDR: str | None = None
    detectLocalMode: str | None = None
    detectLocal: DetectLocal | None = None
    nodePortAddresses: list[str] | None = None
    healthzBindAddress: str | None = None
    metricsBindAddress: str | None = None
    iptables: IptablesConfiguration | None = None
    nftables: ModeConfiguration | None = None


def flag_values(file: str) -> dict[str, str]:
    """Returns what the file sets, by the flags' names, as the command line would have it. Raises: ConfigFileError."""
    configuration = decode_config(read_file(file), {(API_VERSION, KIND): KubeProxyConfiguration})
    mode = configuration.nftables if configuration.mode == Mode.NFTABLES else configuration.iptables
    local, client = configuration.detectLocal, configuration.clientConnection
    fields: Mapping[str, Any] = {
        "kubeconfig": client and client.kubeconfig,
        "proxy_mode": configuration.mode,
        "hostname_override": configuration.hostnameOverride,
        "cluster_cidr": configuration.clusterCIDR,
        "detect_local_mode": configuration.detectLocalMode,
        "pod_bridge_interface": local and local.bridgeInterface,
        "pod_interface_name_prefix": local and local.interfaceNamePrefix,
        "nodeport_addresses": configuration.nodePortAddresses and ",".join(configuration.nodePortAddresses),
        "healthz_bind_address": configuration.healthzBindAddress,
        "metrics_bind_address": configuration.metricsBindAddress,
        "masquerade_all": mode and mode.masqueradeAll,
        "iptables_masquerade_bit": mode and mode.masqueradeBit,
        "iptables_sync_period": mode and mode.syncPeriod,
        "iptables_min_sync_period": mode and mode.minSyncPeriod,
        "iptables_localhost_nodeports": configuration.iptables and configuration.iptables.localhostNodePorts,
    }
    return {
        name: str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in fields.items()
        if value not in (None, "")
    }


def add_config_flag(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", default="", metavar="FILE", help="a KubeProxyConfiguration; flags win over it")


def take_file(parser: argparse.ArgumentParser, argv: list[str] | None) -> None:
    """Makes the file named by --config, if one is, the parser's defaults. Raises: ConfigFileError."""
    first = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    add_config_flag(first)
    if path := first.parse_known_args(argv)[0].config:
        parser.set_defaults(**flag_values(path))
