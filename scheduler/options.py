"""Reads kube-scheduler's command line, in upstream's flag names."""

from __future__ import annotations

from dataclasses import dataclass

from componentbase import flags
from kubeclient.leader import Election

SECURE_PORT = 10259


@dataclass(frozen=True, slots=True)
class Options:
    kubeconfig: str
    serving: flags.Serving
    election: Election
    log_file: str
    verbosity: int
    config: str


def parse(argv: list[str] | None = None) -> Options:
    """Exits with a message on a bad command line, as argparse does."""
    parser = flags.base_parser("kube-scheduler", "Gives each pod its node.", secure_port=SECURE_PORT, leader_elect=True)
    parser.add_argument("--config", default="", metavar="FILE", help="a KubeSchedulerConfiguration: plugins, weights")
    args = parser.parse_args(argv)
    return flags.fill(Options, args, serving=flags.Serving.of(args), election=Election.of(args))
