"""One tree of errors that mirrors `Status`: the API server raises them, and the client raises them again."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

MAX_REPORTED_ERRORS = 500  # of one object: a small request may not make a huge answer


@dataclass(frozen=True, slots=True)
class FieldError:
    """One cause in `Status.details.causes`. `type` is upstream's cause reason, e.g. "FieldValueRequired"."""

    type: str
    field: str
    message: str

    def __str__(self) -> str:
        return f"{self.field}: {self.message}"


_ESCAPES = {
    '"': r"\"",
    "\\": r"\\",
    "\a": r"\a",
    "\b": r"\b",
    "\f": r"\f",
    "\n": r"\n",
    "\r": r"\r",
    "\t": r"\t",
    "\v": r"\v",
}


def quote(value: object) -> str:
    """Prints a bad value as upstream does: strings quoted, with the escapes of Go, the rest as JSON."""
    if isinstance(value, str) and not value.isprintable():
        return f'"{"".join(map(_escaped, value))}"'
    return json.dumps(value, ensure_ascii=False, default=str, separators=(",", ":"))


def _escaped(char: str) -> str:
    if char in _ESCAPES or char.isprintable():
        return _ESCAPES.get(char, char)
    number = ord(char)
    if number < 0x80:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def required(path: str, detail: str = "") -> FieldError:
    return FieldError("FieldValueRequired", path, "Required value" + (f": {detail}" if detail else ""))


def invalid(path: str, value: object, detail: str) -> FieldError:
    text = f"Invalid value: {quote(value)}"
    return FieldError("FieldValueInvalid", path, f"{text}: {detail}" if detail else text)


def not_supported(path: str, value: object, supported: Iterable[str]) -> FieldError:
    """`supported` is listed as it is given: upstream sorts some lists of values, and keeps the order of others."""
    names = ", ".join(map(quote, supported))
    return FieldError("FieldValueNotSupported", path, f"Unsupported value: {quote(value)}: supported values: {names}")


def duplicate(path: str, value: object) -> FieldError:
    return FieldError("FieldValueDuplicate", path, f"Duplicate value: {quote(value)}")


def forbidden(path: str, detail: str) -> FieldError:
    return FieldError("FieldValueForbidden", path, f"Forbidden: {detail}")


def not_found(path: str, value: object) -> FieldError:
    return FieldError("FieldValueNotFound", path, f"Not found: {quote(value)}")


def too_long(path: str, limit: int) -> FieldError:
    return FieldError("FieldValueTooLong", path, f"Too long: may not be more than {limit} bytes")


@dataclass(eq=False)
class StatusError(Exception):
    """A failed request, with everything that a `Status` body says. Raise one of the subclasses."""

    message: str
    details: dict[str, Any] | None = None
    causes: list[FieldError] = field(default_factory=list)
    retry_after_seconds: int | None = None
    code: int = 0
    reason: str = ""

    default_code: ClassVar[int] = 500
    default_reason: ClassVar[str] = "InternalError"

    def __post_init__(self) -> None:
        self.code = self.code or self.default_code
        self.reason = self.reason or self.default_reason
        super().__init__(self.message)

    def __str__(self) -> str:
        return self.message

    def to_status(self) -> dict[str, Any]:
        """The `Status` object on the wire."""
        details = dict(self.details or {})
        if self.causes:
            details["causes"] = [
                {key: value for key, value in (("reason", c.type), ("message", c.message), ("field", c.field)) if value}
                for c in self.causes
            ]
        if self.retry_after_seconds is not None:
            details["retryAfterSeconds"] = self.retry_after_seconds
        status: dict[str, Any] = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}
        status["message"] = self.message
        if self.reason:
            status["reason"] = self.reason
        if details or self.details is not None:
            status["details"] = details
        status["code"] = self.code
        return status


NAMESPACE_TERMINATING = "NamespaceTerminating"
"""The cause of the error when an object is created in a namespace that is being deleted."""


def namespace_is_terminating(error: StatusError) -> bool:
    """Tells whether an object was refused because its namespace is being deleted: trying again is useless."""
    return any(cause.type == NAMESPACE_TERMINATING for cause in error.causes)


class BadRequest(StatusError):
    default_code, default_reason = 400, "BadRequest"


class Unauthorized(StatusError):
    default_code, default_reason = 401, "Unauthorized"


class Forbidden(StatusError):
    default_code, default_reason = 403, "Forbidden"


class NotFound(StatusError):
    default_code, default_reason = 404, "NotFound"


class MethodNotAllowed(StatusError):
    default_code, default_reason = 405, "MethodNotAllowed"


class NotAcceptable(StatusError):
    default_code, default_reason = 406, "NotAcceptable"


class AlreadyExists(StatusError):
    default_code, default_reason = 409, "AlreadyExists"


class Conflict(StatusError):
    default_code, default_reason = 409, "Conflict"


class Expired(StatusError):
    """410: the requested resourceVersion or continue token is older than the server's history. List again."""

    default_code, default_reason = 410, "Expired"


class RequestEntityTooLarge(StatusError):
    default_code, default_reason = 413, "RequestEntityTooLarge"


class UnsupportedMediaType(StatusError):
    default_code, default_reason = 415, "UnsupportedMediaType"


class Invalid(StatusError):
    """422 with one cause per bad field; build it with `invalid_object`."""

    default_code, default_reason = 422, "Invalid"


class TooManyRequests(StatusError):
    default_code, default_reason = 429, "TooManyRequests"


class InternalError(StatusError):
    default_code, default_reason = 500, "InternalError"


class UnclassifiedError(StatusError):
    """500 without a reason, as the original answers errors that it does not classify."""

    default_code, default_reason = 500, ""


class ServiceUnavailable(StatusError):
    default_code, default_reason = 503, "ServiceUnavailable"


class GatewayTimeout(StatusError):
    default_code, default_reason = 504, "Timeout"


def resource_name(plural: str, group: str) -> str:
    return f"{plural}.{group}" if group else plural


def object_not_found(plural: str, group: str, name: str) -> NotFound:
    return NotFound(f'{resource_name(plural, group)} "{name}" not found', object_details(plural, group, name))


def object_exists(plural: str, group: str, name: str) -> AlreadyExists:
    return AlreadyExists(f'{resource_name(plural, group)} "{name}" already exists', object_details(plural, group, name))


def object_conflict(plural: str, group: str, name: str, why: str = "") -> Conflict:
    why = why or "the object has been modified; please apply your changes to the latest version and try again"
    message = f'Operation cannot be fulfilled on {resource_name(plural, group)} "{name}": {why}'
    return Conflict(message, object_details(plural, group, name))


def invalid_object(kind: str, group: str, name: str, errors: list[FieldError]) -> Invalid:
    """Makes the 422 of a failed validation; `errors` must not be empty."""
    reported = errors[:MAX_REPORTED_ERRORS]
    texts = list(dict.fromkeys(map(str, reported)))  # the message tells each fault once, the causes each time
    if len(reported) < len(errors):
        texts.append(f"and {len(errors) - len(reported)} more")
    text = join_errors(texts)
    kind_name = f"{kind}.{group}" if group else kind
    return Invalid(f'{kind_name} "{name}" is invalid: {text}', object_details(kind, group, name), reported)


def join_errors(texts: Sequence[str]) -> str:
    """Joins several errors to one as upstream does: "[a, b]"; one alone stays as it is."""
    return texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]" if texts else ""


def object_details(kind: str, group: str, name: str) -> dict[str, Any]:
    details = {"name": name, "group": group, "kind": kind}
    return {key: value for key, value in details.items() if value}


_BY_REASON: dict[str, type[StatusError]] = {}
_BY_CODE: dict[int, type[StatusError]] = {}
for _cls in StatusError.__subclasses__():
    _BY_REASON[_cls.default_reason] = _cls
    _BY_CODE.setdefault(_cls.default_code, _cls)


def from_status(status: dict[str, Any], code: int = 0) -> StatusError:
    """Makes the error of a `Status` body; `code` is the HTTP status, for bodies that lack it."""
    code = int(status.get("code") or code)
    reason = str(status.get("reason") or "")
    if not reason and code == 500 and status.get("kind") == "Status":
        cls: type[StatusError] = UnclassifiedError
    else:
        cls = (_BY_REASON.get(reason) if reason else None) or _BY_CODE.get(code) or StatusError
    details = dict(status.get("details") or {})
    causes = [
        FieldError(str(c.get("reason", "")), str(c.get("field", "")), str(c.get("message", "")))
        for c in details.pop("causes", None) or []
    ]
    retry = details.pop("retryAfterSeconds", None)
    return cls(str(status.get("message") or reason or code), details, causes, retry, code, reason)
