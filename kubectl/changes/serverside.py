"""Applies on the server: the request, the advice at conflicts, and the hand-over from client-side apply."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from dataclasses import dataclass

from apimachinery.errors import Conflict, StatusError, UnsupportedMediaType
from kubectl.api.client import JSON_PATCH, Dict, Unreachable
from kubectl.changes.writing import LAST_APPLIED
from kubectl.input.manifests import Manifest
from kubectl.input.targets import Target
from kubectl.invocation.command import CommandContext, UsageError, blaming, retried

APPLY_PATCH = "application/apply-patch+yaml"
MANAGER = "kubectl"
KEEPER = "kubectl-last-applied"  # owns the annotation of client-side apply, so that it stays
ATTEMPTS = 5  # at handing fields over, where someone else writes at the same time
_ADVICE = """\
Please review the fields above--they currently have other managers. Here
are the ways you can resolve this warning:
* If you intend to manage all of these fields, please re-run the apply
  command with the `--force-conflicts` flag.
* If you do not intend to manage all of the fields, please edit your
  manifest to remove references to the fields that should keep their
  current managers.
* You may co-own fields by updating your manifest to match the existing
  value; in this case, you'll become the manager if the other manager(s)
  stop managing the field (remove it from their configuration).
See https://kubernetes.io/docs/reference/using-api/server-side-apply/#conflicts"""


@dataclass(frozen=True)
class ServerSideApply:
    """Applies objects in the name of `manager`; `params` are the query parameters of every request."""

    context: CommandContext
    manager: str
    params: Dict
    force: bool = False

    def apply(self, manifest: Manifest, target: Target) -> Dict:
        """The object as stored. Raises: UsageError for conflicts, StatusError."""
        obj = manifest.obj
        if target.namespace:
            obj = {**obj, "metadata": {**obj["metadata"], "namespace": target.namespace}}
        applied = self._send(manifest, target, obj)
        if self.params.get("dryRun"):
            return applied
        try:
            applied = self._keep_annotation(target, applied)
            handed_over = self._take_over(target, applied)
        except StatusError as error:  # the object is applied all the same; the next apply tries again
            self.context.warn(
                "server-side apply could not take over the fields that were applied without it; it is tried again "
                f"with the next apply: {error}"
            )
            return applied
        return self._send(manifest, target, obj) if handed_over else applied

    def _send(self, manifest: Manifest, target: Target, obj: Dict) -> Dict:
        try:
            with blaming("patching", manifest.source):
                return self._patch(target, obj, self.manager, force=str(self.force).lower())
        except UnsupportedMediaType as error:
            raise Unreachable(f"Server-side apply not available on the server: ({error.message})") from error
        except Conflict as error:
            lines = error.message.partition(": ")[2] or error.message
            raise UsageError(f"{lines}\n{_ADVICE}") from error

    def _patch(self, target: Target, obj: Dict, manager: str, **params: str) -> Dict:
        whole = {**self.params, "fieldManager": manager, **params}
        result: Dict = self.context.api.request("PATCH", target.path, params=whole, body=obj, content_type=APPLY_PATCH)
        return result

    def _keep_annotation(self, target: Target, applied: Dict) -> Dict:
        """Gives the annotation a manager of its own, so that client-side apply finds it, should it come back."""
        meta = applied["metadata"]
        text = (meta.get("annotations") or {}).get(LAST_APPLIED)
        owners = {entry["manager"] for entry in owners_of_annotation(meta.get("managedFields") or ())}
        if self.manager != MANAGER or text is None or KEEPER in owners:
            return applied
        names = {"name": meta["name"]} | ({"namespace": target.namespace} if target.namespace else {})
        only = {
            "apiVersion": applied["apiVersion"],
            "kind": applied["kind"],
            "metadata": {**names, "annotations": {LAST_APPLIED: text}},
        }
        return self._patch(target, only, KEEPER)

    def _take_over(self, target: Target, applied: Dict) -> bool:
        """Hands the fields of client-side apply to server-side apply; True where there were any."""

        def hand_over(number: int) -> bool:
            meta = (applied if number == 1 else self.context.api.request("GET", target.path))["metadata"]
            fields = migrated(meta.get("managedFields") or [], self.manager)
            if fields is None:
                return False
            patch = [
                {"op": "replace", "path": "/metadata/managedFields", "value": fields},
                {"op": "replace", "path": "/metadata/resourceVersion", "value": meta["resourceVersion"]},
            ]
            self.context.api.patch(target.path, patch, JSON_PATCH)
            return True

        return retried(ATTEMPTS, hand_over, Conflict)


def owners_of_annotation(entries: Iterable[Dict]) -> list[Dict]:
    """The managers whose fields include the annotation of client-side apply."""
    owners = []
    for entry in entries:
        annotations = ((entry.get("fieldsV1") or {}).get("f:metadata") or {}).get("f:annotations") or {}
        if f"f:{LAST_APPLIED}" in annotations:
            owners.append(entry)
    return owners


def migrated(entries: list[Dict], manager: str) -> list[Dict] | None:
    """managedFields in which `manager` applies what client-side apply had set; None where that set nothing.

    Client-side apply is recognised by the annotation that it alone updates.
    """
    old = {entry["manager"] for entry in owners_of_annotation(entries) if entry.get("operation") == "Update"}
    if not old:
        return None

    def is_old(entry: Dict) -> bool:
        return entry["manager"] in old and entry.get("operation") == "Update" and not entry.get("subresource")

    def is_own(entry: Dict) -> bool:
        return entry["manager"] == manager and entry.get("operation") == "Apply" and not entry.get("subresource")

    result = copy.deepcopy(entries)
    own = next((entry for entry in result if is_own(entry)), None)
    for entry in filter(is_old, list(result)):
        if own is None:
            entry["manager"], entry["operation"] = manager, "Apply"
            own = entry
        else:
            own["fieldsV1"] = _union(own.get("fieldsV1") or {}, entry.get("fieldsV1") or {})
            result.remove(entry)
    return result


def _union(one: Dict, other: Dict) -> Dict:
    """The union of two field sets."""
    result = dict(one)
    for key, value in other.items():
        result[key] = _union(result[key], value) if key in result else value
    return result
