"""`logs`: shows what containers wrote."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from apimachinery.errors import NotFound, StatusError
from kubectl.api.client import Dict
from kubectl.input import candidates
from kubectl.input.pods import add_running_timeout, choose_container, container_names, find_pods, pods_by_selector
from kubectl.invocation.command import Candidates, Command, CommandContext, Cursor, UsageError, refuse
from kubectl.invocation.flags import add_bool, add_selector, duration

FIND_SECONDS = 20.0  # for a workload's first pod
_RFC3339 = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[-+]\d\d:\d\d)"
CONTAINERS = ("initContainers", "containers", "ephemeralContainers")  # in the order of --all-containers


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("words", nargs="*", metavar="POD", help="POD or TYPE/NAME, and a container")
    add_selector(parser)
    parser.add_argument("-c", "--container", default="", help="this container")
    parser.add_argument("-f", "--follow", action="store_true", help="go on showing what is written")
    parser.add_argument("-p", "--previous", action="store_true", help="of the container's last run before this one")
    parser.add_argument("--tail", type=int, default=None, metavar="LINES", help="only the last lines (with -l: 10)")
    parser.add_argument("--since", type=duration, default=0, metavar="TIME", help="only newer than e.g. 5m")
    parser.add_argument("--since-time", default="", metavar="RFC3339", help="only after this time")
    parser.add_argument("--limit-bytes", type=int, default=0, help="at most this many bytes")
    add_bool(parser, "--timestamps", default=False, help="each line with its time")
    add_bool(parser, "--all-containers", default=False, help="all containers of the pod")
    add_bool(parser, "--all-pods", default=False, help="all pods of the workload")
    add_bool(parser, "--prefix", default=False, help="each line with its pod and container")
    parser.add_argument(
        "--max-log-requests", type=int, default=5, metavar="N", help="streams to follow at once, at most"
    )
    add_bool(parser, "--insecure-skip-tls-verify-backend", default=False, help="whatever certificate the node presents")
    add_running_timeout(parser, FIND_SECONDS)
    add_bool(parser, "--ignore-errors", default=False, help="go on where one container's log cannot be read")


def run(context: CommandContext, args: argparse.Namespace) -> None:
    _check(args)
    args.prefix = args.prefix or args.all_pods
    sources = list(_sources(context, args))
    if args.follow and len(sources) > 1:
        if len(sources) > args.max_log_requests:
            raise UsageError(
                f"you are attempting to follow {len(sources)} log streams, but maximum allowed concurrency is "
                f"{args.max_log_requests}, use --max-log-requests to increase the limit"
            )
        with ThreadPoolExecutor(len(sources)) as pool:
            for future in [pool.submit(_copy, context, args, pod, name) for pod, name in sources]:
                future.result()
        return
    for pod, name in sources:
        _copy(context, args, pod, name)


def _check(args: argparse.Namespace) -> None:
    """Checks the flags. Raises: UsageError for flags that mean nothing, or not together."""
    if args.since and args.since_time:
        raise UsageError("at most one of `sinceTime` or `sinceSeconds` may be specified")
    if args.since_time and not re.fullmatch(_RFC3339, args.since_time):
        text = args.since_time
        raise UsageError(f'parsing time "{text}" as "2006-01-02T15:04:05Z07:00": cannot parse "{text}" as "2006"')
    refuse(
        (args.tail is not None and args.tail < -1, "--tail must be greater than or equal to -1"),
        (args.since < 0, "--since must be greater than 0"),
        (args.limit_bytes < 0, "--limit-bytes must be greater than 0"),
        (
            args.all_containers and args.container,
            f"--all-containers=true should not be specified with container name {args.container}",
        ),
        (
            args.selector and args.words,
            "only a selector (-l) or a POD name is allowed\nSee 'mini-kubectl logs -h' for help and examples",
        ),
        (
            not args.selector and not 1 <= len(args.words) <= 2,
            "expected 'logs [-f] [-p] (POD | TYPE/NAME) [-c CONTAINER]'.\n"
            "POD or TYPE/NAME is a required argument for the logs command\n"
            "See 'mini-kubectl logs -h' for help and examples",
        ),
        (len(args.words) == 2 and args.container, "only one of -c or an inline [CONTAINER] arg is allowed"),
    )


def _sources(context: CommandContext, args: argparse.Namespace) -> Iterator[tuple[Dict, str]]:
    if args.selector:
        if args.tail is None:
            args.tail = 10
        pods = pods_by_selector(context, args.selector, context.namespace)
        if not pods:
            context.say(f"No resources found in {context.namespace} namespace.")
    else:
        if len(args.words) > 1:
            args.container = args.words[1]
        try:
            pods = find_pods(
                context, args.words[:1], timeout_seconds=args.pod_running_timeout, purpose="cannot get the logs from"
            )
        except NotFound as error:
            raise UsageError(f'error from server (NotFound): {error} in namespace "{context.namespace}"') from error
        if len(pods) > 1 and not args.all_pods:
            first = pods[0]["metadata"]["name"]
            context.say(f"Found {len(pods)} pods, using pod/{first}")
            pods = pods[:1]
    for pod in pods:
        if args.container and args.container not in container_names(pod):
            raise UsageError(f"container {args.container} is not valid for pod {pod['metadata']['name']}")
        every = container_names(pod, *CONTAINERS)
        for name in every if args.all_containers else [choose_container(context, pod, args.container)]:
            yield pod, name


def _copy(context: CommandContext, args: argparse.Namespace, pod: Dict, container: str) -> None:
    meta = pod["metadata"]
    params = {
        "container": container,
        "follow": "true" if args.follow else "",
        "previous": "true" if args.previous else "",
        "timestamps": "true" if args.timestamps else "",
        "tailLines": "" if args.tail is None or args.tail < 0 else str(args.tail),
        "sinceSeconds": str(max(1, round(args.since))) if args.since else "",
        "sinceTime": args.since_time,
        "limitBytes": args.limit_bytes or "",
        "insecureSkipTLSVerifyBackend": "true" if args.insecure_skip_tls_verify_backend else "",
    }
    path = context.discovery.find("pods").path(meta["namespace"], meta["name"], "log")
    prefix = f"[pod/{meta['name']}/{container}] ".encode() if args.prefix else b""
    try:
        _write(context.api.stream(path, params), prefix)
    except StatusError as error:
        if not args.ignore_errors:
            raise
        context.say(f"error: {error}")


def _write(chunks: Iterator[bytes], prefix: bytes) -> None:
    out = sys.stdout.buffer
    if not prefix:
        for chunk in chunks:
            out.write(chunk)
            out.flush()
        return
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        out.write(b"".join(prefix + line + b"\n" for line in lines))
        out.flush()
    if rest:
        out.write(prefix + rest + b"\n")
        out.flush()


def _complete(cursor: Cursor) -> Candidates:
    """Completes a pod, and then one of its containers."""
    if cursor.words:
        return Candidates(candidates.containers(cursor.context, cursor.words[0]))
    return candidates.one_pod(cursor)


COMMAND = Command(
    "logs",
    "Show what a container wrote",
    configure,
    run,
    completes=_complete,
    examples="""\
  mini-kubectl logs web
  mini-kubectl logs deployment/web -c app --tail=20 -f
  mini-kubectl logs web --previous
  mini-kubectl logs -l app=web --prefix --all-containers""",
)
