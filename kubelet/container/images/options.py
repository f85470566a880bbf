"""The kubelet's flags about images, with upstream's names, or those of its configuration's fields."""

from __future__ import annotations

import argparse
from dataclasses import dataclass

from apimachinery.text.image_reference import parse_reference
from componentbase.flags import add_bool, fill, parse_list

NEVER_VERIFY = "NeverVerify"
NEVER_VERIFY_PRELOADED = "NeverVerifyPreloadedImages"
NEVER_VERIFY_ALLOWLISTED = "NeverVerifyAllowlistedImages"
ALWAYS_VERIFY = "AlwaysVerify"
POLICIES = (NEVER_VERIFY, NEVER_VERIFY_PRELOADED, NEVER_VERIFY_ALLOWLISTED, ALWAYS_VERIFY)


@dataclass(frozen=True)
class ImageOptions:
    """`max_parallel_image_pulls` and `registry_qps` of 0 mean that the user sets no limit."""

    image_credential_provider_config: str = ""
    image_credential_provider_bin_dir: str = ""
    serialize_image_pulls: bool = True
    max_parallel_image_pulls: int = 0
    registry_qps: float = 5.0
    registry_burst: int = 10
    image_pull_credentials_verification_policy: str = NEVER_VERIFY_PRELOADED
    preloaded_images_verification_allowlist: tuple[str, ...] = ()


def add_image_flags(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("images")
    defaults = ImageOptions()
    group.add_argument(
        "--image-credential-provider-config",
        default="",
        metavar="PATH",
        help="a CredentialProviderConfig, or a folder of such files: plugins that are asked for registry credentials",
    )
    group.add_argument(
        "--image-credential-provider-bin-dir", default="", metavar="DIR", help="where these plugins' programs are"
    )
    add_bool(group, "--serialize-image-pulls", defaults.serialize_image_pulls, "pull one image at a time")
    group.add_argument(
        "--max-parallel-image-pulls", type=int, default=None, metavar="N", help="pulls at once, if not serialized"
    )
    group.add_argument(
        "--registry-qps",
        type=float,
        default=defaults.registry_qps,
        metavar="N",
        help="pulls a second; more are refused, and tried again later (%(default)s; 0: no limit)",
    )
    group.add_argument(
        "--registry-burst",
        type=int,
        default=defaults.registry_burst,
        metavar="N",
        help="pulls in a burst (%(default)s)",
    )
    group.add_argument(
        "--image-pull-credentials-verification-policy",
        default=defaults.image_pull_credentials_verification_policy,
        metavar="POLICY",
        help="which of the images that are here already a pod gets only with credentials for them: "
        f"{', '.join(POLICIES)} (%(default)s)",
    )
    group.add_argument(
        "--preloaded-images-verification-allowlist",
        type=parse_list,
        default=[],
        metavar="IMAGE[,IMAGE]",
        help="images, or prefixes that end with /*, for NeverVerifyAllowlistedImages",
    )


def image_options(args: argparse.Namespace) -> ImageOptions:
    """Raises: ValueError."""
    pulls = args.max_parallel_image_pulls
    if pulls is not None and pulls < 1:
        raise ValueError(f"--max-parallel-image-pulls {pulls} must be a positive number")
    if pulls is not None and pulls > 1 and args.serialize_image_pulls:
        raise ValueError(
            f"--max-parallel-image-pulls {pulls} cannot be larger than 1 unless --serialize-image-pulls is false"
        )
    if args.registry_qps < 0:
        raise ValueError(f"--registry-qps {args.registry_qps:g} must not be a negative number")
    if args.registry_burst < 0:
        raise ValueError(f"--registry-burst {args.registry_burst} must not be a negative number")
    if bool(args.image_credential_provider_config) != bool(args.image_credential_provider_bin_dir):
        raise ValueError("--image-credential-provider-config and --image-credential-provider-bin-dir need each other")
    patterns = tuple(args.preloaded_images_verification_allowlist)
    policy = args.image_pull_credentials_verification_policy
    if policy not in POLICIES:
        raise ValueError(f"--image-pull-credentials-verification-policy {policy} is not one of {', '.join(POLICIES)}")
    if patterns and policy != NEVER_VERIFY_ALLOWLISTED:
        raise ValueError(f"--preloaded-images-verification-allowlist is for {NEVER_VERIFY_ALLOWLISTED} alone")
    for pattern in patterns:
        _check_pattern(pattern)
    return fill(
        ImageOptions,
        args,
        max_parallel_image_pulls=pulls or 0,
        preloaded_images_verification_allowlist=patterns,
    )


def _check_pattern(pattern: str) -> None:
    """Raises: ValueError."""
    if pattern.endswith("/*"):
        if "*" in pattern[:-1] or len(pattern) == 2:
            raise ValueError(f"{pattern}: only a name before a last /* is a pattern")
        return
    if "*" in pattern:
        raise ValueError(f"{pattern}: only patterns that end with /* are allowed")
    reference = parse_reference(pattern)
    if reference.repository != pattern:
        raise ValueError(f"{pattern}: write {reference.repository}, with the registry, without tag and digest")
