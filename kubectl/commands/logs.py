"""`logs`: what containers wrote."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from apimachinery.errors import NotFound, StatusError
from kubectl.command import Command, Context, UsageError
from kubectl.commands._arguments import add_bool, add_selector, duration
from kubectl.podtarget import choose_container, container_names, find_pods, pods_by_selector

Dict = dict[str, Any]

MAX_FOLLOWED = 20  # streams at once; more is refused, as kubectl's --max-log-requests asks for a decision


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
    add_bool(parser, "--ignore-errors", default=False, help="go on where one container's log cannot be read")


def run(context: Context, args: argparse.Namespace) -> None:
    if args.since and args.since_time:
        raise UsageError("at most one of sinceTime or sinceSeconds may be specified")
    sources = list(_sources(context, args))
    if args.follow and len(sources) > MAX_FOLLOWED:
        raise UsageError(
            f"you are attempting to follow {len(sources)} log streams, but maximum allowed is {MAX_FOLLOWED}"
        )
    if args.follow and len(sources) > 1:
        with ThreadPoolExecutor(len(sources)) as pool:
            for future in [pool.submit(_copy, context, args, pod, name) for pod, name in sources]:
                future.result()
        return
    for pod, name in sources:
        _copy(context, args, pod, name)


def _sources(context: Context, args: argparse.Namespace) -> Iterator[tuple[Dict, str]]:
    if args.selector:
        if args.words:
            raise UsageError("only a selector (-l) or a POD name is allowed")
        if args.tail is None:
            args.tail = 10
        pods = pods_by_selector(context, args.selector, context.namespace)
        if not pods:
            context.say(f"No resources found in {context.namespace} namespace.")
    elif not args.words:
        raise _misused()
    else:
        if len(args.words) > 2 or (len(args.words) == 2 and args.container):
            raise _misused()
        if len(args.words) > 1:
            args.container = args.words[1]
        try:
            pods = find_pods(context, args.words[:1])
        except NotFound as error:
            raise UsageError(f'error from server (NotFound): {error} in namespace "{context.namespace}"') from error
        if len(pods) > 1 and not args.all_pods:
            first = pods[0]["metadata"]["name"]
            context.say(f"Found {len(pods)} pods, using pod/{first}")
            pods = pods[:1]
    for pod in pods:
        if args.container and args.container not in container_names(pod):
            raise UsageError(f"container {args.container} is not valid for pod {pod['metadata']['name']}")
        names = container_names(pod) if args.all_containers else [choose_container(context, pod, args.container)]
        for name in names:
            yield pod, name


def _misused() -> UsageError:
    return UsageError(
        "expected 'logs [-f] [-p] (POD | TYPE/NAME) [-c CONTAINER]'.\n"
        "POD or TYPE/NAME is a required argument for the logs command\n"
        "See 'mini-kubectl logs -h' for help and examples"
    )


def _copy(context: Context, args: argparse.Namespace, pod: Dict, container: str) -> None:
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


COMMAND = Command(
    "logs",
    "Show what a container wrote",
    configure,
    run,
    examples="""\
  mini-kubectl logs web
  mini-kubectl logs deployment/web -c app --tail=20 -f
  mini-kubectl logs web --previous
  mini-kubectl logs -l app=web --prefix --all-containers""",
)
