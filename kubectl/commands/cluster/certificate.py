"""`certificate`: approves and denies certificate requests."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from functools import partial
from typing import Any

from apimachinery.errors import Conflict
from kubectl.api.client import Dict
from kubectl.input import candidates
from kubectl.input.manifests import add_file_arguments, read_manifests
from kubectl.input.targets import Target, resolve
from kubectl.invocation.command import Candidates, Command, CommandContext, Cursor, Failures, UsageError, retried

TRIES = 10  # as kubectl: somebody else may write the request at the same time


def configure(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(metavar="WHAT", required=True)
    _add(verbs, "approve", "Approved", "Denied", "Let the signer sign: the requester gets the certificate")
    _add(verbs, "deny", "Denied", "Approved", "Refuse: the requester never gets a certificate")


def _add(verbs: Any, verb: str, decision: str, opposite: str, help: str) -> None:
    sub: argparse.ArgumentParser = verbs.add_parser(verb, help=help, description=help + ".")
    sub.add_argument("names", nargs="*", metavar="NAME")
    sub.add_argument("--force", action="store_true", help="decide again what is already decided so")
    add_file_arguments(sub, verb)
    sub.set_defaults(verb=verb, decision=decision, opposite=opposite)


def run(context: CommandContext, args: argparse.Namespace) -> None:
    if not args.names and not args.filename:
        raise UsageError("one or more CSRs must be specified as <name> or -f <filename>")
    with Failures() as failed:
        for target in list(_targets(context, args)):
            with failed.caught():
                retried(TRIES, partial(_decide, context, args, target), Conflict)
                context.print(f"{target.display} {args.decision.lower()}")


def _targets(context: CommandContext, args: argparse.Namespace) -> Iterator[Target]:
    kind = context.discovery.find("certificatesigningrequests")
    for manifest in read_manifests(args) if args.filename else ():
        yield resolve(context, manifest)
    for name in args.names:
        yield Target(kind, name.rpartition("/")[2])


def _decide(context: CommandContext, args: argparse.Namespace, target: Target, number: int) -> None:
    obj = context.api.request("GET", target.path)
    if _add_decision(obj, args):
        context.api.request("PUT", target.subresource("approval"), body=obj)


def _add_decision(obj: Dict, args: argparse.Namespace) -> bool:
    """Writes the decision into the object; False where it is decided so already. Raises: UsageError."""
    conditions: list[Dict] = obj.setdefault("status", {}).get("conditions") or []
    if any(condition["type"] == args.opposite for condition in conditions):
        raise UsageError(f'certificate signing request "{obj["metadata"]["name"]}" is already {args.opposite}')
    decided = [condition for condition in conditions if condition["type"] == args.decision]
    if decided and not args.force:
        return False
    condition = {
        "type": args.decision,
        "status": "True",
        "reason": f"Kubectl{args.verb.capitalize()}",
        "message": f"This CSR was {args.decision.lower()} by kubectl certificate {args.verb}.",
    }
    obj["status"]["conditions"] = [item for item in conditions if item not in decided] + [condition]
    return True


def complete(cursor: Cursor) -> Candidates:
    return Candidates(candidates.names(cursor.context, "certificatesigningrequests"))


COMMAND = Command(
    "certificate",
    "Approve and deny certificate requests",
    configure,
    run,
    completes=complete,
    examples="""\
  mini-kubectl get csr
  mini-kubectl certificate approve jane
  mini-kubectl certificate deny mallory""",
)
