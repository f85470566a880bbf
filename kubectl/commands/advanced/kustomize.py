"""`kustomize`: prints the objects of a kustomization, which `kustomize` or the real `kubectl` builds."""

from __future__ import annotations

import argparse
from pathlib import Path

from kubectl.input.kustomize import build
from kubectl.invocation.command import Command, CommandContext, UsageError


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "folders", nargs="*", metavar="DIR", help="the folder of the kustomization; by default this one"
    )
    parser.add_argument("-o", "--output", default="", metavar="FILE", help="write there instead of to standard output")


def run(context: CommandContext, args: argparse.Namespace) -> None:
    if len(args.folders) > 1:
        raise UsageError("specify one path to kustomization.yaml")
    text = build(args.folders[0] if args.folders else ".")
    if args.output:
        Path(args.output).write_text(text)
    else:
        context.out.write(text)


COMMAND = Command(
    "kustomize",
    "Print the objects of a kustomization",
    configure,
    run,
    examples="  mini-kubectl kustomize overlays/production",
)
