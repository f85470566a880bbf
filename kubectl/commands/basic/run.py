"""`run`: starts one pod of an image, and with -it a session in it."""

from __future__ import annotations

import argparse
import re

from kubectl.api.client import Dict
from kubectl.changes.deletion import delete_object
from kubectl.changes.generated import IMAGE, PULL_POLICIES, add_generator_flags, overridden, pairs, submit
from kubectl.changes.writing import Report
from kubectl.input.pods import add_running_timeout
from kubectl.input.targets import Target
from kubectl.invocation.command import Command, CommandContext, ExitCode, UsageError, refuse
from kubectl.invocation.flags import add_bool, duration
from kubectl.remote.attaching import add_session_flags, attach_when_running, wait_for_end

_SEE = "\nSee 'mini-kubectl run -h' for help and examples"
_ENV_NAME = re.compile(r"[-._a-zA-Z][-._a-zA-Z0-9]*")


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", nargs="?", default="", metavar="NAME", help="of the pod")
    parser.add_argument("command_words", nargs="*", metavar="ARG", help="arguments of the container, behind --")
    parser.add_argument("--image", required=True, help="the container's image")
    parser.add_argument("--command", action="store_true", dest="as_command", help="what is behind -- is the command")
    parser.add_argument("--env", action="append", default=[], metavar="NAME=VALUE", help="may be repeated")
    parser.add_argument("--port", default="", help="the port the container listens on")
    add_bool(parser, "--expose", default=False, help="a Service for that port as well")
    parser.add_argument("-l", "--labels", default="", help="e.g. app=web,tier=front instead of run=NAME")
    parser.add_argument("--annotations", action="append", default=[], metavar="KEY=VALUE", help="may be repeated")
    parser.add_argument("--restart", default="Always", metavar="Always|OnFailure|Never", help="default: Always")
    parser.add_argument("--image-pull-policy", default="", metavar="Always|IfNotPresent|Never")
    add_bool(parser, "--privileged", default=False, help="a privileged container")
    add_session_flags(parser, new=True)
    add_bool(parser, "--rm", default=False, help="delete the pod after the session")
    add_bool(parser, "--leave-stdin-open", default=False, help="standard input stays open after the first session")
    parser.add_argument("--grace-period", type=int, default=-1, metavar="SECONDS", help="for --rm")
    parser.add_argument("--timeout", type=duration, default=0, metavar="TIME", help="for --rm: how long to wait")
    add_running_timeout(parser)
    add_generator_flags(parser, "kubectl-run")
    parser.set_defaults(words=[])


def run(context: CommandContext, args: argparse.Namespace) -> None:
    attach = args.stdin if args.attach is None else args.attach
    _check(args, attach)
    report = Report(context, args, documents=True)
    obj = overridden(pod_for(args), args)
    service = _service(obj, args) if args.expose else None
    pod = submit(context, args, obj)
    for result in ([submit(context, args, service)] if service else []) + [pod]:
        if not attach:
            report(f"{result['kind'].lower()}/{result['metadata']['name']}", result, "created")
    if not attach:
        return
    target = Target(context.discovery.by_kind(pod["apiVersion"], pod["kind"]), args.name, context.namespace)
    try:
        _session(context, args, target)
    finally:
        if args.rm:
            _remove(context, args, target)


def _check(args: argparse.Namespace, attach: bool) -> None:
    """Checks the flags. Raises: UsageError for flags that do not fit together."""
    refuse(
        (not args.name, "NAME is required for run" + _SEE),
        (not args.image, "--image is required"),
        (not IMAGE.fullmatch(args.image), f'Invalid image name "{args.image}": invalid reference format'),
        (args.tty and not args.stdin, "-i/--stdin is required for containers with -t/--tty=true" + _SEE),
        (args.expose and not args.port, "--port must be set when exposing a service" + _SEE),
        (args.pod_running_timeout <= 0 and attach, "--pod-running-timeout must be higher than zero" + _SEE),
        (args.restart not in ("Always", "OnFailure", "Never"), f"invalid restart policy: {args.restart}{_SEE}"),
        (args.image_pull_policy not in PULL_POLICIES, f"invalid image pull policy: {args.image_pull_policy}{_SEE}"),
        (args.rm and not attach, "--rm should only be used for attached containers" + _SEE),
        (
            attach and args.dry_run != "none",
            "--dry-run=[server|client] can't be used with attached containers options (--attach, --stdin, or --tty)"
            + _SEE,
        ),
    )


def pod_for(args: argparse.Namespace) -> Dict:
    """The pod that the flags describe. Raises: UsageError for values that cannot be read."""
    container: Dict = {"name": args.name, "image": args.image, "resources": {}}
    words = [*args.command_words, *args.words]
    if words:
        container["command" if args.as_command else "args"] = words
    if env := environment(args.env):
        container["env"] = env
    if args.port:
        if not args.port.lstrip("-").isdigit():
            raise UsageError(f'strconv.Atoi: parsing "{args.port}": invalid syntax')
        container["ports"] = [{"containerPort": int(args.port)}]
    if args.image_pull_policy:
        container["imagePullPolicy"] = args.image_pull_policy
    if args.privileged:
        container["securityContext"] = {"privileged": True}
    if args.stdin:
        container["stdin"] = True
        if _waits_for_exit(args):
            container["stdinOnce"] = True
    if args.tty:
        container["tty"] = True
    meta: Dict = {"name": args.name, "labels": pairs(args.labels) or {"run": args.name}}
    for item in args.annotations:
        key, equals, value = item.partition("=")
        if not key or not equals:
            raise UsageError(f"invalid annotations format: {item}")
        meta.setdefault("annotations", {})[key] = value
    spec = {"containers": [container], "dnsPolicy": "ClusterFirst", "restartPolicy": args.restart}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec, "status": {}}


def environment(items: list[str]) -> list[Dict]:
    """Environment variables from "NAME=VALUE". Raises: UsageError."""
    variables = []
    for item in items:
        name, equals, value = item.partition("=")
        if not equals or not _ENV_NAME.fullmatch(name):
            raise UsageError(f"invalid env: {item}")
        variables.append({"name": name, "value": value} if value else {"name": name})
    return variables


def _waits_for_exit(args: argparse.Namespace) -> bool:
    return not args.leave_stdin_open and args.restart in ("Never", "OnFailure")


def _service(pod: Dict, args: argparse.Namespace) -> Dict:
    number = int(args.port)
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": args.name},
        "spec": {
            "ports": [{"port": number, "protocol": "TCP", "targetPort": number}],
            "selector": pod["metadata"].get("labels") or {},
        },
        "status": {"loadBalancer": {}},
    }


def _session(context: CommandContext, args: argparse.Namespace, target: Target) -> None:
    """Attaches until the end. Raises: ExitCode with the container's exit code where the pod does not start again."""
    attach_when_running(
        context, target, args.name, stdin=args.stdin, tty=args.tty, quiet=args.quiet,
        timeout_seconds=args.pod_running_timeout,
    )  # fmt: skip
    if not _waits_for_exit(args):
        return
    pod = wait_for_end(context, target)
    if pod.get("status", {}).get("phase") != "Failed":
        return
    name = f"{target.namespace}/{target.name}"
    statuses = pod["status"].get("containerStatuses") or [{}]
    ended = statuses[0].get("state", {}).get("terminated") or {}
    if not ended.get("exitCode"):
        raise UsageError(f"pod {name} failed with unknown exit code")
    context.say(f"pod {name} terminated ({ended.get('reason', '')})")
    if ended.get("message"):
        context.say(ended["message"])
    raise ExitCode(ended["exitCode"])


def _remove(context: CommandContext, args: argparse.Namespace, target: Target) -> None:
    delete_object(context, target, grace_period=args.grace_period)
    if not args.quiet:
        context.print(f'{target.kind.display} "{target.name}" deleted from {target.namespace} namespace')


COMMAND = Command(
    "run",
    "Start one pod of an image",
    configure,
    run,
    examples="""\
  # A web server with a Service in front of it
  mini-kubectl run web --image=nginx:1.27 --port=80 --expose
  # A shell in a pod that is gone when the shell ends
  mini-kubectl run try -it --rm --restart=Never --image=busybox -- sh
  # Another command with arguments of its own, and a variable
  mini-kubectl run job --image=busybox --restart=Never --env=MODE=fast --command -- sh -c 'echo $MODE'
  # Look at the pod without starting it
  mini-kubectl run web --image=nginx:1.27 --dry-run=client -o yaml""",
)
