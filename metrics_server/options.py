"""The command line of the metrics server, with the flags of upstream's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from apiserver.options.authentication import RequestHeaderOptions, add_request_headers, request_headers
from componentbase.flags import Serving, base_parser, fill

PORT = 10250


@dataclass(frozen=True, slots=True)
class Options:
    kubeconfig: str
    serving: Serving
    request_header: RequestHeaderOptions
    """How the API server names the user of a request."""
    kubelet_certificate_authority: str
    kubelet_client_certificate: str
    kubelet_client_key: str
    log_file: str
    verbosity: int


def parse_options(argv: Sequence[str] | None = None) -> Options:
    """Exits with a message on a bad command line, as argparse does."""
    parser = base_parser("metrics-server", "Serves what nodes and pods use, and pods' own metrics.", secure_port=PORT)
    add_request_headers(parser)
    group = parser.add_argument_group("kubelets (default: as the kubeconfig has it for the API server)")
    for name, text in (
        ("certificate-authority", "authority of their certificates (PEM)"),
        ("client-certificate", "certificate that they are shown (PEM)"),
        ("client-key", "its private key (PEM)"),
    ):
        group.add_argument(f"--kubelet-{name}", default="", metavar="FILE", help=text)
    args = parser.parse_args(argv)
    return fill(Options, args, serving=Serving.of(args), request_header=request_headers(args))
