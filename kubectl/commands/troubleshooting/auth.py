"""`auth`: shows who one is to the server, and what one may do."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import suppress

from kubectl.api.client import Dict
from kubectl.api.discovery import ResourceType, UnknownType
from kubectl.invocation.command import Command, CommandContext, ExitCode, UsageError
from kubectl.invocation.flags import add_all_namespaces, add_bool, add_output
from kubectl.output.policyrules import HEADERS, bracketed, rule_rows
from kubectl.output.printers import printer_of, table

ACCESS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
RULES = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews"
IDENTITY = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
_SEE = "\nSee 'mini-kubectl auth can-i -h' for help and examples"
_VERBS = {
    "get", "list", "watch", "create", "update", "patch", "delete", "deletecollection", "use", "bind", "impersonate",
    "*", "approve", "sign", "escalate", "attest",
}  # fmt: skip
_URL_VERBS = {"get", "put", "post", "head", "options", "delete", "patch", "*"}


def configure(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    can_i = verbs.add_parser("can-i", help="Say whether an action is allowed")
    can_i.add_argument("words", nargs="*", metavar="WORD", help="VERB and TYPE, TYPE/NAME or a path such as /healthz")
    add_all_namespaces(can_i)
    add_bool(can_i, "-q", "--quiet", default=False, help="only the exit code")
    add_bool(can_i, "--list", default=False, help="all that is allowed in the namespace")
    add_bool(can_i, "--no-headers", default=False, help="the list without its header line")
    can_i.add_argument("--subresource", default="", metavar="NAME", help="e.g. log, scale")
    can_i.set_defaults(action=_can_i)
    whoami = verbs.add_parser("whoami", help="Show who the server takes one for")
    add_output(whoami)
    whoami.set_defaults(action=_whoami)


def run(context: CommandContext, args: argparse.Namespace) -> None:
    args.action(context, args)


def _can_i(context: CommandContext, args: argparse.Namespace) -> None:
    if args.list:
        if args.words:
            raise UsageError("list option must be specified with no arguments")
        if args.quiet or args.all_namespaces or args.subresource:
            raise UsageError(
                "list option can't be specified with neither quiet, all-namespaces nor subresource options"
            )
        _list(context, args)
        return
    if len(args.words) != 2:
        raise UsageError(f"you must specify two arguments: verb resource or verb resource/resourceName.{_SEE}.")
    verb, what = args.words
    spec = _url_question(context, args, verb, what) if what.startswith("/") else _question(context, args, verb, what)
    body = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "spec": spec}
    status = context.api.request("POST", ACCESS, body=body)["status"]
    if not args.quiet:
        context.print(answer_text(status))
    if not status.get("allowed"):
        raise ExitCode(1)


def answer_text(status: Dict) -> str:
    """The answer: "yes", or "no" and why."""
    if status.get("allowed"):
        return "yes"
    return " - ".join(["no", *filter(None, (status.get("reason"), status.get("evaluationError")))])


def _url_question(context: CommandContext, args: argparse.Namespace, verb: str, path: str) -> Dict:
    if args.subresource:
        raise UsageError("--subresource can not be used with NonResourceURL")
    if verb not in _URL_VERBS:
        context.say(f"Warning: verb '{verb}' is not a known verb\n")
    return {"nonResourceAttributes": {"verb": verb, "path": path}}


def _question(context: CommandContext, args: argparse.Namespace, verb: str, what: str) -> Dict:
    word, _, name = what.partition("/")
    resource, _, group = word.partition(".")
    kind: ResourceType | None = None
    with suppress(UnknownType):
        kind = context.discovery.find(word)
    if kind is not None:
        resource, group = kind.plural, kind.group
    elif word != "*":
        where = f" in group '{group}'" if group else ""
        context.say(f"Warning: the server doesn't have a resource type '{resource}'{where}\n")
    if verb not in _VERBS:
        context.say(f"Warning: verb '{verb}' is not a known verb\n")
    if kind is not None and not kind.namespaced and not args.all_namespaces:
        where = f" in group '{group}'" if group else ""
        context.say(f"Warning: resource '{resource}' is not namespace scoped{where}\n")
    attributes = {
        "namespace": "" if args.all_namespaces else context.namespace,
        "verb": verb,
        "group": group if resource != "*" else "*",
        "resource": resource,
        "subresource": args.subresource,
        "name": name,
    }
    return {"resourceAttributes": {key: value for key, value in attributes.items() if value}}


def _list(context: CommandContext, args: argparse.Namespace) -> None:
    body = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectRulesReview",
        "spec": {"namespace": context.namespace},
    }
    status = context.api.request("POST", RULES, body=body)["status"]
    if status.get("incomplete"):
        why = status.get("evaluationError")
        context.say("warning: the list may be incomplete" + (f": {why}" if why else ""))
    rules = [*(status.get("resourceRules") or ()), *(status.get("nonResourceRules") or ())]
    context.out.write(table(HEADERS, rule_rows(rules), show_headers=not args.no_headers))


def _whoami(context: CommandContext, args: argparse.Namespace) -> None:
    printer = printer_of(args) if args.output else None
    kind = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    review = context.api.request("POST", IDENTITY, body={**kind, "metadata": {}})
    if printer is not None:
        context.out.write(printer({**kind, **review}))
        return
    context.out.write(table(["ATTRIBUTE", "VALUE"], list(identity_rows(review["status"].get("userInfo") or {}))))


def identity_rows(user: Dict) -> Iterator[list[str]]:
    if user.get("username"):
        yield ["Username", user["username"]]
    if user.get("uid"):
        yield ["UID", user["uid"]]
    if user.get("groups"):
        yield ["Groups", bracketed(*user["groups"])]
    for key, values in sorted((user.get("extra") or {}).items()):
        yield [f"Extra: {key}", bracketed(*values)]


COMMAND = Command(
    "auth",
    "Show who one is and what one may do",
    configure,
    run,
    examples="""\
  # May I create pods here? The exit code says so too
  mini-kubectl auth can-i create pods
  # In every namespace, on a subresource, on one object, on a path
  mini-kubectl auth can-i list secrets -A
  mini-kubectl auth can-i get pods --subresource=log
  mini-kubectl auth can-i delete deployment/web
  mini-kubectl auth can-i get /healthz
  # All I may do in a namespace
  mini-kubectl auth can-i --list -n shop
  # Who the server takes me for
  mini-kubectl auth whoami""",
)
