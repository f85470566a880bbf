"""`rollout`: how a Deployment's rollout goes, and steering it."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import NamedTuple

from apimachinery.errors import StatusError
from apimachinery.times import format_time
from kubectl.api.client import JSON_PATCH, MERGE_PATCH, Dict
from kubectl.changes.waiting import TimedOut, wait_until
from kubectl.changes.writing import Report, add_field_manager, write_params
from kubectl.describe.template import describe_template
from kubectl.input import candidates
from kubectl.input.manifests import Target, add_file_arguments, raise_all, select
from kubectl.input.revisions import REVISION, revisions
from kubectl.invocation.command import Command
from kubectl.invocation.context import CommandContext, UsageError
from kubectl.invocation.flags import (
    add_bool,
    add_dry_run,
    add_output,
    add_selector,
    dry_run_params,
    duration,
)
from kubectl.output.printers import object_printer

CHANGE_CAUSE = "kubernetes.io/change-cause"
RESTARTED_AT = "kubectl.kubernetes.io/restartedAt"
HASH_LABEL = "pod-template-hash"


def configure(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(metavar="ACTION", required=True)
    for name, (help_text, action, _) in _ACTIONS.items():
        sub = verbs.add_parser(name, help=help_text, description=help_text + ".")
        sub.add_argument("targets", nargs="*", metavar="deployment/NAME")
        add_file_arguments(sub, name)
        add_selector(sub)
        if name == "status":
            add_bool(sub, "-w", "--watch", default=True, help="wait until the rollout is over")
            sub.add_argument("--timeout", type=duration, default=0, metavar="TIME", help="give up after this time")
        if name in ("status", "history"):
            sub.add_argument("--revision", type=int, default=0, help="this revision only")
        if name == "undo":
            sub.add_argument("--to-revision", type=int, default=0, help="instead of the one before")
            add_dry_run(sub)
            add_output(sub)
        if name in ("restart", "pause", "resume"):
            add_field_manager(sub, "kubectl-rollout")
            add_output(sub)
        if name == "history":
            sub.add_argument("-o", "--output", default="")
        sub.set_defaults(action=action, verb=name)


def run(context: CommandContext, args: argparse.Namespace) -> None:
    if not args.targets and not args.filename:
        raise UsageError("required resource not specified")
    failed: list[Exception] = []
    found = select(
        context, args.targets, args.filename, selector=args.selector, recursive=args.recursive, all_objects=True,
        failed=failed,
    )  # fmt: skip
    for target, obj in found:
        try:
            if target.kind.kind != "Deployment":
                refusal = _ACTIONS[args.verb].refusal
                raise UsageError(refusal.format(kind=target.kind.kind, plural=target.kind.full_name, name=target.name))
            args.action(context, args, target, obj)
        except (StatusError, UsageError) as error:
            failed.append(error)
    raise_all(failed)


def rollout_status(deployment: Dict) -> tuple[str, bool]:
    """(message, whether it is over). Raises: UsageError once progressDeadlineSeconds has passed."""
    name, spec, status = deployment["metadata"]["name"], deployment["spec"], deployment.get("status", {})
    if status.get("observedGeneration", 0) < deployment["metadata"].get("generation", 0):
        return "Waiting for deployment spec update to be observed...", False
    for condition in status.get("conditions") or ():
        if condition["type"] == "Progressing" and condition.get("reason") == "ProgressDeadlineExceeded":
            raise UsageError(f'deployment "{name}" exceeded its progress deadline')
    wanted, updated = spec.get("replicas", 1), status.get("updatedReplicas", 0)
    total, available = status.get("replicas", 0), status.get("availableReplicas", 0)
    waiting = f'Waiting for deployment "{name}" rollout to finish: '
    if updated < wanted:
        return f"{waiting}{updated} out of {wanted} new replicas have been updated...", False
    if total > updated:
        return f"{waiting}{total - updated} old replicas are pending termination...", False
    if available < updated:
        return f"{waiting}{available} of {updated} updated replicas are available...", False
    return f'deployment "{name}" successfully rolled out', True


def _status(context: CommandContext, args: argparse.Namespace, target: Target, obj: Dict) -> None:
    last = ""

    def done(deployment: Dict | None) -> bool:
        nonlocal last
        if deployment is None:
            raise UsageError("object has been deleted")
        _check_revision(args, deployment)
        message, over = rollout_status(deployment)
        if message != last:
            context.print(message)
            last = message
        return over or not args.watch

    try:
        wait_until(context, target, done, args.timeout or None)
    except TimedOut as error:
        raise UsageError("timed out waiting for the condition") from error


def _check_revision(args: argparse.Namespace, deployment: Dict) -> None:
    current = int((deployment["metadata"].get("annotations") or {}).get(REVISION, 0))
    if args.revision and current != args.revision:
        raise UsageError(f"desired revision ({args.revision}) is different from the running revision ({current})")


def _history(context: CommandContext, args: argparse.Namespace, target: Target, obj: Dict) -> None:
    found = revisions(context, target, obj)
    if args.revision:
        chosen = _revision(found, args.revision, "unable to find the specified revision")
        if args.output:
            context.out.write(object_printer(args.output)(chosen))
            return
        context.print(f"{target.display} with revision #{args.revision}")
        context.out.write("Pod Template:\n" + describe_template(chosen["spec"]["template"]))
        return
    context.print(f"{target.display} ")
    if not found:
        context.print("No rollout history found.")
        return
    context.print("REVISION  CHANGE-CAUSE")
    for number, item in found.items():
        cause = (item["metadata"].get("annotations") or {}).get(CHANGE_CAUSE, "<none>")
        context.print(f"{number:<10}{cause}")
    context.print()


def _revision(found: dict[int, Dict], number: int, refusal: str) -> Dict:
    if number not in found:
        raise UsageError(refusal)
    return found[number]


def _undo(context: CommandContext, args: argparse.Namespace, target: Target, obj: Dict) -> None:
    found = revisions(context, target, obj)
    if args.to_revision:
        number = args.to_revision
    elif len(found) > 1:
        number = list(found)[-2]
    else:
        raise UsageError(f'no rollout history found for deployment "{target.name}"')
    chosen = _revision(found, number, f"unable to find specified revision {number} in history")
    if obj["spec"].get("paused"):
        raise UsageError(
            f"you cannot rollback a paused deployment; resume it first with "
            f'"mini-kubectl rollout resume {target.display}" and try again'
        )
    template = dict(chosen["spec"]["template"])
    labels = {key: value for key, value in template["metadata"].get("labels", {}).items() if key != HASH_LABEL}
    template["metadata"] = {**template["metadata"], "labels": labels}
    if template == obj["spec"]["template"]:
        done = f"skipped rollback (current template already matches revision {number})"
        Report(context, args)(target.display, obj, done)
        return
    report = Report(context, args)
    if args.dry_run == "client":
        report(target.display, obj, "Pod Template:\n" + describe_template(template).rstrip("\n") + "\n")
        return
    patch = [{"op": "replace", "path": "/spec/template", "value": template}]
    params = dry_run_params(args.dry_run)
    result = context.api.request("PATCH", target.path, params=params, body=patch, content_type=JSON_PATCH)
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
    params = write_params(args)
    result = context.api.request("PATCH", target.path, params=params, body=patch, content_type=MERGE_PATCH)
    Report(context, args)(target.display, result, done)


Action = Callable[[CommandContext, argparse.Namespace, Target, Dict], None]


class _Action(NamedTuple):
    help: str
    run: Action
    refusal: str  # for a kind that has no rollouts


_ACTIONS: dict[str, _Action] = {
    "status": _Action("Follow a rollout until it is over", _status, "no status viewer has been implemented for {kind}"),
    "history": _Action("Show the revisions", _history, 'no history viewer has been implemented for "{kind}"'),
    "undo": _Action("Go back to an earlier revision", _undo, 'no rollbacker has been implemented for "{kind}"'),
    "restart": _Action("Replace all pods, one by one", _restart, '{plural} "{name}" restarting is not supported'),
    "pause": _Action("Keep changes from rolling out", _pause, '{plural} "{name}" pausing is not supported'),
    "resume": _Action("Let changes roll out again", _resume, '{plural} "{name}" resuming is not supported'),
}

COMMAND = Command(
    "rollout",
    "Follow, pause, restart or undo the rollout of a Deployment",
    configure,
    run,
    completes=candidates.types_and_names,
    examples="""\
  mini-kubectl rollout status deployment/web --timeout=60s
  mini-kubectl rollout history deployment/web
  mini-kubectl rollout undo deployment/web --to-revision=2
  mini-kubectl rollout restart deployment/web""",
)
