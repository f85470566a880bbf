"""Reads kube-scheduler's command line, in upstream's flag names."""

from __future__ import annotations

from dataclasses import dataclass

from componentbase import flags
from componentbase.configfile import ConfigFileError
from kubeclient.leader import Election
from scheduler.configuration.load import Configuration, load_configuration

SECURE_PORT = 10259


@dataclass(frozen=True, slots=True)
class Options:
    kubeconfig: str
    serving: flags.Serving
    election: Election
    log_file: str
    verbosity: int
    configuration: Configuration
    explain: str


def parse(argv: list[str] | None = None) -> Options:
    """Exits with a message on a bad command line, as argparse does."""
    parser = flags.base_parser("kube-scheduler", "Gives each pod its node.", secure_port=SECURE_PORT, leader_elect=True)
    parser.add_argument("--config", default="", metavar="FILE", help="a KubeSchedulerConfiguration: profiles, plugins")
    parser.add_argument(
        "--explain",
        default="",
        metavar="NAMESPACE/POD",
        help="say what plugins have against each node, or its score; end",
    )
    try:
        configuration = load_configuration(parser.parse_args(argv).config)
    except ConfigFileError as error:
        parser.error(f"--config: {error}")
    parser.set_defaults(**configuration.flags)  # flags that are given win over the file
    args = parser.parse_args(argv)
    serving, election = flags.Serving.of(args), Election.of(args)
    return flags.fill(Options, args, serving=serving, election=election, configuration=configuration)
