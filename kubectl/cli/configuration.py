"""Makes the context of an invocation from its flags and the kubeconfig."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from kubeclient.access.config import ClientConfig, ConfigError, NoConfig, load_config
from kubeclient.access.impersonation import Impersonation
from kubectl.invocation.command import CommandContext


def make_context(args: argparse.Namespace) -> CommandContext:
    """Makes a context that reads nothing before a verb asks for it: some verbs need no cluster."""
    options = vars(args)
    return CommandContext(
        load=lambda: _configuration(options),
        given_namespace=options.get("namespace") or "",
        request_timeout_seconds=options.get("request_timeout") or None,
    )


def _configuration(options: Mapping[str, Any]) -> ClientConfig:
    """The kubeconfig, with what the flags change. Raises: ConfigError."""
    path = options.get("kubeconfig")
    if path and not Path(path).exists():
        raise ConfigError(f"stat {path}: no such file or directory")
    try:
        config = load_config(path, options.get("context"))
    except NoConfig:
        if not options.get("server"):
            raise
        config = ClientConfig(server="")
    if server := options.get("server"):
        config = replace(config, server=server if "://" in server else f"http://{server}")
    if token := options.get("token"):
        config = replace(config, token=token, cert_file="", cert_data="", key_file="", key_data="")
    impersonation = _impersonation(options)
    if impersonation is not None:
        config = replace(config, impersonation=impersonation)
    if options.get("insecure_skip_tls_verify"):
        config = replace(config, insecure=True, ca_file="", ca_data="")
    return config


def _impersonation(options: Mapping[str, Any]) -> Impersonation | None:
    """What the flags ask for, which replaces what the kubeconfig does. Raises: ConfigError."""
    user, groups, uid = options.get("as_user"), options.get("as_group") or (), options.get("as_uid")
    if user:
        return Impersonation(user, tuple(groups), uid or "")
    if groups or uid:
        raise ConfigError("requesting uid, groups or user-extra without impersonating a user")
    return None
