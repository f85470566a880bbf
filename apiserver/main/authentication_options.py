"""The flags about who sends a request."""

from __future__ import annotations

import argparse
from dataclasses import dataclass

from componentbase.flags import add_bool, fill


@dataclass(frozen=True)
class AuthenticationOptions:
    token_auth_file: str = ""
    anonymous_auth: bool = True


def add_authentication(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("authentication")
    group.add_argument(
        "--token-auth-file", default="", metavar="FILE", help='bearer tokens: lines of token,user,uid,"group1,group2"'
    )
    add_bool(
        group,
        "--anonymous-auth",
        True,
        "take requests without a credential as of the user system:anonymous (never with AlwaysAllow)",
    )


def authentication_options(parser: argparse.ArgumentParser, args: argparse.Namespace) -> AuthenticationOptions:
    """Ends the process with a message for flags that exclude each other."""
    return fill(AuthenticationOptions, args)
