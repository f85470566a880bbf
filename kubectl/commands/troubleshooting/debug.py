"""`debug`: looks into things with a container beside those of a pod, a copy of a pod, or a pod on a node."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from dataclasses import replace
from functools import partial

from apimachinery.names import random_suffix
from kubectl.api.client import STRATEGIC_MERGE_PATCH, Dict
from kubectl.changes.deletion import delete_object
from kubectl.changes.generated import IMAGE, PULL_POLICIES
from kubectl.input import candidates
from kubectl.input.pods import container_names
from kubectl.input.targets import Target, add_targets, select
from kubectl.invocation.command import Candidates, Command, CommandContext, Cursor, UsageError, refuse
from kubectl.invocation.flags import add_bool
from kubectl.invocation.parser import Parser, boolean
from kubectl.remote.attaching import add_session_flags, attach_when_running
from kubectl.remote.debugging import PROFILES, KeptParts, node_pod, pod_copy, with_security

LEGACY = (
    "--profile=legacy is deprecated and will be removed in the future. "
    'It is recommended to explicitly specify a profile, for example "--profile=general".'
)


def configure(parser: Parser) -> None:
    add_targets(parser, "debug", words="POD, pod/NAME or node/NAME", selector=False)
    parser.add_argument("--image", default="", help="of the debugging container")
    parser.add_argument("-c", "--container", default="", help="its name; of a copy also one to change")
    parser.add_argument("--target", default="", metavar="CONTAINER", help="share the processes of this container")
    parser.add_argument(
        "--profile", default="legacy", metavar="|".join(PROFILES), help="what the container may do; rather not legacy"
    )
    parser.add_argument("--env", action="append", default=[], metavar="NAME=VALUE", help="may be repeated")
    parser.add_argument("--image-pull-policy", default="", metavar="Always|IfNotPresent|Never")
    add_bool(parser, "--arguments-only", default=False, help="what is behind -- are arguments, not the command")
    add_session_flags(parser, new=True)
    add_copy = partial(parser.add_argument, section="With a copy of the pod")
    add_copy("--copy-to", default="", metavar="NAME", help="make a copy of this name and leave the pod alone")
    add_copy("--set-image", default="", metavar="NAME=IMAGE,...", help="other images; * is every container")
    for name, default, what in (
        ("--share-processes", None, "whether the copy's containers see each other's processes"),
        ("--replace", False, "delete the pod"),
        ("--same-node", False, "on the pod's node"),
        ("--keep-labels", False, "with its labels"),
        ("--keep-annotations", False, "with its annotations"),
        ("--keep-liveness", False, "with its liveness probes"),
        ("--keep-readiness", False, "with its readiness probes"),
        ("--keep-startup", False, "with its startup probes"),
        ("--keep-init-containers", True, "with its init containers"),
    ):
        add_copy(name, nargs="?", const=True, default=default, type=boolean, metavar="BOOL", help=what)
    parser.set_defaults(words=[])


def run(context: CommandContext, args: argparse.Namespace) -> None:
    images = parse_pairs("--set-image", args.set_image, args.set_image.split(",") if args.set_image else ())
    for item in args.env:
        parse_pairs("--env", item, [item])
    _check(args)
    if args.target and not args.quiet:
        context.print(
            f'Targeting container "{args.target}". If you don\'t see processes from this container it may be because '
            "the container runtime doesn't support this feature."
        )
    if args.profile == "legacy":
        context.say(LEGACY)
    words = args.targets if not args.targets or "/" in args.targets[0] else ["pods", *args.targets]
    for target, obj in select(context, args, words=words):
        if target.kind.kind == "Node":
            target, name = _on_node(context, args, target)
        elif target.kind.kind != "Pod":
            what = f"{target.kind.group}/{target.kind.version}, Kind={target.kind.kind}"
            raise UsageError(f'"{what}" not supported by debug')
        elif args.copy_to:
            target, name = _by_copy(context, args, target, obj, images)
        else:
            name = _beside(context, args, target, obj)
        if args.stdin if args.attach is None else args.attach:
            attach_when_running(
                context, target, name, stdin=args.stdin, tty=args.tty, quiet=args.quiet, timeout_seconds=None, warn=True
            )


def parse_pairs(flag: str, argument: str, items: Iterable[str]) -> dict[str, str]:
    """Reads the items of a flag's argument: ["app=web:2", "*=base"]. Raises: UsageError."""
    pairs = {}
    for item in items:
        name, equals, value = item.partition("=")
        if not equals:
            raise UsageError(
                f'invalid argument "{argument}" for "{flag}" flag: {item} must be formatted as key=value\n'
                "See 'mini-kubectl debug --help' for usage."
            )
        pairs[name] = value
    return pairs


def _check(args: argparse.Namespace) -> None:
    """Checks the flags. Raises: UsageError for flags that do not fit together."""
    if not args.copy_to:
        for flag in ("replace", "same_node", "set_image"):
            if getattr(args, flag):
                raise UsageError(f"--{flag.replace('_', '-')} may only be used with --copy-to.")
        if not args.image:
            raise UsageError("you must specify --image when not using --copy-to.")
    elif args.target:
        raise UsageError("--target is incompatible with --copy-to. Use --share-processes instead.")
    elif not (args.image or args.set_image or args.words):
        raise UsageError("you must specify --image, --set-image or command arguments.")
    bad_image = args.image and not IMAGE.fullmatch(args.image)
    refuse(
        (not (args.targets or args.filename), "NAME or filename is required for debug"),
        (bad_image, f'invalid image name "{args.image}": invalid reference format'),
        (args.image_pull_policy not in PULL_POLICIES, f"invalid image pull policy: {args.image_pull_policy}"),
        (args.tty and not args.stdin, "-i/--stdin is required for containers with -t/--tty=true"),
        (args.profile not in PROFILES, f"unknown profile: {args.profile}"),
    )


def _completed(args: argparse.Namespace, container: Dict) -> Dict:
    """The container with all that the flags set."""
    container = {**container, "image": args.image or container["image"]}
    container |= {"imagePullPolicy": args.image_pull_policy} if args.image_pull_policy else {}
    if args.env:
        pairs = (item.split("=", 1) for item in args.env)
        container["env"] = [{"name": name, "value": value} for name, value in pairs]
    if args.words:
        container["args" if args.arguments_only else "command"] = args.words
    container |= {"stdin": True} if args.stdin else {}
    return container | ({"tty": True} if args.tty else {})


def _new_name(context: CommandContext, args: argparse.Namespace, taken: set[str]) -> str:
    if args.container:
        return str(args.container)
    name = f"debugger-{random_suffix()}"
    while name in taken:
        name = f"debugger-{random_suffix()}"
    if not args.quiet:
        context.say(f"Defaulting debug container name to {name}.")
    return name


def _beside(context: CommandContext, args: argparse.Namespace, target: Target, pod: Dict) -> str:
    """Adds an ephemeral container to the pod and returns its name."""
    container = _completed(args, {"name": _new_name(context, args, set(container_names(pod)))})
    container = with_security(container, PROFILES[args.profile])
    container |= {"targetContainerName": args.target} if args.target else {}
    present = pod["spec"].get("ephemeralContainers") or []
    patch = {"spec": {"ephemeralContainers": [*present, container]}}
    context.api.patch(target.subresource("ephemeralcontainers"), patch, STRATEGIC_MERGE_PATCH)
    return str(container["name"])


def _by_copy(
    context: CommandContext, args: argparse.Namespace, target: Target, pod: Dict, images: dict[str, str]
) -> tuple[Target, str]:
    def change(containers: list[Dict]) -> str | None:
        """Adds or changes the debugging container. Raises: UsageError where it has no image."""
        at = next((i for i, c in enumerate(containers) if c["name"] == args.container), None)
        if at is not None and (args.image or args.words):
            containers[at] = _completed(args, containers[at])
            return str(args.container)
        if not args.image:
            if args.container and at is None:
                raise UsageError("you must specify image when creating new container")
            if args.words:
                raise UsageError("you must specify an existing container or a new image when specifying args.")
            return None
        name = _new_name(context, args, {c["name"] for c in containers})
        containers.append(_completed(args, {"name": name}))
        return name

    probes = frozenset(name for name in ("liveness", "readiness", "startup") if getattr(args, f"keep_{name}"))
    keep = KeptParts(args.keep_labels, args.keep_annotations, probes, args.keep_init_containers, args.same_node)
    copied, chosen = pod_copy(
        pod, args.copy_to, change, PROFILES[args.profile], keep, share_processes=args.share_processes, images=images
    )
    context.api.request("POST", target.kind.path(target.namespace), body=copied)
    if args.replace:
        delete_object(context, target)
    return Target(target.kind, args.copy_to, target.namespace), chosen or copied["spec"]["containers"][0]["name"]


def _on_node(context: CommandContext, args: argparse.Namespace, node: Target) -> tuple[Target, str]:
    name, container = f"node-debugger-{node.name}-{random_suffix()}", args.container or "debugger"
    if not args.quiet:
        context.print(f"Creating debugging pod {name} with container {container} on node {node.name}.")
    kind = context.discovery.find("pods")
    pod = node_pod(name, node.name, _completed(args, {"name": container}), PROFILES[args.profile])
    context.api.request("POST", kind.path(context.namespace), body=pod)
    return Target(kind, name, context.namespace), container


def _complete(cursor: Cursor) -> Candidates:
    """Completes any number of pods."""
    return candidates.one_pod(replace(cursor, words=()))


COMMAND = Command(
    "debug",
    "Look into pods and nodes with a container of one's own",
    configure,
    run,
    completes=_complete,
    examples="""\
  # A shell beside the containers of a pod, among the processes of one of them
  mini-kubectl debug web -it --image=busybox --target=app --profile=general -- sh
  # A copy of a pod that crashes, with a shell instead of its command
  mini-kubectl debug web -it --copy-to=web-debug -c app --profile=general -- sh
  # A copy with another image
  mini-kubectl debug web --copy-to=web-2 --set-image=app=web:2
  # A shell on a node, whose files are at /host
  mini-kubectl debug node/worker-1 -it --image=busybox --profile=sysadmin""",
)
