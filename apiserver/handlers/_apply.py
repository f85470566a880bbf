"""Server-side apply: a PATCH that says what its sender wants, and makes the sender the owner of just that.

Source: Kubernetes documentation, "Server-Side Apply".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

from apimachinery.errors import BadRequest, object_conflict
from apimachinery.meta import ManagedFieldsEntry
from apimachinery.model import encode
from apimachinery.resource import Resource
from apimachinery.times import format_time
from apiserver.codec.body import decode_object, yaml_to_json
from apiserver.codec.fieldvalidation import duplicate_fields, may_repeat_fields
from apiserver.handlers._shared import Target, answer, check_place, write_options
from apiserver.managedfields.manager import KUBECTL, LAST_APPLIED, Applied, Writer
from apiserver.managedfields.manager import apply as merge_config
from apiserver.managedfields.typed import NotTyped
from apiserver.request.message import Request, Response
from apiserver.request.query import WriteOptions
from apiserver.storage.interface import Entry

Dict = dict[str, Any]

MAX_LAST_APPLIED_BYTES = 256 * 1024  # the limit of all annotations: a longer one goes rather than fail the apply


async def apply(request: Request, target: Target) -> Response:
    """201 where it makes the object, else 200."""
    resource, info = target.resource, request.info
    options = write_options(request, "PatchOptions", applies=True)
    config, warnings = read_config(await request.body(), options.field_validation)
    check_config(resource, config)
    namespace = info.namespace if resource.namespaced else ""
    result = Applying(target, namespace, info.name, info.subresource, config, options)
    written = await target.store.update(
        namespace,
        info.name,
        result.change,
        request.user,
        options,
        subresource=info.subresource,
        create=None if info.subresource else result.create,
    )
    return answer(request, resource, written, 201 if written.created else 200, warnings)


def read_config(body: bytes, validation: str) -> tuple[Dict, list[str]]:
    """The applied document, with warnings about what it says twice. Raises: BadRequest."""
    repeated: list[str] = []
    try:
        config = orjson.loads(body)
    except orjson.JSONDecodeError:
        config = orjson.loads(_from_yaml(body, repeated))
    else:
        if validation != "Ignore" and may_repeat_fields(body):
            repeated = duplicate_fields(body)
    if not isinstance(config, dict):
        raise BadRequest("error decoding YAML: an apply must be an object")
    if repeated and validation == "Strict":
        raise BadRequest(f"error strict decoding YAML: {', '.join(repeated)}")
    return config, [] if validation == "Ignore" else repeated


def _from_yaml(body: bytes, repeated: list[str]) -> bytes:
    try:
        return yaml_to_json(body, repeated)
    except BadRequest as error:
        raise BadRequest(f"error decoding YAML: {error.message}") from None


def check_config(resource: Resource[Any], config: Dict) -> None:
    """Raises: BadRequest."""
    version = config.get("apiVersion")
    if version != resource.api_version:
        raise BadRequest(
            f"Incorrect version specified in apply patch. Specified patch version: {version or ''}, expected: "
            f"{resource.api_version}"
        )
    meta = config.get("metadata")
    if meta is not None and not isinstance(meta, dict):
        raise BadRequest("error decoding YAML: metadata must be an object")
    if meta and meta.get("managedFields") is not None:
        raise BadRequest("metadata.managedFields must be nil")


class Applying:
    """One apply, as what the registry calls: `change` for each state of the object it meets, `create` without any."""

    def __init__(
        self, target: Target, namespace: str, name: str, subresource: str, config: Dict, options: WriteOptions
    ) -> None:
        self._resource = target.resource
        self._clock = target.store.clock
        self._namespace = namespace
        self._name = name
        self._subresource = subresource
        self._config = config
        self._options = options

    def change(self, old: Any, entry: Entry) -> Any:
        """Raises: BadRequest, Conflict."""
        live = orjson.loads(entry.value)
        live["metadata"].pop("managedFields", None)
        applied, obj = self._merge(live, old.metadata.managedFields or [])
        if not applied.changed:
            same = old.clone()
            same.metadata.uid, same.metadata.resourceVersion = obj.metadata.uid, obj.metadata.resourceVersion
            return same
        if self._options.manager == KUBECTL and LAST_APPLIED in old.annotations:
            self._keep_last_applied(obj)
        return obj

    def create(self) -> Any:
        """Raises: BadRequest, Conflict."""
        uid = (self._config.get("metadata") or {}).get("uid")
        if uid:
            why = f"uid mismatch: the provided object specified uid {uid}, and no existing object was found"
            raise object_conflict(self._resource.plural, self._resource.group, self._name, why)
        return self._merge({}, [])[1]

    def _merge(self, live: Dict, entries: list[ManagedFieldsEntry]) -> tuple[Applied, Any]:
        time = format_time(int(self._clock.now()))
        writer = Writer(self._options.manager, self._resource.api_version, self._subresource, time)
        made: list[Any] = []
        try:
            applied = merge_config(
                entries,
                live,
                self._config,
                self._resource,
                writer,
                self._completer(made),
                force=bool(self._options.force),
            )
        except NotTyped as error:
            resource = self._resource
            where = f"{self._namespace}/{self._name}; {resource.group}/{resource.version}, Kind={resource.kind}"
            raise BadRequest(f"failed to create typed patch object ({where}): {error}") from None
        obj = made[-1]
        obj.metadata.managedFields = applied.entries or None
        return applied, obj

    def _completer(self, made: list[Any]) -> Callable[[Dict], Dict]:
        """Decodes a merged document, as a body would be; the object is left in `made`."""

        def complete(document: Dict) -> Dict:
            obj = decode_object(self._resource, encoded(document))
            check_place(obj, self._resource, self._namespace, self._name)
            made.append(obj)
            completed: Dict = orjson.loads(encode(obj))
            return completed

        return complete

    def _keep_last_applied(self, obj: Any) -> None:
        """Whoever goes back to applying from the client's side finds there what was applied last."""
        config = {**self._config, "metadata": dict(self._config.get("metadata") or {})}
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
