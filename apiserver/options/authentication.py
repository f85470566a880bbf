"""The flags about who sends a request."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field
from typing import Any

from componentbase.flags import add_bool, add_duration, fill, parse_bool, parse_list


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
class OidcOptions:
    """One issuer of tokens; the file of --authentication-config may have several."""

    issuer_url: str = ""
    client_id: str = ""
    ca_file: str = ""
    username_claim: str = "sub"
    username_prefix: str = ""
    """"" for the issuer and "#" in front of any claim but `email`; "-" for none."""
    groups_claim: str = ""
    groups_prefix: str = ""
    signing_algs: list[str] = field(default_factory=lambda: ["RS256"])
    required_claim: list[str] = field(default_factory=list)
    """Items CLAIM=VALUE."""


@dataclass(frozen=True)
class WebhookTokenOptions:
    """The server that is asked about tokens."""

    config_file: str = ""
    """A kubeconfig; "" where none is asked."""
    version: str = "v1beta1"
    cache_ttl: float = 120.0
    """Seconds."""


@dataclass(frozen=True)
class AuthenticationOptions:
    token_auth_file: str = ""
    anonymous_auth: bool | None = None
    """None, where the flag is not given, is true unless the configuration says otherwise."""
    enable_bootstrap_token_auth: bool = False
    authentication_config: str = ""
    webhook: WebhookTokenOptions = field(default_factory=WebhookTokenOptions)
    oidc: OidcOptions = field(default_factory=OidcOptions)
    request_header: RequestHeaderOptions = field(default_factory=RequestHeaderOptions)


def add_authentication(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("authentication")
    group.add_argument(
        "--token-auth-file", default="", metavar="FILE", help='bearer tokens: lines of token,user,uid,"group1,group2"'
    )
    group.add_argument(
        "--anonymous-auth",
        nargs="?",
        const=True,
        type=parse_bool,
        metavar="true|false",
        help="take requests without a credential as of system:anonymous (default true; never with AlwaysAllow)",
    )
    add_bool(
        group,
        "--enable-bootstrap-token-auth",
        False,
        "take the tokens in Secrets of type bootstrap.kubernetes.io/token in kube-system, of nodes that join",
    )
    group.add_argument(
        "--authentication-config",
        default="",
        metavar="FILE",
        help="issuers of tokens, and which requests may be anonymous: an AuthenticationConfiguration (YAML)",
    )
    _add_webhook(group)
    _add_oidc(parser)
    add_request_headers(parser)


def _add_webhook(group: argparse._ArgumentGroup) -> None:
    webhook = "--authentication-token-webhook"
    group.add_argument(
        f"{webhook}-config-file",
        default="",
        metavar="FILE",
        help="ask the server of this kubeconfig about other tokens",
    )
    group.add_argument(
        f"{webhook}-version",
        choices=("v1", "v1beta1"),
        default="v1beta1",
        help="version of the TokenReviews that it is sent (default v1beta1)",
    )
    add_duration(group, f"{webhook}-cache-ttl", 120, "how long its answers are kept")


def _add_oidc(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("OpenID Connect (with --authentication-config, the file alone tells)")
    for name, default, metavar, text in (
        ("issuer-url", "", "URL", "https address of the issuer whose tokens are taken, as in their claim iss"),
        ("client-id", "", "NAME", "what tokens for this server have in their claim aud"),
        ("ca-file", "", "FILE", "authority of the issuer's certificate (PEM; default: the system's)"),
        ("username-claim", "sub", "CLAIM", "claim with the name of the user (default sub)"),
        ("username-prefix", "", "TEXT", "in front of the name; - for none (default: URL# for any claim but email)"),
        ("groups-claim", "", "CLAIM", "claim with the groups of the user"),
        ("groups-prefix", "", "TEXT", "in front of each group"),
    ):
        group.add_argument(f"--oidc-{name}", default=default, metavar=metavar, help=text)
    group.add_argument(
        "--oidc-signing-algs", type=parse_list, default=["RS256"], metavar="NAME,...", help="algorithms (default RS256)"
    )
    group.add_argument(
        "--oidc-required-claim", action="append", default=[], metavar="CLAIM=VALUE", help="needed; may be repeated"
    )


def add_request_headers(parser: argparse.ArgumentParser) -> None:
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
    oidc = OidcOptions(**_named(args, "oidc_"))
    if args.authentication_config and oidc != OidcOptions():
        parser.error("--authentication-config and --oidc-... exclude each other")
    if bool(oidc.issuer_url) != bool(oidc.client_id):
        parser.error("--oidc-issuer-url and --oidc-client-id belong together: give both or neither")
    if not oidc.issuer_url and oidc != OidcOptions():
        parser.error("--oidc-... flags need --oidc-issuer-url and --oidc-client-id")
    if bad := [item for item in oidc.required_claim if not item.partition("=")[0] or "=" not in item]:
        parser.error(f"--oidc-required-claim: {bad[0]}: write CLAIM=VALUE")
    return fill(
        AuthenticationOptions,
        args,
        webhook=WebhookTokenOptions(**_named(args, "authentication_token_webhook_")),
        oidc=oidc,
        request_header=request_headers(args),
    )


def request_headers(args: argparse.Namespace) -> RequestHeaderOptions:
    return RequestHeaderOptions(**_named(args, "requestheader_"))


def _named(args: argparse.Namespace, prefix: str) -> dict[str, Any]:
    return {name.removeprefix(prefix): value for name, value in vars(args).items() if name.startswith(prefix)}
