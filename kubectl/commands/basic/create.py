"""`create`: makes new objects from manifests, or of common kinds from flags."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from apimachinery.errors import StatusError
from kubectl.api.client import Dict
from kubectl.changes import writing
from kubectl.changes.writing import Report
from kubectl.commands.basic._generators import GENERATORS
from kubectl.commands.basic._token import add_token, request_token
from kubectl.input.manifests import Manifest, add_file_arguments, read_manifests
from kubectl.input.targets import resolve
from kubectl.invocation.command import Command, CommandContext, Failures, UsageError, blaming
from kubectl.invocation.flags import add_bool, add_output, add_selector

GENERATED = "the command line"


def configure(parser: argparse.ArgumentParser) -> None:
    add_file_arguments(parser, "create")
    add_selector(parser)
    _add_common_flags(parser)
    kinds = parser.add_subparsers(title="kinds", metavar="KIND")
    for generator in GENERATORS:
        sub = kinds.add_parser(
            generator.name, aliases=generator.aliases, help=generator.help, description=generator.help + "."
        )
        for leaf in generator.configure(sub):
            _add_common_flags(leaf)
        sub.set_defaults(build=generator.build)
    token = kinds.add_parser("token", help="A token of a ServiceAccount")
    add_token(token)
    add_output(token)
    token.set_defaults(request=request_token)


def _add_common_flags(parser: argparse.ArgumentParser) -> None:
    writing.add_write_flags(parser, "kubectl-create", validate=True)
    add_bool(parser, "--save-config", default=False, help="keep the manifest for later applies")


def run(context: CommandContext, args: argparse.Namespace) -> None:
    if request := getattr(args, "request", None):
        request(context, args)
        return
    build: Callable[[CommandContext, argparse.Namespace], Dict] | None = getattr(args, "build", None)
    if build is not None:
        manifests = [Manifest(build(context, args), GENERATED)]
    else:
        writing.need_files(args)
        manifests = read_manifests(args, "create", selector=args.selector)
    report = Report(context, args, documents=True)
    with Failures() as failed:
        for manifest in manifests:
            with failed.caught():
                _create(context, manifest, args, report)


def _create(context: CommandContext, manifest: Manifest, args: argparse.Namespace, report: Report) -> None:
    target = resolve(context, manifest)
    is_ours = manifest.source == GENERATED and target.kind.namespaced
    obj = writing.prepared(manifest.obj, context.given_namespace if is_ours else target.namespace, args)
    if args.dry_run != "client":
        with _blaming(manifest):
            obj = context.api.request("POST", target.collection, params=writing.write_params(args), body=obj)
    report(f"{target.kind.display}/{obj['metadata'].get('name') or '<unknown>'}", obj, "created")


@contextmanager
def _blaming(manifest: Manifest) -> Iterator[None]:
    """Puts into a refusal what was to be created."""
    if manifest.source != GENERATED:
        with blaming("creating", manifest.source):
            yield
        return
    kind = str(manifest.obj["kind"]).lower()
    if kind == "service":
        kind = f"{manifest.obj['spec']['type']} service"
    try:
        yield
    except StatusError as error:
        if kind == "namespace":
            raise
        colon = "" if kind == "secret" else ":"
        raise UsageError(f"failed to create {kind}{colon} {error.message}") from error


COMMAND = Command(
    "create",
    "Create objects from manifests or flags",
    configure,
    run,
    examples="""\
  mini-kubectl create -f pod.yaml
  mini-kubectl create deployment web --image=nginx:1.27 --replicas=3
  mini-kubectl create configmap settings --from-literal=mode=fast --from-file=config.ini
  mini-kubectl create job backup-now --from=cronjob/backup
  mini-kubectl create service nodeport web --tcp=80:8080
  mini-kubectl create deployment web --image=nginx --dry-run=client -o yaml > web.yaml""",
)
