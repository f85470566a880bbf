"""`apply --prune`: deletes what was applied once and is in none of the manifests any more."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

from kubectl.api.discovery import ResourceType, UnknownType
from kubectl.cli.command import Context, UsageError
from kubectl.commands._deletion import delete_object, wait_gone
from kubectl.commands._writing import last_applied_of
from kubectl.input.manifests import Target, list_objects

Dict = dict[str, Any]

_DEFAULT = (
    *(("v1", kind) for kind in ("ConfigMap", "Endpoints", "Namespace", "PersistentVolumeClaim", "PersistentVolume",
                                "Pod", "ReplicationController", "Secret", "Service")),
    ("batch/v1", "Job"), ("batch/v1", "CronJob"), ("networking.k8s.io/v1", "Ingress"),
    *(("apps/v1", kind) for kind in ("DaemonSet", "Deployment", "ReplicaSet", "StatefulSet")),
)  # fmt: skip


def add_prune_arguments(parser: argparse.ArgumentParser, *, all_objects: bool = True) -> None:
    parser.add_argument("--prune", action="store_true", help="delete what was applied and is in no manifest any more")
    if all_objects:
        help_text = "with --prune: among all objects, instead of a selector's"
        parser.add_argument("--all", action="store_true", help=help_text)
    parser.add_argument(
        "--prune-allowlist", action="append", default=[], metavar="GROUP/VERSION/KIND",
        help="with --prune: objects of this kind only; may be repeated",
    )  # fmt: skip


class Pruner:
    """`keep` what is applied, then `prune`. Raises: UsageError for an allowlist that is none."""

    def __init__(self, context: Context, args: argparse.Namespace) -> None:
        self._context, self._args = context, args
        self._kinds = list(_kinds(context, args.prune_allowlist))
        self._kept: set[str] = set()
        self._namespaces: set[str] = set()

    def keep(self, obj: Dict, namespace: str) -> None:
        self._kept.add(obj["metadata"].get("uid", ""))
        if namespace:
            self._namespaces.add(namespace)

    def prune(self) -> Iterator[tuple[Target, Dict]]:
        """What was deleted, as it was. Raises: StatusError."""
        args, gone = self._args, []
        for target in self._collections():
            for item in list_objects(self._context, target, args.selector)["items"]:
                if last_applied_of(item) is None or item["metadata"]["uid"] in self._kept:
                    continue
                item = {"apiVersion": target.kind.api_version, "kind": target.kind.kind, **item}
                found = Target(target.kind, item["metadata"]["name"], target.namespace)
                uid = ""
                if args.dry_run != "client":
                    uid = delete_object(
                        self._context, found,
                        cascade=args.cascade, grace_period=args.grace_period, dry_run=args.dry_run,
                    )  # fmt: skip
                gone.append((found, uid))
                yield found, item
        if args.wait and args.dry_run == "none":
            wait_gone(self._context, gone, args.timeout or None)

    def _collections(self) -> Iterator[Target]:
        """Those in the namespaces of the manifests, then those outside of any."""
        for namespace in sorted(self._namespaces):
            yield from (Target(kind, "", namespace) for kind in self._kinds if kind.namespaced)
        yield from (Target(kind) for kind in self._kinds if not kind.namespaced)


def _kinds(context: Context, allowed: list[str]) -> Iterator[ResourceType]:
    for word in allowed:
        parts = word.split("/")
        if len(parts) != 3:
            raise UsageError(f"invalid GroupVersionKind format: {word}, please follow <group/version/kind>")
        group, version, kind = parts
        try:
            yield context.discovery.by_kind(version if group in ("", "core") else f"{group}/{version}", kind)
        except UnknownType as error:
            raise UsageError(str(error)) from error
    if allowed:
        return
    for api_version, kind in _DEFAULT:
        try:
            yield context.discovery.by_kind(api_version, kind)
        except UnknownType:
            continue  # a kind that the server lacks has no objects
