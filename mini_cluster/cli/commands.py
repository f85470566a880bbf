"""Commands and the commands below them; all of them have the flags of `shared`."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from mini_cluster.console import Console

Run = Callable[[argparse.Namespace, Console], int]


class Commands:
    """The commands of one parser. Each stores its function as `run`, which returns the exit code."""

    def __init__(self, parser: argparse.ArgumentParser, shared: argparse.ArgumentParser, title: str) -> None:
        self._parsers = parser.add_subparsers(title=title, metavar=title.removesuffix("s").upper(), required=True)
        self._shared = shared

    def add(self, name: str, run: Run, summary: str, description: str = "") -> argparse.ArgumentParser:
        """Adds a command; `description` stands in its help instead of `summary`."""
        command = self._parser(name, summary, description)
        command.set_defaults(run=run)
        return command

    def group(
        self, name: str, summary: str, description: str = "", *, title: str = "actions", epilog: str = ""
    ) -> Commands:
        """Adds a command that has commands of its own."""
        return Commands(self._parser(name, summary, description, epilog), self._shared, title)

    def _parser(self, name: str, summary: str, description: str, epilog: str = "") -> argparse.ArgumentParser:
        return self._parsers.add_parser(
            name,
            parents=[self._shared],
            help=summary,
            description=description or summary,
            epilog=epilog or None,
            formatter_class=argparse.RawDescriptionHelpFormatter if description else argparse.HelpFormatter,
        )
