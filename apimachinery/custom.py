"""Objects of kinds that are defined at run time: metadata as every object has it, and whatever their schema allows."""

from __future__ import annotations

from typing import Any, Self

import orjson
from pydantic import ConfigDict, PrivateAttr

from apimachinery.meta import Object, ObjectMeta

OWN_MEMBERS = frozenset({"kind", "apiVersion", "metadata"})


class CustomObject(Object):
    """One model for all such kinds. `content` is plain JSON types, which a strategy may change in place."""

    model_config = ConfigDict(extra="allow")

    _dropped: list[str] = PrivateAttr(default_factory=list)

    @property
    def dropped(self) -> list[str]:
        """The paths that the object's schema did not know when it was decoded."""
        return self._dropped

    @property
    def content(self) -> dict[str, Any]:
        """All members but `kind`, `apiVersion` and `metadata`."""
        if self.__pydantic_extra__ is None:
            self.__pydantic_extra__ = {}
        return self.__pydantic_extra__

    @content.setter
    def content(self, members: dict[str, Any]) -> None:
        self.__pydantic_extra__ = members

    def members(self) -> dict[str, Any]:
        return self.__dict__ | self.content

    def __eq__(self, other: object) -> bool:
        return super().__eq__(other) and self.content == other.content  # type: ignore[attr-defined]

    @classmethod
    def model_validate_json(cls, json_data: str | bytes | bytearray, **options: Any) -> Self:
        """Reads the object three times as fast as pydantic reads what it has no types for."""
        try:
            document = orjson.loads(json_data)
        except orjson.JSONDecodeError:
            return super().model_validate_json(json_data, **options)  # for its error
        return cls.model_validate(document)

    @classmethod
    def model_validate(cls, obj: Any, **options: Any) -> Self:
        """Takes the document's own content, without a copy."""
        own = obj if isinstance(obj, dict) else {}
        if not isinstance(own.get("kind"), str | None) or not isinstance(own.get("apiVersion"), str | None) or not own:
            return super().model_validate(obj, **options)
        sent = own.get("metadata") or {}
        meta = ObjectMeta.model_validate(sent)
        result = cls.model_construct(None, kind=own.get("kind"), apiVersion=own.get("apiVersion"), metadata=meta)
        result.content = {name: value for name, value in own.items() if name not in OWN_MEMBERS}
        result._dropped = [f"metadata.{name}" for name in sent if name not in ObjectMeta.model_fields]
        return result
