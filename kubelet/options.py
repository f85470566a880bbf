"""The kubelet's command line, with upstream's flag names."""

from __future__ import annotations

import argparse
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from componentbase.flags import add_bool, add_duration, base_parser, fill, host_name, parse_list, parse_map
from componentbase.host.hostnetwork import add_host_network_flag
from componentbase.net.own_address import own_address
from kubeapi.core.pod.scheduling.affinity import Taint
from kubelet.configuration import BadConfiguration, add_config_flag, shown, take_file
from kubelet.container.backoff import MAX_SECONDS
from kubelet.container.images.options import ImageOptions, add_image_flags, image_options
from kubelet.pod.resources.pod_security import pattern_error
from kubelet.resource_flags import ResourceOptions, add_resource_flags, resource_options
from kubelet.server.authorization import ALWAYS_ALLOW, MODES
from kubelet.shutdown_flags import ShutdownPeriod, add_shutdown_flags, shutdown_periods
from kubelet.taint_flag import Taints

DEFAULT_PORT = 10250
DEFAULT_ROOT_DIR = "/var/lib/kubelet"
DEFAULT_ENDPOINT = "unix:///var/run/docker.sock"
EXTERNAL_CLOUD = "external"
POD_BRIDGE = "cbr0"
CNI_BIN_DIR = "/opt/cni/bin"
PAUSE_IMAGE = "registry.k8s.io/pause:3.10"


@dataclass(frozen=True)
class Options:
    """Durations in seconds, resources in base units."""

    kubeconfig: str
    bootstrap_kubeconfig: str
    rotate_certificates: bool
    rotate_server_certificates: bool
    node_name: str
    node_ips: tuple[str, ...]
    pod_cidrs: tuple[str, ...]
    endpoint: str
    root_dir: str
    address: str
    port: int
    tls_cert_file: str
    tls_private_key_file: str
    client_ca_file: str
    authorization_mode: str
    cert_dir: str
    pause_image: str
    node_labels: dict[str, str]
    max_pods: int
    node_status_update_seconds: float
    cluster_dns: tuple[str, ...]
    cluster_domain: str
    resolv_conf: str
    log_file: str
    verbosity: int
    host_netns_file: str = ""
    resources: ResourceOptions = field(default_factory=ResourceOptions)
    shutdown_periods: tuple[ShutdownPeriod, ...] = ()
    images: ImageOptions = field(default_factory=ImageOptions)
    configuration: Mapping[str, Any] = field(default_factory=dict)
    """What is in effect, as a KubeletConfiguration has it."""
    unsafe_sysctls: tuple[str, ...] = ()
    max_restart_seconds: float = MAX_SECONDS
    """The longest that a container that crashes waits for its next start."""
    pod_manifest_path: str = ""
    file_check_frequency: float = 20.0
    seccomp_default: bool = False
    shared_volumes_dir: str = ""
    cloud_provider: str = ""
    provider_id: str = ""
    register_with_taints: tuple[Taint, ...] = ()
    pod_bridge: str = POD_BRIDGE
    cni_conf_dir: str = ""
    cni_bin_dir: tuple[str, ...] = (CNI_BIN_DIR,)


def parse_options(argv: list[str] | None = None) -> Options:
    """Ends the process with a message and exit code 2 when the command line is wrong."""
    parser = _parser()
    try:
        take_file(parser, argv)
    except (BadConfiguration, OSError) as error:
        parser.error(f"--config: {error}")
    args = parser.parse_args(argv)
    try:
        ips = tuple(str(ipaddress.ip_address(ip)) for ip in parse_list(args.node_ip)) or (_own_address(),)
        cidrs = tuple(str(ipaddress.ip_network(cidr)) for cidr in parse_list(args.pod_cidr))
        resources, periods = resource_options(args), shutdown_periods(args)
        images = image_options(args)
    except ValueError as error:
        parser.error(str(error))
    unsafe_sysctls = tuple(args.allowed_unsafe_sysctls)
    if wrong := pattern_error(unsafe_sysctls):
        parser.error(f"--allowed-unsafe-sysctls: {wrong}")
    if not 1 <= args.max_container_restart_period <= MAX_SECONDS:
        parser.error("--max-container-restart-period: must be from 1s to 300s")
    if args.bootstrap_kubeconfig and not args.kubeconfig:
        parser.error("--bootstrap-kubeconfig needs --kubeconfig: the file that is written then")
    if args.rotate_server_certificates and args.tls_cert_file:
        parser.error("--rotate-server-certificates and --tls-cert-file exclude each other")
    if not args.container_runtime_endpoint.startswith("unix://"):
        parser.error("--container-runtime-endpoint: want unix:///path/to/docker.sock")
    return fill(
        Options,
        args,
        node_name=args.hostname_override.lower() or host_name(),
        node_ips=ips,
        pod_cidrs=cidrs,
        endpoint=args.container_runtime_endpoint,
        root_dir=args.root_dir.rstrip("/") or "/",
        cert_dir=args.cert_dir or f"{args.root_dir}/pki",
        pause_image=args.pod_infra_container_image,
        node_status_update_seconds=args.node_status_update_frequency,
        cluster_dns=tuple(args.cluster_dns),
        resources=resources,
        shutdown_periods=periods,
        max_restart_seconds=args.max_container_restart_period,
        images=images,
        configuration=shown(parser, args),
        unsafe_sysctls=unsafe_sysctls,
        cni_bin_dir=tuple(args.cni_bin_dir),
    )


def _parser() -> argparse.ArgumentParser:
    parser = base_parser("kubelet", "Runs the pods that are bound to this node, in containers of its Docker Engine.")
    node = parser.add_argument_group("node")
    node.add_argument("--hostname-override", default="", metavar="NAME", help="name of the Node (default: host name)")
    node.add_argument("--node-ip", default="", metavar="IP[,IP]", help="its addresses (default: that of the route out)")
    node.add_argument(
        "--node-labels", type=parse_map, default={}, metavar="KEY=VALUE,…", help="labels to register the Node with"
    )
    node.add_argument(
        "--cloud-provider",
        choices=("", EXTERNAL_CLOUD),
        default="",
        help="external: no pods are let onto the Node until a cloud-controller-manager has initialised it",
    )
    node.add_argument(
        "--register-with-taints",
        type=Taints(),
        default=(),
        metavar="KEY=VALUE:EFFECT,…",
        help="taints to register the Node with",
    )
    node.add_argument("--provider-id", default="", metavar="ID", help="the machine's id in its cloud: PROVIDER://ID")
    node.add_argument("--max-pods", type=int, default=110, metavar="N", help="pods it takes at most (default 110)")
    add_host_network_flag(node)
    add_duration(parser, "--node-status-update-frequency", 10, "how often the node's own state is checked")
    add_config_flag(parser)
    add_resource_flags(parser)
    add_shutdown_flags(parser)
    node.add_argument(
        "--pod-manifest-path",
        default="",
        metavar="PATH",
        help="folder with manifests of static pods (made where it is missing), or one such file: they run with or "
        "without an API server",
    )
    add_duration(parser, "--file-check-frequency", 20, "how often it is looked through, beside every change in it")
    _add_network_flags(parser)
    _add_runtime_flags(parser)
    add_image_flags(parser)
    _add_certificate_flags(parser)
    serving = parser.add_argument_group("serving: logs, exec and health")
    serving.add_argument("--address", default="0.0.0.0", metavar="IP", help="address to serve HTTPS on")
    serving.add_argument("--port", type=int, default=DEFAULT_PORT, metavar="PORT", help="HTTPS port (default 10250)")
    serving.add_argument("--tls-cert-file", default="", metavar="FILE", help="serving certificate (PEM)")
    serving.add_argument("--tls-private-key-file", default="", metavar="FILE", help="its private key (PEM)")
    serving.add_argument(
        "--client-ca-file", default="", metavar="FILE", help="authority of the clients that may call (PEM)"
    )
    serving.add_argument(
        "--authorization-mode",
        choices=MODES,
        default=ALWAYS_ALLOW,
        help=f"which of these clients may call: all, or those that the API server allows to (default {ALWAYS_ALLOW})",
    )
    serving.add_argument(
        "--cert-dir",
        default="",
        metavar="DIR",
        help="certificates that the kubelet asked for, or signed itself (default: ROOT_DIR/pki)",
    )
    return parser


def _add_certificate_flags(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("certificates of its own")
    group.add_argument(
        "--bootstrap-kubeconfig",
        default="",
        metavar="FILE",
        help="kubeconfig of a bootstrap token: where --kubeconfig is missing or its certificate has expired, the "
        "kubelet asks for a client certificate by it, and writes --kubeconfig",
    )
    add_bool(group, "--rotate-certificates", True, "renew the client certificate that it asked for before it expires")
    help = (
        "ask the cluster for the serving certificate, too, and renew it; somebody has to approve the request, "
        "and until then the kubelet signs one itself"
    )
    add_bool(group, "--rotate-server-certificates", False, help)


def _add_network_flags(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("network of pods")
    group.add_argument(
        "--pod-cidr", default="", metavar="CIDR[,CIDR]", help="addresses of its pods while the Node says none"
    )
    group.add_argument(
        "--pod-bridge",
        default=POD_BRIDGE,
        metavar="NAME",
        help=f"the link that joins its pods (default {POD_BRIDGE}); it is made where it is missing",
    )
    group.add_argument(
        "--cni-conf-dir",
        default="",
        metavar="DIR",
        help="folder of CNI network configurations, the first of which makes the network of pods (default: none, which "
        "leaves it to the kubelet's own bridge)",
    )
    group.add_argument(
        "--cni-bin-dir",
        type=parse_list,
        default=[CNI_BIN_DIR],
        metavar="DIR,…",
        help=f"folders with CNI plugins (default {CNI_BIN_DIR})",
    )


def _add_runtime_flags(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("containers")
    add_duration(
        group, "--max-container-restart-period", MAX_SECONDS, "the longest that a crashing container waits to restart"
    )
    group.add_argument(
        "--container-runtime-endpoint",
        default=DEFAULT_ENDPOINT,
        metavar="unix://PATH",
        help=f"socket of the Docker Engine (default {DEFAULT_ENDPOINT})",
    )
    group.add_argument(
        "--root-dir",
        default=DEFAULT_ROOT_DIR,
        metavar="DIR",
        help=f"volumes and other files of pods; the engine must see the same folder (default {DEFAULT_ROOT_DIR})",
    )
    group.add_argument(
        "--shared-volumes-dir",
        default="",
        metavar="DIR",
        help="folder that all nodes see at this path, where the volumes of shared-folder classes lie (default: none)",
    )
    group.add_argument(
        "--allowed-unsafe-sysctls",
        type=parse_list,
        default=[],
        metavar="PATTERN,…",
        help="kernel parameters, such as net.core.somaxconn or net.ipv4.tcp_*, that pods may set beyond the safe ones",
    )
    add_bool(group, "--seccomp-default", False, "give containers without a seccomp profile RuntimeDefault")
    group.add_argument(
        "--pod-infra-container-image",
        default=PAUSE_IMAGE,
        metavar="IMAGE",
        help="image of the pause container; made here when the engine lacks it",
    )
    group.add_argument(
        "--cluster-dns",
        type=parse_list,
        default=[],
        metavar="IP[,IP]",
        help="name servers of pods (default: the node's)",
    )
    group.add_argument("--cluster-domain", default="cluster.local", metavar="DOMAIN", help="domain of Services")
    group.add_argument(
        "--resolv-conf",
        default="/etc/resolv.conf",
        metavar="FILE",
        help="the node's own resolver configuration; empty for none",
    )


def _own_address() -> str:
    """Raises: ValueError without any route."""
    try:
        return own_address()
    except OSError:
        raise ValueError("no route out of this host: name its address with --node-ip") from None
