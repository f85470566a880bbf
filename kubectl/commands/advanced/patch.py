"""`patch`: changes fields of objects by a strategic merge, merge or JSON patch."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from apimachinery.errors import UnsupportedMediaType
from apimachinery.text.yaml import YamlError, read_document
from kubectl.api.client import Dict
from kubectl.changes.writing import PATCH_TYPES, Report, add_write_flags, apply_patch, write_params
from kubectl.input import candidates
from kubectl.input.manifests import read_manifests
from kubectl.input.targets import Target, add_targets, select
from kubectl.invocation.command import Command, CommandContext, Failures, UsageError
from kubectl.invocation.flags import add_bool
from kubectl.invocation.parser import choice
from kubectl.output.printers import name_of


def configure(parser: argparse.ArgumentParser) -> None:
    add_targets(parser, "patch", selector=False)
    parser.add_argument("-p", "--patch", default="", help="the patch, as JSON or YAML")
    parser.add_argument("--patch-file", default="", metavar="FILE", help="a file with the patch")
    parser.add_argument(
        "--type", default="strategic", metavar="strategic|merge|json",
        type=choice(*PATCH_TYPES, refusal=f'--type must be one of [{" ".join(PATCH_TYPES)}], not "%s"'),
        help="how it is merged",
    )  # fmt: skip
    parser.add_argument("--subresource", default="", metavar="NAME", help="patch this subresource, e.g. status")
    add_bool(parser, "--local", default=False, help="patch the objects of the file, without asking the server")
    add_write_flags(parser, "kubectl-patch")


def run(context: CommandContext, args: argparse.Namespace) -> None:
    patch = read_patch(args)
    report = Report(context, args, suffix=False)
    if args.local:
        if not args.filename:
            raise UsageError("--local requires -f or -k: there is no server to ask for objects")
        for manifest in read_manifests(args, "patch"):
            report(name_of(manifest.obj), apply_patch(manifest.obj, patch, args.type), "patched")
        return
    with Failures() as failed:
        objects = list(select(context, args, failed))
        if not (objects or failed):
            raise UsageError("no objects passed to patch")
        for target, obj in objects:
            with failed.caught():
                if args.subresource:
                    obj = context.api.request("GET", target.subresource(args.subresource))
                result = _patch(context, args, target, obj, patch)
                report(name_of(result), result, "patched (no change)" if result == obj else "patched")


def _patch(context: CommandContext, args: argparse.Namespace, target: Target, obj: Dict, patch: Any) -> Dict:
    if args.dry_run == "client":
        return apply_patch(obj, patch, args.type)
    kind = PATCH_TYPES[args.type]
    try:
        return context.api.patch(target.subresource(args.subresource), patch, kind, write_params(args))
    except UnsupportedMediaType as error:  # a custom resource has no strategic merge
        raise UsageError(f"{kind} is not supported by {obj['apiVersion']}, Kind={obj['kind']}: {error}") from None


def read_patch(args: argparse.Namespace) -> Any:
    """Raises: UsageError where there is not exactly one, or it cannot be read."""
    if args.patch and args.patch_file:
        raise UsageError("cannot specify --patch and --patch-file together")
    if not (args.patch or args.patch_file):
        raise UsageError("must specify --patch or --patch-file containing the contents of the patch")
    text = args.patch
    if args.patch_file:
        try:
            text = Path(args.patch_file).read_text()
        except OSError as error:
            reason = str(error.strerror).lower()
            raise UsageError(f"unable to read patch file: open {args.patch_file}: {reason}") from error
    try:
        return json.loads(text)
    except ValueError:
        pass
    try:
        return read_document(text).value
    except YamlError as error:
        raise UsageError(f'unable to parse "{text}": {error}') from error


COMMAND = Command(
    "patch",
    "Change fields of objects",
    configure,
    run,
    completes=candidates.types_and_names,
    examples="""\
  mini-kubectl patch node worker-1 -p '{"spec":{"unschedulable":true}}'
  mini-kubectl patch deployment web --type=merge -p '{"spec":{"paused":true}}'
  mini-kubectl patch pod web --type=json -p '[{"op":"replace","path":"/spec/containers/0/image","value":"web:2"}]'
  mini-kubectl patch deployment web --subresource=scale --type=merge -p '{"spec":{"replicas":2}}'""",
)
