"""The flags about who sends a request."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field

from componentbase.flags import add_bool, fill, parse_list


@dataclass(frozen=True)
class RequestHeaderOptions:
    """How a front proxy names users."""

    client_ca_file: str = ""
    """The authority of the proxies' certificates; "" where no proxy is believed."""
    allowed_names: list[str] = field(default_factory=list)
    username_headers: list[str] = field(default_factory=list)
    uid_headers: list[str] = field(default_factory=list)
    group_headers: list[str] = field(default_factory=list)
    extra_headers_prefix: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class AuthenticationOptions:
    token_auth_file: str = ""
    anonymous_auth: bool = True
    enable_bootstrap_token_auth: bool = False
    request_header: RequestHeaderOptions = field(default_factory=RequestHeaderOptions)


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
    add_bool(
        group,
        "--enable-bootstrap-token-auth",
        False,
        "take the tokens in Secrets of type bootstrap.kubernetes.io/token in kube-system, of nodes that join",
    )
    _add_request_headers(parser)


def _add_request_headers(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("front proxies, which name the user of a request in headers")
    group.add_argument(
        "--requestheader-client-ca-file",
        default="",
        metavar="FILE",
        help="authority of the proxies' client certificates (PEM); without it the headers mean nothing",
    )
    for name, default, metavar, text in (
        ("allowed-names", "", "NAME", "common names that a proxy's certificate may have (default: any)"),
        ("username-headers", "X-Remote-User", "HEADER", "the user's name; the first with a value counts"),
        ("uid-headers", "X-Remote-Uid", "HEADER", "the user's uid"),
        ("group-headers", "X-Remote-Group", "HEADER", "groups of the user, one a header"),
        ("extra-headers-prefix", "X-Remote-Extra-", "PREFIX", "prefixes of headers with further facts of the user"),
    ):
        group.add_argument(
            f"--requestheader-{name}",
            type=parse_list,
            default=parse_list(default),
            metavar=f"{metavar},...",
            help=text + (f" (default {default})" if default else ""),
        )


def authentication_options(parser: argparse.ArgumentParser, args: argparse.Namespace) -> AuthenticationOptions:
    """Ends the process with a message for flags that exclude each other."""
    prefix = "requestheader_"
    headers = {name.removeprefix(prefix): value for name, value in vars(args).items() if name.startswith(prefix)}
    return fill(AuthenticationOptions, args, request_header=RequestHeaderOptions(**headers))
