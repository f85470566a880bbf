"""Query parameters of the API, checked: what a client may ask of a read and of a write.

Source: Kubernetes API concepts, "Resource versions", "Retrieving large results sets in chunks"; `metav1.ListOptions`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, cast

from apimachinery.errors import (
    BadRequest,
    FieldError,
    forbidden,
    invalid,
    invalid_object,
    not_supported,
    quote,
    required,
    too_long,
)
from apimachinery.meta import DeleteOptions
from apimachinery.model import decode
from apimachinery.resource import Resource
from apimachinery.selectors import FieldSelector, Selector, parse_field_selector, parse_label_selector
from apiserver.storage.interface import Match

Query = dict[str, list[str]]

BUILT_IN_FIELDS = frozenset({"metadata.name", "metadata.namespace"})
MATCHES = ("Exact", "NotOlderThan")
PROPAGATION_POLICIES = ("Foreground", "Background", "Orphan")
FIELD_VALIDATIONS = ("Ignore", "Strict", "Warn")
MAX_MANAGER_BYTES = 128


@dataclass(frozen=True, slots=True)
class ListOptions:
    """`revision` None asks for the latest state, 0 for any; selectors are None when they select everything."""

    labels: Selector | None = None
    fields: FieldSelector | None = None
    revision: int | None = None
    match: Match = ""
    limit: int = 0
    continue_token: str = ""
    timeout_seconds: int | None = None
    watch: bool = False
    bookmarks: bool = False
    initial_events: bool | None = None
    """`sendInitialEvents`; None when the client did not say."""


NO_LIST_OPTIONS = ListOptions()


@dataclass(frozen=True, slots=True)
class WriteOptions:
    dry_run: bool = False
    field_validation: str = "Warn"
    """"Strict", "Warn" or "Ignore"."""
    field_manager: str = ""
    """The client's name for itself; "" when it gave none."""
    force: bool | None = None
    """An apply takes fields that others own. None when the client did not say."""
    applies: bool = False
    """The object that is written carries the managed fields it shall have."""
    user_agent: bytes = b""
    audit_annotations: dict[str, str] | None = field(default=None, compare=False)
    """What admission adds to the request's audit event; None if the request has no event."""

    @property
    def manager(self) -> str:
        """The owner of the written fields."""
        return self.field_manager or _user_agent_name(self.user_agent)


NO_WRITE_OPTIONS = WriteOptions()
OWN_WRITE = WriteOptions(field_manager="kube-apiserver")
"""The options of a write of the server itself."""


def _first(query: Query, name: str) -> str:
    values = query.get(name)
    return values[0] if values else ""


def parse_bool(query: Query, name: str) -> bool:
    """Go's way with flags in queries: absent, "0" and "false" are false, everything else is true."""
    values = query.get(name)
    return values is not None and values[0].lower() not in ("0", "false")


def parse_int(query: Query, name: str) -> int | None:
    """None when absent. Raises: BadRequest for a text that is not an integer of 64 bits, also the empty one."""
    values = query.get(name)
    if values is None:
        return None
    text = values[0]
    digits = text[1:] if text[:1] in ("+", "-") else text
    if not (digits.isascii() and digits.isdigit()):
        raise BadRequest(f"strconv.ParseInt: parsing {quote(text)}: invalid syntax")
    value = int(text) if len(digits) < 20 else 2**63
    if not -(2**63) <= value < 2**63:
        raise BadRequest(f"strconv.ParseInt: parsing {quote(text)}: value out of range")
    return value


def parse_revision(text: str) -> int | None:
    """A resourceVersion of a request: None when absent. Raises: BadRequest."""
    if not text:
        return None
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 21 else -1
    if 0 <= number < 2**64:
        return number
    why = "value out of range" if text.isascii() and text.isdigit() else "invalid syntax"
    quoted = quote(text)
    raise BadRequest(f"resourceVersion: Invalid value: {quoted}: strconv.ParseUint: parsing {quoted}: {why}")


def parse_list_options(query: Query) -> ListOptions:
    """Raises: BadRequest for what can't be read, Invalid for what doesn't go together."""
    if not query:
        return NO_LIST_OPTIONS
    labels = parse_label_selector(_first(query, "labelSelector"))
    fields = parse_field_selector(_first(query, "fieldSelector"))
    limit, timeout_seconds = parse_int(query, "limit"), parse_int(query, "timeoutSeconds")
    watch, match = parse_bool(query, "watch"), _first(query, "resourceVersionMatch")
    if match or "sendInitialEvents" in query or (watch and _first(query, "continue")):
        errors = _watch_errors(query, match) if watch else _list_errors(query, match)
        if errors:
            raise invalid_object("ListOptions", "meta.k8s.io", "", errors)
    continue_token, version = _first(query, "continue"), _first(query, "resourceVersion")
    if continue_token and version not in ("", "0") and not watch:
        raise BadRequest("specifying resource version is not allowed when using continue")
    return ListOptions(
        labels=None if labels.empty else labels,
        fields=None if fields.empty else fields,
        revision=parse_revision(version) if watch else _list_revision(version),
        match=cast(Match, match),
        limit=max(limit or 0, 0),
        continue_token=continue_token,
        timeout_seconds=timeout_seconds,
        watch=watch,
        bookmarks=parse_bool(query, "allowWatchBookmarks"),
        initial_events=parse_bool(query, "sendInitialEvents") if "sendInitialEvents" in query else None,
    )


def _list_revision(text: str) -> int | None:
    try:
        return parse_revision(text)
    except BadRequest as error:
        raise BadRequest(f"invalid resource version: {error.message}") from None


def _list_errors(query: Query, match: str) -> list[FieldError]:
    """Rejects list options that exclude each other."""
    errors: list[FieldError] = []
    if match:
        version = _first(query, "resourceVersion")
        if not version:
            errors.append(_match_forbidden("unless resourceVersion is provided"))
        if _first(query, "continue"):
            errors.append(_match_forbidden("when continue is provided"))
        if match not in MATCHES:
            errors.append(not_supported("resourceVersionMatch", match, (*MATCHES, "")))
        if match == "Exact" and version == "0":
            why = 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"'
            errors.append(forbidden("resourceVersionMatch", why))
    if "sendInitialEvents" in query:
        errors.append(forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list"))
    return errors


def _watch_errors(query: Query, match: str) -> list[FieldError]:
    """A watch takes resourceVersionMatch with sendInitialEvents alone."""
    errors: list[FieldError] = []
    if "sendInitialEvents" in query and match != "NotOlderThan":
        why = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
        errors.append(forbidden("resourceVersionMatch", why))
    if match:
        if "sendInitialEvents" not in query:
            errors.append(_match_forbidden("for watch unless sendInitialEvents is provided"))
        if match != "NotOlderThan":
            errors.append(not_supported("resourceVersionMatch", match, ("NotOlderThan",)))
    if _first(query, "continue"):
        errors.append(_match_forbidden("when continue is provided"))
    return errors


def _match_forbidden(why: str) -> FieldError:
    return forbidden("resourceVersionMatch", f"resourceVersionMatch is forbidden {why}")


def check_fields(resource: Resource[Any], options: ListOptions) -> None:
    """Raises: BadRequest for a field selector the kind does not offer."""
    for path, _, _ in options.fields.requirements if options.fields else ():
        built_in = path in BUILT_IN_FIELDS and (resource.namespaced or path == "metadata.name" or not resource.fields)
        if built_in or path in resource.fields:
            continue
        if resource.fields:
            raise BadRequest(f"field label not supported: {path}")
        names = '"metadata.name", "metadata.namespace"'
        raise BadRequest(f"{quote(path)} is not a known field selector: only {names}")


def parse_write_options(query: Query, kind: str, user_agent: bytes = b"", *, applies: bool = False) -> WriteOptions:
    """`kind` is the options' kind, for messages: "CreateOptions". Raises: Invalid, BadRequest."""
    if not query and not applies:
        return _options_of(user_agent) if user_agent else NO_WRITE_OPTIONS
    errors: list[FieldError] = []
    manager = _first(query, "fieldManager")
    force = _parse_force(query) if kind == "PatchOptions" else None
    if applies and not manager:
        errors.append(required("fieldManager", "is required for apply patch"))
    elif force is not None and not applies:
        errors.append(forbidden("force", "may not be specified for non-apply patch"))
    errors += manager_errors(manager, "fieldManager")
    dry_run = _dry_run(query.get("dryRun"), errors)
    validation = _first(query, "fieldValidation")
    if validation and validation not in FIELD_VALIDATIONS:
        errors.append(not_supported("fieldValidation", validation, ("", *FIELD_VALIDATIONS)))
    if errors:
        raise invalid_object(kind, "meta.k8s.io", "", errors)
    return WriteOptions(dry_run, validation or "Warn", manager, force, applies, user_agent)


@lru_cache(maxsize=64)
def _options_of(user_agent: bytes) -> WriteOptions:
    """The options of a client that asks for nothing special, as most requests do."""
    return WriteOptions(user_agent=user_agent)


def _parse_force(query: Query) -> bool | None:
    return parse_bool(query, "force") if "force" in query else None


def manager_errors(manager: str, path: str) -> list[FieldError]:
    """The faults in the name of a field manager."""
    errors = []
    if len(manager.encode()) > MAX_MANAGER_BYTES:
        errors.append(too_long(path, MAX_MANAGER_BYTES))
    for index, char in enumerate(manager):
        if not (char.isprintable() or char == " "):
            at = len(manager[:index].encode())
            errors.append(invalid(path, manager, f"invalid character U+{ord(char):04X} (at position {at})"))
    return errors


@lru_cache(maxsize=64)
def _user_agent_name(user_agent: bytes) -> str:
    """The program, without its version: "kubelet/v1.35 (linux)" -> "kubelet"."""
    name = user_agent.decode("utf-8", "replace").partition("/")[0]
    printable = "".join(char for char in name if char.isprintable())
    return printable.encode()[:MAX_MANAGER_BYTES].decode("utf-8", "ignore") or "unknown"


def _dry_run(values: list[str] | None, errors: list[FieldError]) -> bool:
    if any(value != "All" for value in values or ()):
        errors.append(not_supported("dryRun", values, ("All",)))
    return bool(values)


def parse_delete_options(query: Query, body: bytes) -> DeleteOptions:
    """The body's DeleteOptions; without a body, the query's. `dryRun` may stand in either.

    Raises: BadRequest, Invalid.
    """
    if body:
        options = decode(DeleteOptions, body)
        if options.kind not in (None, "DeleteOptions"):
            raise BadRequest(f"expected a DeleteOptions in the body, not a {options.kind}")
        options.dryRun = options.dryRun or query.get("dryRun")
    else:
        orphan = parse_bool(query, "orphanDependents") if "orphanDependents" in query else None
        options = DeleteOptions(
            gracePeriodSeconds=parse_int(query, "gracePeriodSeconds"),
            propagationPolicy=_first(query, "propagationPolicy") or None,
            orphanDependents=orphan,
            dryRun=query.get("dryRun"),
        )
    return check_delete_options(options)


def check_delete_options(options: DeleteOptions) -> DeleteOptions:
    """The same, if nothing is wrong with it. Raises: Invalid."""
    errors: list[FieldError] = []
    policy = options.propagationPolicy
    if policy and options.orphanDependents is not None:
        why = "orphanDependents and deletionPropagation cannot be both set"
        errors.append(invalid("propagationPolicy", policy, why))
    if policy and policy not in PROPAGATION_POLICIES:
        errors.append(not_supported("propagationPolicy", policy, (*PROPAGATION_POLICIES, "nil")))
    _dry_run(options.dryRun, errors)
    if errors:
        raise invalid_object("DeleteOptions", "meta.k8s.io", "", errors)
    return options
