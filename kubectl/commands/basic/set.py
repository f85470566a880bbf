"""`set`: changes images, environment and resources of containers."""

from __future__ import annotations

import argparse
import copy
from collections.abc import Callable, Iterator
from typing import Any

from apimachinery.errors import StatusError
from apimachinery.quantity import QuantityError, parse_quantity
from kubectl.api.client import Dict
from kubectl.changes.podtemplate import containers, spec_of, with_defaults
from kubectl.changes.writing import Report, add_field_manager, two_way_patch, write_params
from kubectl.commands.basic import _setenv
from kubectl.input import candidates
from kubectl.input.manifests import NOTHING_GIVEN, Target, add_file_arguments, raise_all, read_manifests, select
from kubectl.invocation.command import Command
from kubectl.invocation.context import CommandContext, UsageError
from kubectl.invocation.flags import add_bool, add_dry_run, add_output, add_selector
from kubectl.output.printers import name_of

Change = Callable[[Dict], None]
"""Changes an object in place. Raises: UsageError where it cannot."""


def configure(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(metavar="WHAT", required=True)
    image = _add(verbs, "image", _image, "TYPE NAME or TYPE/NAME, then CONTAINER=IMAGE ...", "Set images of containers")
    image.set_defaults(done="image updated", refused="failed to patch image update to pod template:")
    env = _add(verbs, "env", _setenv.plan, "TYPE NAME or TYPE/NAME, then KEY=VALUE or KEY- ...", "Set the environment")
    _setenv.add_arguments(env)
    env.set_defaults(done="env updated", refused="failed to patch env update to pod template")
    resources = _add(verbs, "resources", _resources, "TYPE NAME or TYPE/NAME", "Set requests and limits of containers")
    resources.add_argument("-c", "--containers", default="*", help="a pattern of container names")
    resources.add_argument("--limits", default="", metavar="NAME=QUANTITY,...", help="e.g. cpu=1,memory=1Gi")
    resources.add_argument("--requests", default="", metavar="NAME=QUANTITY,...")
    resources.set_defaults(
        done="resource requirements updated", refused="failed to patch resources update to pod template"
    )


def _add(verbs: Any, name: str, plan: Any, words: str, help_text: str) -> argparse.ArgumentParser:
    sub: argparse.ArgumentParser = verbs.add_parser(name, help=help_text, description=help_text + ".")
    sub.add_argument("words", nargs="*", metavar="WORD", help=words)
    add_file_arguments(sub, "change")
    add_selector(sub)
    sub.add_argument("--all", action="store_true", help="all objects of the type in the namespace")
    add_bool(sub, "--local", default=False, help="change what the file says, without asking the server")
    add_field_manager(sub, "kubectl-set")
    add_dry_run(sub)
    add_output(sub)
    sub.set_defaults(plan=plan)
    return sub


def run(context: CommandContext, args: argparse.Namespace) -> None:
    if args.all and args.selector:
        raise UsageError("cannot set --all and --selector at the same time")
    words, change = args.plan(context, args)
    report = Report(context, args)
    failed: list[Exception] = []
    for target, obj in _found(context, args, words, failed):
        new = copy.deepcopy(obj)
        try:
            change(new)
            if not change_made(args, obj, new):
                continue
            report(name_of(obj), _send(context, args, target, obj, new), args.done)
        except (UsageError, StatusError) as error:
            failed.append(error)
    raise_all(failed)


def change_made(args: argparse.Namespace, old: Dict, new: Dict) -> bool:
    return bool(args.local or old != new) and not getattr(args, "list", False)


def _found(
    context: CommandContext, args: argparse.Namespace, words: list[str], failed: list[Exception]
) -> Iterator[tuple[Target | None, Dict]]:
    if args.local:
        if not args.filename:
            raise UsageError(NOTHING_GIVEN)
        for manifest in read_manifests(args.filename, recursive=args.recursive):
            yield None, manifest.obj
        return
    yield from select(
        context, words, args.filename, selector=args.selector, recursive=args.recursive, all_objects=args.all,
        failed=failed,
    )  # fmt: skip


def _send(context: CommandContext, args: argparse.Namespace, target: Target | None, old: Dict, new: Dict) -> Dict:
    if target is None:
        return with_defaults(new) if args.output else new
    if args.dry_run == "client":
        return new
    patch, content_type = two_way_patch(old, new)
    try:
        result: Dict = context.api.request(
            "PATCH", target.path, params=write_params(args), body=patch, content_type=content_type
        )
    except StatusError as error:
        raise UsageError(f"{args.refused} {error.message}") from error
    return result


def split(words: list[str], what: str) -> tuple[list[str], dict[str, str]]:
    """Objects, and the KEY=VALUE behind them. Raises: UsageError for an object behind a pair."""
    targets: list[str] = []
    pairs: dict[str, str] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if equals:
            pairs[key] = value
        elif pairs:
            raise UsageError(f"all resources must be specified before {what} changes: {word}")
        else:
            targets.append(word)
    return targets, pairs


def _image(context: CommandContext, args: argparse.Namespace) -> tuple[list[str], Change]:
    words, images = split(args.words, "image")
    if not (words or args.filename):
        raise UsageError(NOTHING_GIVEN)
    if not images:
        raise UsageError("at least one image update is required")
    if "*" in images and len(images) > 1:
        raise UsageError(
            "all containers are already specified by *, but saw more than one container_name=container_image pairs"
        )

    def change(obj: Dict) -> None:
        spec = spec_of(obj, args)
        for name, image in images.items():
            found = list(containers(spec)) if name == "*" else [c for c in containers(spec) if c["name"] == name]
            if not found:
                raise UsageError(f'unable to find container named "{name}"')
            for container in found:
                container["image"] = image

    return words, change


def _quantities(text: str) -> Dict:
    """Raises: UsageError."""
    found: Dict = {}
    for item in text.split(",") if text else ():
        parts = item.split("=")
        if len(parts) != 2:
            raise UsageError(f"Invalid argument syntax {item}, expected <resource>=<value>")
        try:
            parse_quantity(parts[1])
        except QuantityError as error:
            raise UsageError(
                "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
            ) from error
        found[parts[0]] = parts[1]
    return found


def _resources(context: CommandContext, args: argparse.Namespace) -> tuple[list[str], Change]:
    limits, requests = _quantities(args.limits), _quantities(args.requests)
    if not (args.words or args.filename):
        raise UsageError(NOTHING_GIVEN)
    if not limits and not requests:
        raise UsageError("you must specify an update to requests or limits (in the form of --requests/--limits)")

    def change(obj: Dict) -> None:
        spec = spec_of(obj, args)
        found = list(containers(spec, args.containers))
        if not found:
            raise UsageError(f"unable to find container named {args.containers}")
        for container in found:
            resources = container["resources"] = {**(container.get("resources") or {})}
            for field, wanted in (("limits", limits), ("requests", requests)):
                if wanted:
                    resources[field] = {**(resources.get(field) or {}), **wanted}

    return args.words, change


COMMAND = Command(
    "set",
    "Change images, environment and resources of containers",
    configure,
    run,
    completes=candidates.types_and_names,
    examples="""\
  mini-kubectl set image deployment/web web=nginx:1.27
  mini-kubectl set env deployment/web MODE=fast OLD-
  mini-kubectl set env deployment/web --from=configmap/settings --prefix=APP_
  mini-kubectl set resources deployment/web --limits=cpu=1,memory=512Mi --requests=cpu=100m
  mini-kubectl set image -f deployment.yaml web=web:2 --local -o yaml""",
)
