"""The base of every API type, with its encoding and decoding.

Attributes are spelled as on the wire, so YAML, JSON, docs and code read alike. An absent field is `None` and is not
encoded; unknown fields are pruned; types are strict (`"80"` is not an integer), as in Kubernetes' own decoder.
"""

from __future__ import annotations

import operator
from base64 import b64decode, b64encode
from typing import Annotated, Any, ClassVar, Self, TypeVar, cast

import orjson
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    StringConstraints,
    ValidationError,
)
from pydantic_core import CoreSchema, PydanticUndefined

from apimachinery.absent.empty import drop_empty
from apimachinery.absent.nulls import NullFiller
from apimachinery.errors import BadRequest

M = TypeVar("M", bound="Model")

_DATE = (
    r"([0-9]{3}[1-9]|[0-9][0-9][1-9]0|[0-9][1-9]00|[1-9]000)-"
    r"((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|[12][0-9]))"
)
_TIME = rf"^{_DATE}T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]+)?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$"
Time = Annotated[str, StringConstraints(pattern=_TIME)]
"""RFC 3339, UTC on the wire: "2026-01-31T10:00:00Z"."""

MicroTime = Annotated[Time, "MicroTime"]
"""A time with six decimals. A string among the marks of a type is its name in OpenAPI."""

Int32 = Annotated[int, Field(ge=-(2**31), lt=2**31)]
Int64 = Annotated[int, Field(ge=-(2**63), lt=2**63)]
"""Integers as wide as the wire's: a wider one is refused on decode, as clients could not read it back."""
IntOrString = Int32 | str

OMIT_EMPTY = Field(exclude_if=operator.not_)
"""Leaves a field that is never None out of the wire while it is empty: `Annotated[str, OMIT_EMPTY] = ""`."""


def _canonical_base64(text: str) -> str:
    """Skips line breaks, as Go's decoder does."""
    try:
        return b64encode(b64decode(text.replace("\n", "").replace("\r", ""), validate=True)).decode()
    except ValueError as error:
        raise ValueError(f"illegal base64 data: {error}") from None


Base64 = Annotated[str, AfterValidator(_canonical_base64)]
"""Bytes on the wire: standard base64 with padding, kept without line breaks."""


class MergeKey:
    """Marks a list that strategic merge patch merges by this key: `Annotated[list[Container], MergeKey("name")]`.

    Primitive lists that merge as sets use `MergeKey("")`.
    """

    __slots__ = ("key",)

    def __init__(self, key: str) -> None:
        self.key = key


class ListMapKeys:
    """Names the fields that identify a list's items for server-side apply, where the merge key alone does not:
    `Annotated[list[ContainerPort], MergeKey("containerPort"), ListMapKeys("containerPort", "protocol")]`.

    Without fields, the list is a set. A list with neither mark is owned as one value.
    """

    __slots__ = ("keys",)

    def __init__(self, *keys: str) -> None:
        self.keys = keys


class Atomic:
    """Marks a map, or a list in spite of its MergeKey, that server-side apply owns as one value. For a model, set
    `map_type = "atomic"` instead."""

    __slots__ = ()


class Granular:
    """Marks a field whose members server-side apply owns one by one, although its model says "atomic"."""

    __slots__ = ()


class Required:
    """Says whether OpenAPI lists a field as required. By default it lists strings, numbers and flags that are always
    encoded."""

    __slots__ = ("value",)

    def __init__(self, value: bool = True) -> None:
        self.value = value


class OneOf:
    """Names the values that a string may have, for OpenAPI. Validation refuses others."""

    __slots__ = ("values",)

    def __init__(self, *values: str) -> None:
        self.values = values


class RetainKeys:
    """Marks a field whose members exclude each other: a patch says which keys stay (`$retainKeys`)."""

    __slots__ = ()


class Model(BaseModel):
    """An API type. Its validator is built at the first use, so a daemon pays only for the kinds that it handles."""

    model_config = ConfigDict(
        extra="ignore", strict=True, defer_build=True, validate_default=False, serialize_by_alias=True
    )  # an alias spells a field that Python has another use for: `from`

    map_type: ClassVar[str] = "granular"
    """ "atomic" if server-side apply owns an object of this type as one value."""

    protobuf: ClassVar[str] = ""
    """The fields in the order of their protobuf numbers, from 1 on: `class PodIP(Model, protobuf="ip")`.

    "-" stands for a number that is not used. "*" behind a name marks a field whose empty value is sent on purpose (a
    pointer in Go); in any other it means that the field is absent, also in JSON (see `apimachinery/absent/empty.py`).
    Names in parentheses are those of a nested message, whose fields stand in the object itself. Fields that are not
    named are not read from protobuf.
    """

    def __init_subclass__(cls, protobuf: str = "", **config: Any) -> None:
        super().__init_subclass__(**config)
        cls.protobuf = protobuf

    @classmethod
    def protobuf_words(cls) -> list[str]:
        """Splits `protobuf` into names (with their stars), "-", "(" and ")"."""
        return cls.protobuf.replace("(", "( ").replace(")", " )").split()

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        schema = handler(source)
        pointers = frozenset(word.removesuffix("*") for word in cls.protobuf_words() if word.endswith("*"))
        drop_empty(cast("dict[str, Any]", handler.resolve_ref_schema(schema)), pointers)
        return schema

    def __eq__(self, other: object) -> bool:
        return self.__class__ is other.__class__ and self.__dict__ == other.__dict__

    def present(self) -> list[str]:
        """The attributes that are not absent, in the order of the model; ten times as fast as pydantic's iteration."""
        return [name for name, value in self.__dict__.items() if value is not None]

    def clone(self) -> Self:
        """Returns a deep copy. Cached objects are shared and never changed in place, so change a clone."""
        return type(self).model_validate_json(self.__pydantic_serializer__.to_json(self, exclude_none=True))


def encode(obj: Model) -> bytes:
    """Returns compact JSON without absent fields."""
    return obj.__pydantic_serializer__.to_json(obj, exclude_none=True)


def to_dict(obj: Model) -> dict[str, Any]:
    """Returns the object as plain JSON types, without absent fields."""
    return obj.model_dump(mode="json", exclude_none=True)


def decode(cls: type[M], data: bytes | str) -> M:
    """Decodes JSON text.

    Raises: BadRequest naming the field, for malformed JSON or a value of the wrong type.
    """
    try:
        return cls.model_validate_json(data)
    except ValidationError as error:
        return _decode_with_nulls(cls, data, error)


def from_dict(cls: type[M], value: Any) -> M:
    """Like `decode`, from plain JSON types."""
    try:
        return cls.model_validate(value)
    except ValidationError as error:
        raise _bad_request(cls, error) from None


def _decode_with_nulls(cls: type[M], data: bytes | str, error: ValidationError) -> M:
    """Decodes with the meaning that Kubernetes gives to `null`; pydantic takes it in optional fields alone. Used only
    after a failure."""
    if not any(item["input"] is None for item in error.errors(include_url=False)):
        raise _bad_request(cls, error) from None
    try:
        document = orjson.loads(data)
        return cls.model_validate({} if document is None else NullFiller(cls.__pydantic_core_schema__).fill(document))
    except ValidationError as second:
        raise _bad_request(cls, second) from None
    except orjson.JSONDecodeError:
        raise _bad_request(cls, error) from None


def _bad_request(cls: type[Model], error: ValidationError) -> BadRequest:
    first = error.errors(include_url=False, include_context=False)[0]
    path = field_path(first["loc"])
    where = f' in field "{path}"' if path else ""
    why = (
        "it is not an RFC 3339 time"
        if first["type"] == "string_pattern_mismatch"
        else first["msg"].removeprefix("Value error, ")
    )
    return BadRequest(f"{cls.__name__} cannot be decoded: {why}{where}")


def field_path(loc: tuple[int | str, ...]) -> str:
    """("spec", "containers", 0, "name") -> "spec.containers[0].name"; pydantic's union tags are left out."""
    path = ""
    for part in loc:
        if isinstance(part, int):
            path += f"[{part}]"
        elif part in ("int", "str", "[key]") or part.startswith(("constrained-", "function-")):
            continue
        else:
            path += f".{part}" if path else part
    return path


__all__ = [
    "Annotated", "Field", "IntOrString", "MergeKey", "MicroTime", "Model", "PydanticUndefined", "RetainKeys", "Time",
    "decode", "encode", "field_path", "from_dict", "to_dict",
]  # fmt: skip
