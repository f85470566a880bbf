"""The command line of kube-apiserver: upstream's flags where the meaning is upstream's."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import ip_network

from apimachinery.validation import IPNetwork
from apiserver.auth.authorization.modes import ALWAYS_ALLOW
from apiserver.auth.authorization.webhook import WebhookSettings
from apiserver.options.audit import AuditOptions, add_audit, audit_options
from apiserver.options.authentication import AuthenticationOptions, add_authentication, authentication_options
from apiserver.options.authorization import add_authorization, webhook_settings
from componentbase.flags import add_bool, add_duration, base_parser, fill, parse_bool, parse_list, parse_map

DEFAULT_SERVICE_RANGE = "10.96.0.0/16"
DEFAULT_ISSUER = "https://kubernetes.default.svc.cluster.local"
MIN_TOKEN_SECONDS = 3600  # the least that --service-account-max-token-expiration may be

DESCRIPTION = """\
The API server of mini-kubernetes: the one door to the cluster's state, and the only process that talks to etcd.

It serves the Kubernetes API over HTTPS, keeps every object in etcd and a copy of all of them in memory, from which
reads and watches are answered. Any number of API servers may run on one etcd; they behave as one.
"""

EPILOG = """\
examples:
  a server for a laptop, with a bearer token (the serving certificate is made in --cert-dir):
    echo 'secret,admin,admin,"system:masters"' > tokens.csv
    kube-apiserver --etcd-servers=http://127.0.0.1:2379 --bind-address=127.0.0.1 --cert-dir=certs \\
      --token-auth-file=tokens.csv
    kubectl --server=https://127.0.0.1:6443 --insecure-skip-tls-verify --token=secret get namespaces

/healthz, /livez, /readyz (with ?verbose) and /version are open to all. Any other request without a credential is one
of system:anonymous, or a 401 where everything is allowed (--authorization-mode=AlwaysAllow).
"""


@dataclass(frozen=True)
class Options:
    etcd_servers: list[str]
    etcd_cafile: str = ""
    etcd_certfile: str = ""
    etcd_keyfile: str = ""
    encryption_provider_config: str = ""
    encryption_provider_config_automatic_reload: bool = False
    bind_address: str = "0.0.0.0"
    secure_port: int = 6443
    advertise_address: str = ""
    """Where others reach this server; "" when it is to be found out (the host's address)."""
    tls_cert_file: str = ""
    tls_private_key_file: str = ""
    client_ca_file: str = ""
    cert_dir: str = ""
    authentication: AuthenticationOptions = field(default_factory=AuthenticationOptions)
    authorization_modes: list[str] = field(default_factory=lambda: [ALWAYS_ALLOW])
    authorization_webhook: WebhookSettings | None = None
    service_cluster_ip_range: list[IPNetwork] = field(default_factory=lambda: _networks(DEFAULT_SERVICE_RANGE))
    """One, or one of each family: the first is that of Services that ask for none."""
    service_node_ports: range = range(30000, 32768)
    kubelet_certificate_authority: str = ""
    kubelet_client_certificate: str = ""
    kubelet_client_key: str = ""
    proxy_client_cert_file: str = ""
    proxy_client_key_file: str = ""
    """With the former: what this server shows to the API servers behind it."""
    service_account_issuers: list[str] = field(default_factory=lambda: [DEFAULT_ISSUER])
    """The first is written into new tokens, all are believed."""
    service_account_signing_key_file: str = ""
    service_account_key_files: list[str] = field(default_factory=list)
    service_account_max_token_seconds: int = 0
    """0: tokens may be asked for as long as the API allows."""
    service_account_jwks_uri: str = ""
    api_audiences: list[str] = field(default_factory=list)
    event_ttl_seconds: int = 3600
    feature_gates: dict[str, bool] = field(default_factory=dict)
    enable_admission_plugins: list[str] = field(default_factory=list)
    disable_admission_plugins: list[str] = field(default_factory=list)
    admission_control_config_file: str = ""
    max_requests_inflight: int = 400
    max_mutating_requests_inflight: int = 200
    enable_priority_and_fairness: bool = True
    request_timeout_seconds: float = 60.0
    audit: AuditOptions = field(default_factory=AuditOptions)
    shutdown_delay_seconds: float = 0.0
    shutdown_watch_grace_seconds: float = 0.0
    log_file: str = ""
    verbosity: int = 0

    @property
    def drain_seconds(self) -> float:
        """How long the requests under way may go on once no more are taken."""
        return max(self.request_timeout_seconds, self.shutdown_watch_grace_seconds)


def parse_options(argv: Sequence[str] | None = None) -> Options:
    """Ends the process with a message for flags that can't be used, as argparse does."""
    parser = _parser()
    args = parser.parse_args(argv)
    if bool(args.tls_cert_file) != bool(args.tls_private_key_file):
        parser.error("--tls-cert-file and --tls-private-key-file belong together: give both or neither")
    if bool(args.kubelet_client_certificate) != bool(args.kubelet_client_key):
        parser.error("--kubelet-client-certificate and --kubelet-client-key belong together: give both or neither")
    if bool(args.proxy_client_cert_file) != bool(args.proxy_client_key_file):
        parser.error("--proxy-client-cert-file and --proxy-client-key-file belong together: give both or neither")
    if args.enable_priority_and_fairness and args.max_requests_inflight + args.max_mutating_requests_inflight <= 0:
        parser.error("--enable-priority-and-fairness needs seats: --max-requests-inflight or its pair above 0")
    for flag in ("shutdown_delay_duration", "shutdown_watch_termination_grace_period"):
        if getattr(args, flag) < 0:
            parser.error(f"--{flag.replace('_', '-')} can not be a negative value")
    if 0 < args.service_account_max_token_expiration < MIN_TOKEN_SECONDS:
        parser.error("--service-account-max-token-expiration must be at least an hour")
    return fill(
        Options,
        args,
        authentication=authentication_options(parser, args),
        cert_dir=args.cert_dir or "/var/run/kubernetes",
        authorization_modes=args.authorization_mode,
        authorization_webhook=webhook_settings(parser, args),
        service_node_ports=args.service_node_port_range,
        service_account_issuers=args.service_account_issuer or [DEFAULT_ISSUER],
        service_account_key_files=args.service_account_key_file,
        service_account_max_token_seconds=int(args.service_account_max_token_expiration),
        event_ttl_seconds=int(args.event_ttl),
        request_timeout_seconds=args.request_timeout,
        audit=audit_options(parser, args),
        shutdown_delay_seconds=args.shutdown_delay_duration,
        shutdown_watch_grace_seconds=args.shutdown_watch_termination_grace_period,
    )


def _parser() -> argparse.ArgumentParser:
    parser = base_parser("kube-apiserver", DESCRIPTION, secure_port=6443, kubeconfig=False)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EPILOG
    _add_etcd(parser)
    add_authentication(parser)
    add_authorization(parser)
    _add_admission(parser)
    _add_service_accounts(parser)
    _add_cluster(parser)
    add_audit(parser)
    _add_limits(parser)
    _add_shutdown(parser)
    return parser


def _add_etcd(parser: argparse.ArgumentParser) -> None:
    etcd = parser.add_argument_group("etcd")
    etcd.add_argument(
        "--etcd-servers", type=parse_list, default=["http://127.0.0.1:2379"], metavar="URL,...", help="etcd's endpoints"
    )
    etcd.add_argument(
        "--etcd-cafile", default="", metavar="FILE", help="authority that signed etcd's certificate (PEM)"
    )
    etcd.add_argument("--etcd-certfile", default="", metavar="FILE", help="client certificate for etcd (PEM)")
    etcd.add_argument("--etcd-keyfile", default="", metavar="FILE", help="its private key (PEM)")
    etcd.add_argument(
        "--encryption-provider-config",
        default="",
        metavar="FILE",
        help="which resources are encrypted in etcd, and how (YAML: EncryptionConfiguration of "
        "apiserver.config.k8s.io/v1)",
    )
    add_bool(
        etcd,
        "--encryption-provider-config-automatic-reload",
        False,
        "take over that file whenever it changes",
    )


def _add_admission(parser: argparse.ArgumentParser) -> None:
    admission = parser.add_argument_group("admission")
    for verb in ("enable", "disable"):
        admission.add_argument(
            f"--{verb}-admission-plugins", type=parse_list, default=[], metavar="NAME,...", help=f"{verb} these plugins"
        )
    admission.add_argument(
        "--admission-control-config-file",
        default="",
        metavar="FILE",
        help="configurations of admission plugins (YAML: AdmissionConfiguration of apiserver.config.k8s.io/v1)",
    )


def _add_service_accounts(parser: argparse.ArgumentParser) -> None:
    accounts = parser.add_argument_group("service account tokens")
    accounts.add_argument(
        "--service-account-signing-key-file",
        default="",
        metavar="FILE",
        help="private key that signs them: RSA or EC P-256 (PEM; default: one made in --cert-dir)",
    )
    accounts.add_argument(
        "--service-account-key-file",
        action="append",
        default=[],
        metavar="FILE",
        help="public or private key that may have signed older ones; may be repeated",
    )
    accounts.add_argument(
        "--service-account-issuer",
        action="append",
        default=[],
        metavar="URL",
        help=f"who makes them (default {DEFAULT_ISSUER}); of several the first does, all are believed",
    )
    accounts.add_argument(
        "--service-account-jwks-uri", default="", metavar="URL", help="where others find the keys to verify them with"
    )
    accounts.add_argument(
        "--api-audiences",
        type=parse_list,
        default=[],
        metavar="NAME,...",
        help="for whom tokens are meant that this server takes (default: the issuer)",
    )
    add_duration(parser, "--service-account-max-token-expiration", 0, "the longest that a token may be asked for")


def _add_cluster(parser: argparse.ArgumentParser) -> None:
    cluster = parser.add_argument_group("the cluster")
    cluster.add_argument(
        "--advertise-address", default="", metavar="IP", help="where pods reach this server (default: its bind address)"
    )
    cluster.add_argument(
        "--service-cluster-ip-range",
        type=_networks,
        default=DEFAULT_SERVICE_RANGE,
        metavar="CIDR,...",
        help="addresses of Services: a range, or one of each family, the preferred one first",
    )
    cluster.add_argument(
        "--service-node-port-range",
        type=_ports,
        default="30000-32767",
        metavar="FROM-TO",
        help="ports for NodePort Services",
    )
    cluster.add_argument(
        "--kubelet-certificate-authority",
        default="",
        metavar="FILE",
        help="authority of the kubelets' certificates (PEM)",
    )
    cluster.add_argument(
        "--kubelet-client-certificate", default="", metavar="FILE", help="client certificate for kubelets (PEM)"
    )
    cluster.add_argument("--kubelet-client-key", default="", metavar="FILE", help="its private key (PEM)")
    cluster.add_argument(
        "--proxy-client-cert-file",
        default="",
        metavar="FILE",
        help="client certificate for the API servers that APIServices name, which lets this one speak for users (PEM)",
    )
    cluster.add_argument("--proxy-client-key-file", default="", metavar="FILE", help="its private key (PEM)")
    add_duration(parser, "--event-ttl", 3600, "how long Events are kept")
    parser.add_argument(
        "--feature-gates",
        type=_gates,
        default="",
        metavar="NAME=true|false,...",
        help="alpha features of upstream's to switch on, such as HPAScaleToZero",
    )


def _add_limits(parser: argparse.ArgumentParser) -> None:
    limits = parser.add_argument_group("limits")
    add_bool(
        parser,
        "--enable-priority-and-fairness",
        True,
        "let requests wait as FlowSchemas and PriorityLevelConfigurations say, which share the two bounds' seats",
    )
    limits.add_argument(
        "--max-requests-inflight",
        type=int,
        default=400,
        metavar="N",
        help="reads at once, or seats; without priority and fairness further reads get a 429 (default 400; 0: any)",
    )
    limits.add_argument(
        "--max-mutating-requests-inflight",
        type=int,
        default=200,
        metavar="N",
        help="the same for writes (default 200)",
    )
    add_duration(parser, "--request-timeout", 60, "after this a request gets a 504; watches and logs are exempt")


def _add_shutdown(parser: argparse.ArgumentParser) -> None:
    add_duration(
        parser,
        "--shutdown-delay-duration",
        0,
        "how long to go on serving after SIGTERM while /readyz fails, so that load balancers send nobody here any more",
    )
    add_duration(
        parser,
        "--shutdown-watch-termination-grace-period",
        0,
        "over how long the ends of watches are spread after that, so that not all clients come back elsewhere at once",
    )


def _networks(text: str) -> list[IPNetwork]:
    try:
        networks = [ip_network(part) for part in parse_list(text)]
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{error}") from None
    if not networks or len({network.version for network in networks}) < len(networks):
        raise argparse.ArgumentTypeError(f"{text!r}: one range is needed, or one of each family")
    for network in networks:
        shortest, longest = (12, 28) if network.version == 4 else (64, 124)
        if not shortest <= network.prefixlen <= longest:
            raise argparse.ArgumentTypeError(
                f"{network}: an IPv{network.version} network from /{shortest} to /{longest} is needed"
            )
    return networks


def _gates(text: str) -> dict[str, bool]:
    return {name: parse_bool(value) for name, value in parse_map(text).items()}


def _ports(text: str) -> range:
    first, _, last = text.partition("-")
    if not (first.isdigit() and last.isdigit() and 0 < int(first) <= int(last) < 65536):
        raise argparse.ArgumentTypeError(f"{text!r}: write it like 30000-32767")
    return range(int(first), int(last) + 1)
