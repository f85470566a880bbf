"""`rollout`: follows and steers the rollout of a Deployment, DaemonSet or StatefulSet."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import NamedTuple

from apimachinery.times import format_time
from kubectl.api.client import JSON_PATCH, MERGE_PATCH, Dict
from kubectl.changes.rollouts import rollout_status
from kubectl.changes.waiting import TimedOut, wait_until
from kubectl.changes.writing import Report, add_field_manager, for_each_selected, write_params
from kubectl.describe.template import describe_template
from kubectl.input import candidates
from kubectl.input.revisions import REVISION, revisions, template_of
from kubectl.input.targets import Target, add_targets
from kubectl.invocation.command import Command, CommandContext, UsageError
from kubectl.invocation.flags import (
    add_bool,
    add_dry_run,
    add_output,
    dry_run_params,
    duration,
)
from kubectl.output.printers import printer_of

CHANGE_CAUSE = "kubernetes.io/change-cause"
RESTARTED_AT = "kubectl.kubernetes.io/restartedAt"


def configure(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(metavar="ACTION", required=True)
    for name, action in _ACTIONS.items():
        sub = verbs.add_parser(name, help=action.help, description=action.help + ".")
        add_targets(sub, name, words="deployment/NAME")
        if name == "status":
            add_bool(sub, "-w", "--watch", default=True, help="wait until the rollout is over")
            sub.add_argument("--timeout", type=duration, default=0, metavar="TIME", help="give up after this time")
        if name in ("status", "history"):
            sub.add_argument("--revision", type=int, default=0, help="this revision only")
        if name == "undo":
            sub.add_argument("--to-revision", type=int, default=0, help="instead of the one before")
            add_dry_run(sub)
        if name in ("restart", "pause", "resume"):
            add_field_manager(sub, "kubectl-rollout")
        if name != "status":
            add_output(sub)
        sub.set_defaults(action=action)


def run(context: CommandContext, args: argparse.Namespace) -> None:
    if not args.targets and not args.filename:
        raise UsageError("required resource not specified")

    def act(target: Target, obj: Dict) -> None:
        action: Action = args.action
        if target.kind.kind not in action.kinds:
            raise UsageError(
                action.refusal.format(kind=target.kind.kind, plural=target.kind.full_name, name=target.name)
            )
        action.run(context, args, target, obj)

    for_each_selected(context, args, act, everything=True)


def _status(context: CommandContext, args: argparse.Namespace, target: Target, obj: Dict) -> None:
    last = ""

    def done(current_obj: Dict | None) -> bool:
        nonlocal last
        if current_obj is None:
            raise UsageError("object has been deleted")
        current = int((current_obj["metadata"].get("annotations") or {}).get(REVISION, 0))
        if target.kind.kind == "Deployment" and args.revision and current != args.revision:
            raise UsageError(f"desired revision ({args.revision}) is different from the running revision ({current})")
        message, over = rollout_status(current_obj)
        if message != last:
            context.print(message)
            last = message
        return over or not args.watch

    try:
        wait_until(context, target, done, args.timeout or None)
    except TimedOut as error:
        raise UsageError("timed out waiting for the condition") from error


def _history(context: CommandContext, args: argparse.Namespace, target: Target, obj: Dict) -> None:
    history = revisions(context, target, obj)
    if args.revision:
        chosen = _revision(history, args.revision, "unable to find the specified revision")
        if args.output:
            context.out.write(printer_of(args)(chosen))
            return
        context.print(f"{target.display} with revision #{args.revision}")
        context.out.write(describe_template(template_of(chosen)))
        return
    context.print(f"{target.display} ")
    if not history:
        context.print("No rollout history found.")
        return
    context.print("REVISION  CHANGE-CAUSE")
    for number, item in history.items():
        cause = (item["metadata"].get("annotations") or {}).get(CHANGE_CAUSE, "<none>")
        context.print(f"{number:<10}{cause}")
    context.print()


def _revision(history: dict[int, Dict], number: int, refusal: str) -> Dict:
    if number not in history:
        raise UsageError(refusal)
    return history[number]


def _undo(context: CommandContext, args: argparse.Namespace, target: Target, obj: Dict) -> None:
    history = revisions(context, target, obj)
    if args.to_revision:
        number = args.to_revision
    elif len(history) > 1:
        number = list(history)[-2]
    elif target.kind.kind == "Deployment":
        raise UsageError(f'no rollout history found for deployment "{target.name}"')
    else:
        raise UsageError("no last revision to roll back to")
    chosen = _revision(history, number, f"unable to find specified revision {number} in history")
    if obj["spec"].get("paused"):
        raise UsageError(
            f"you cannot rollback a paused deployment; resume it first with "
            f'"mini-kubectl rollout resume {target.display}" and try again'
        )
    template = template_of(chosen)
    report = Report(context, args)
    if template == obj["spec"]["template"]:
        done = f"skipped rollback (current template already matches revision {number})"
        report(target.display, obj, done)
        return
    if args.dry_run == "client":
        report(target.display, obj, describe_template(template))
        return
    patch = [{"op": "replace", "path": "/spec/template", "value": template}]
    result = context.api.patch(target.path, patch, JSON_PATCH, dry_run_params(args.dry_run))
    report(target.display, result, "rolled back")


def _restart(context: CommandContext, args: argparse.Namespace, target: Target, obj: Dict) -> None:
    if obj["spec"].get("paused"):
        raise UsageError(
            f'deployments.apps "{target.name}" can\'t restart paused deployment (run rollout resume first)'
        )
    annotations = {RESTARTED_AT: format_time(time.time())}
    _patch(context, args, target, {"spec": {"template": {"metadata": {"annotations": annotations}}}}, "restarted")


def _pause(context: CommandContext, args: argparse.Namespace, target: Target, obj: Dict) -> None:
    if obj["spec"].get("paused"):
        raise UsageError(f'deployments.apps "{target.name}" is already paused')
    _patch(context, args, target, {"spec": {"paused": True}}, "paused")


def _resume(context: CommandContext, args: argparse.Namespace, target: Target, obj: Dict) -> None:
    if not obj["spec"].get("paused"):
        raise UsageError(f'deployments.apps "{target.name}" is not paused')
    _patch(context, args, target, {"spec": {"paused": None}}, "resumed")


def _patch(context: CommandContext, args: argparse.Namespace, target: Target, patch: Dict, done: str) -> None:
    result = context.api.patch(target.path, patch, MERGE_PATCH, write_params(args))
    Report(context, args)(target.display, result, done)


Act = Callable[[CommandContext, argparse.Namespace, Target, Dict], None]


class Action(NamedTuple):
    help: str
    run: Act
    refusal: str  # for another kind
    kinds: tuple[str, ...] = ("Deployment", "DaemonSet", "StatefulSet")


_ACTIONS: dict[str, Action] = {
    "status": Action("Follow a rollout until it is over", _status, "no status viewer has been implemented for {kind}"),
    "history": Action("Show the revisions", _history, 'no history viewer has been implemented for "{kind}"'),
    "undo": Action("Go back to an earlier revision", _undo, 'no rollbacker has been implemented for "{kind}"'),
    "restart": Action("Replace all pods, one by one", _restart, '{plural} "{name}" restarting is not supported'),
    "pause": Action(
        "Keep changes from rolling out", _pause, '{plural} "{name}" pausing is not supported', ("Deployment",)
    ),
    "resume": Action(
        "Let changes roll out again", _resume, '{plural} "{name}" resuming is not supported', ("Deployment",)
    ),
}

COMMAND = Command(
    "rollout",
    "Follow, pause, restart or undo the rollout of a Deployment, DaemonSet or StatefulSet",
    configure,
    run,
    completes=candidates.types_and_names,
    examples="""\
  mini-kubectl rollout status deployment/web --timeout=60s
  mini-kubectl rollout history deployment/web
  mini-kubectl rollout undo deployment/web --to-revision=2
  mini-kubectl rollout restart daemonset/agent""",
)
