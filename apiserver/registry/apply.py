"""Server-side apply: a PATCH that says what its sender wants, and makes the sender the owner of just that.

Source: Kubernetes documentation, "Server-Side Apply".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import orjson

from apimachinery.errors import BadRequest, UnclassifiedError, object_conflict
from apimachinery.meta import ManagedFieldsEntry, Object
from apimachinery.model import to_dict
from apimachinery.resource import Resource
from apimachinery.times import format_time
from apiserver.codec.body import check_place, decode_object, in_one_text, yaml_to_json
from apiserver.codec.fieldvalidation import duplicate_fields, may_repeat_fields
from apiserver.managedfields.manager import KUBECTL, LAST_APPLIED, Applied, Writer
from apiserver.managedfields.manager import apply as merge_config
from apiserver.managedfields.typed import NotTyped
from apiserver.registry.changes import Changed
from apiserver.request.query import WriteOptions

Dict = dict[str, Any]

MAX_LAST_APPLIED_BYTES = 256 * 1024  # the limit of all annotations: a longer one goes rather than fail the apply


def read_config(body: bytes, validation: str) -> tuple[Dict, list[str]]:
    """The applied document, with warnings about what it says twice. Raises: BadRequest."""
    warnings: Sequence[str] = ()
    strict_errors: Sequence[str] = ()
    try:
        config = orjson.loads(body)
    except orjson.JSONDecodeError:
        try:
            converted = yaml_to_json(body)
        except BadRequest as error:
            raise BadRequest(f"error decoding YAML: {error.message}") from None
        config, warnings = orjson.loads(converted.json), converted.repeated or ()
        strict_errors = in_one_text(warnings)
    else:
        if validation != "Ignore" and may_repeat_fields(body):
            warnings = strict_errors = duplicate_fields(body)
    if not isinstance(config, dict):
        raise BadRequest("error decoding YAML: an apply must be an object")
    if strict_errors and validation == "Strict":
        raise BadRequest(f"error strict decoding YAML: {', '.join(strict_errors)}")
    return config, [] if validation == "Ignore" else list(warnings)


def check_config(resource: Resource[Any], config: Dict) -> None:
    """Raises: BadRequest."""
    version, kind = config.get("apiVersion"), config.get("kind")
    if version != resource.api_version:
        raise BadRequest(
            f"Incorrect version specified in apply patch. Specified patch version: {version or ''}, expected: "
            f"{resource.api_version}"
        )
    if kind != resource.kind:
        raise BadRequest(f"invalid object type: {resource.group}/{resource.version}, Kind={kind or ''}")
    meta = config.get("metadata")
    if meta is not None and not isinstance(meta, dict):
        raise BadRequest("error decoding YAML: metadata must be an object")
    if meta and meta.get("managedFields") is not None:
        raise BadRequest("metadata.managedFields must be nil")


@dataclass(frozen=True, slots=True)
class Apply:
    """One apply, as a value that the store applies to an object, or makes one of."""

    resource: Resource[Any]
    namespace: str
    name: str
    subresource: str
    config: Dict
    options: WriteOptions
    now: float
    """Unix seconds: when the written fields change owner."""
    reads_owners: ClassVar[bool] = True

    def apply(self, old: Any, value: bytes) -> Changed[Any]:
        """Raises: BadRequest, Conflict."""
        live = orjson.loads(value)
        live["metadata"].pop("managedFields", None)
        applied = self._merge(live, old.metadata.managedFields or [])
        obj = applied.obj
        if not applied.changed:
            same = old.clone()
            same.metadata.uid, same.metadata.resourceVersion = obj.metadata.uid, obj.metadata.resourceVersion
            return Changed(same)
        if self.options.manager == KUBECTL and LAST_APPLIED in old.annotations:
            self._keep_last_applied(obj)
        return Changed(obj)

    def create(self) -> Any:
        """Raises: BadRequest, Conflict."""
        uid = (self.config.get("metadata") or {}).get("uid")
        if uid:
            why = f"uid mismatch: the provided object specified uid {uid}, and no existing object was found"
            raise object_conflict(self.resource.plural, self.resource.group, self.name, why)
        obj = self._merge({}, []).obj
        obj.metadata.resourceVersion = None  # there is no state that it could be too old for
        return obj

    def _merge(self, live: Dict, entries: list[ManagedFieldsEntry]) -> Applied:
        resource, options = self.resource, self.options
        writer = Writer(options.manager, resource.api_version, self.subresource, format_time(int(self.now)))
        try:
            applied = merge_config(
                entries, live, self.config, resource, writer, self._complete, force=bool(options.force)
            )
        except NotTyped as error:
            meta = self.config.get("metadata") or {}
            place = f"{meta.get('namespace') or ''}/{meta.get('name') or ''}"
            where = f"{place}; {resource.group}/{resource.version}, Kind={resource.kind}"
            raise UnclassifiedError(f"failed to create typed patch object ({where}): {error}") from None
        applied.obj.metadata.managedFields = applied.entries or None
        return applied

    def _complete(self, document: Dict) -> tuple[Object, Dict]:
        obj: Object = decode_object(self.resource, encoded(document))
        check_place(obj, self.resource, self.namespace, self.name)
        return obj, to_dict(obj)

    def _keep_last_applied(self, obj: Any) -> None:
        """Whoever goes back to applying from the client's side finds there what was applied last."""
        config = {**self.config, "metadata": dict(self.config.get("metadata") or {})}
        annotations = dict(config["metadata"].get("annotations") or {})
        annotations.pop(LAST_APPLIED, None)
        config["metadata"].pop("annotations", None)
        if annotations:
            config["metadata"]["annotations"] = annotations
        text = orjson.dumps(config, option=orjson.OPT_SORT_KEYS).decode() + "\n"
        obj.metadata.annotations = {**(obj.metadata.annotations or {}), LAST_APPLIED: text}
        if len(text) > MAX_LAST_APPLIED_BYTES:
            del obj.metadata.annotations[LAST_APPLIED]


def encoded(document: Dict) -> bytes:
    """Raises: BadRequest for a document that is nested too deeply."""
    try:
        return orjson.dumps(document)
    except TypeError as error:
        raise BadRequest(f"error decoding YAML: {error}") from None
