"""The flags about who decides on requests."""

from __future__ import annotations

import argparse

from apiserver.auth.authorization.modes import ALWAYS_ALLOW, MODES, WEBHOOK, mode_errors
from apiserver.auth.authorization.webhook import VERSIONS, WebhookSettings
from componentbase.flags import add_duration, parse_list


def add_authorization(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("authorization")
    group.add_argument(
        "--authorization-mode",
        type=parse_list,
        default=[ALWAYS_ALLOW],
        metavar="MODE,...",
        help=f"who decides, in this order, until one allows or denies: {', '.join(MODES)} (default {ALWAYS_ALLOW})",
    )
    group.add_argument(
        "--authorization-webhook-config-file",
        default="",
        metavar="FILE",
        help=f"kubeconfig of the server that the mode {WEBHOOK} sends a SubjectAccessReview for each request",
    )
    group.add_argument(
        "--authorization-webhook-version",
        default="v1beta1",
        choices=VERSIONS,
        help="version of authorization.k8s.io in which that server is asked (default v1beta1)",
    )
    add_duration(
        group, "--authorization-webhook-cache-authorized-ttl", 300, "how long its yes is remembered; 0 for not at all"
    )
    add_duration(
        group, "--authorization-webhook-cache-unauthorized-ttl", 30, "how long its no is remembered; 0 for not at all"
    )


def webhook_settings(parser: argparse.ArgumentParser, args: argparse.Namespace) -> WebhookSettings | None:
    """Returns what the mode Webhook needs, None without that mode. Ends the process for modes that can't be used."""
    for error in mode_errors(args.authorization_mode):
        parser.error(f"--authorization-mode: {error}")
    file = args.authorization_webhook_config_file
    if WEBHOOK not in args.authorization_mode:
        if file:
            parser.error(f"cannot specify --authorization-webhook-config-file without mode {WEBHOOK}")
        return None
    if not file:
        parser.error("authorization-mode Webhook's authorization config file not passed")
    return WebhookSettings(
        file,
        args.authorization_webhook_version,
        args.authorization_webhook_cache_authorized_ttl,
        args.authorization_webhook_cache_unauthorized_ttl,
    )
