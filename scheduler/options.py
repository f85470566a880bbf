"""kube-scheduler's command line, in upstream's flag names."""

from __future__ import annotations

import argparse

from componentbase import flags

SECURE_PORT = 10259


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """Exits with a message on a bad command line, as argparse does."""
    parser = flags.base_parser("kube-scheduler", "Gives each pod its node.", secure_port=SECURE_PORT, leader_elect=True)
    return parser.parse_args(argv)
