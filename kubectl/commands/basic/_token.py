"""`create token`: requests a token for a ServiceAccount, from its token subresource."""

from __future__ import annotations

import argparse
import sys

from apimachinery.errors import StatusError
from kubectl.api.client import Dict
from kubectl.invocation.command import CommandContext, UsageError
from kubectl.invocation.flags import duration
from kubectl.output.printers import printer_of

_BOUND_KINDS = ("Node", "Pod", "Secret")


def add_token(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="SERVICE_ACCOUNT")
    parser.add_argument("--audience", action="append", default=[], help="who may take the token; may be repeated")
    parser.add_argument("--duration", type=duration, default=0, metavar="TIME", help="how long it shall be valid")
    parser.add_argument("--bound-object-kind", default="", metavar="Pod|Secret|Node", help="it ends with this object")
    parser.add_argument("--bound-object-name", default="", metavar="NAME")
    parser.add_argument("--bound-object-uid", default="", metavar="UID")


def request_token(context: CommandContext, args: argparse.Namespace) -> None:
    """Prints the token. Raises: UsageError, StatusError."""
    spec: Dict = {"audiences": args.audience or None}
    if args.duration < 0:
        raise UsageError("--duration must be greater than or equal to 0")
    if args.duration:
        spec["expirationSeconds"] = int(args.duration)
    kind = args.bound_object_kind
    if kind:
        if kind not in _BOUND_KINDS:
            raise UsageError(f"supported --bound-object-kind values are {', '.join(_BOUND_KINDS)}")
        if not args.bound_object_name:
            raise UsageError("--bound-object-name is required if --bound-object-kind is provided")
        ref = {"kind": kind, "apiVersion": "v1", "name": args.bound_object_name, "uid": args.bound_object_uid}
        spec["boundObjectRef"] = {key: value for key, value in ref.items() if value}
    elif args.bound_object_name or args.bound_object_uid:
        field = "name" if args.bound_object_name else "uid"
        raise UsageError(f"--bound-object-{field} can only be set if --bound-object-kind is provided")
    body = {"kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1", "metadata": {}, "spec": spec}
    path = f"/api/v1/namespaces/{context.namespace}/serviceaccounts/{args.name}/token"
    try:
        answer = context.api.request("POST", path, body=body)
    except StatusError as error:
        raise UsageError(f"failed to create token: {error.message}") from error
    if args.output:
        context.out.write(printer_of(args)(answer))
        return
    context.out.write(answer["status"]["token"] + ("\n" if sys.stdout.isatty() else ""))
    context.out.flush()
