"""The flags by which a daemon is told of its cloud."""

from __future__ import annotations

import argparse

from cloudprovider.interface import CloudError, Provider, providers


def add_cloud_flags(flags: argparse.ArgumentParser) -> None:
    names = ", ".join(sorted(providers()))
    flags.add_argument("--cloud-provider", default="", metavar="NAME", help=f"the cloud: {names}")
    flags.add_argument("--cloud-config", default="", metavar="FILE", help="the provider's own configuration")


def provider_of(flags: argparse.ArgumentParser, args: argparse.Namespace) -> Provider:
    """Exits with a message where the flags name no provider, or one that can't work."""
    spec = providers().get(args.cloud_provider)
    if spec is None:
        flags.error(f"--cloud-provider must be one of {', '.join(sorted(providers()))}")
    try:
        return spec.factory(args.cloud_config)
    except CloudError as error:
        flags.error(f"--cloud-config: {error}")
