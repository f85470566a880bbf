"""Conversion of custom resources between the versions of their kind, by changing `apiVersion` or by a webhook.

Source: Kubernetes documentation, "Versions in CustomResourceDefinitions".
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, cast

from apimachinery.resource import Resource
from apiserver.apiextensions.kinds import CustomKind
from apiserver.apiextensions.objects import CustomSchema
from apiserver.storage.view import KEPT_CONVERSIONS, Conversion


def conversion_of(kind: CustomKind, resource: Resource[Any]) -> Conversion | None:
    """The conversion between what is stored and a version that is served; None where both are the same.

    With a webhook, objects of the version that is stored today may still be stored in an earlier one.
    """
    if schema_of(resource).by_webhook:
        return WebhookConversion(kind.stored, resource)
    return None if resource is kind.stored else ApiVersionConversion(kind.stored, resource)


def schema_of(resource: Resource[Any]) -> CustomSchema:
    return cast(CustomSchema, resource.schema)


class ApiVersionConversion:
    """The strategy None."""

    def __init__(self, stored: Resource[Any], shown: Resource[Any]) -> None:
        self._stored = schema_of(stored)
        self.at_once = lru_cache(maxsize=KEPT_CONVERSIONS)(schema_of(shown).convert)

    async def to_view(self, values: Sequence[bytes]) -> list[bytes]:
        return list(map(self.at_once, values))

    async def to_stored(self, value: bytes) -> bytes:
        return self._stored.convert(value)


class WebhookConversion:
    """The strategy Webhook. What it answered about an object counts for as long as the object stays as it is."""

    def __init__(self, stored: Resource[Any], shown: Resource[Any]) -> None:
        self._stored, self._shown = schema_of(stored), schema_of(shown)
        self._head = b'{"kind":"%b","apiVersion":"%b",' % (shown.kind.encode(), shown.api_version.encode())
        self._known: OrderedDict[bytes, bytes] = OrderedDict()

    def at_once(self, value: bytes) -> bytes | None:
        if value.startswith(self._head):
            return value
        known = self._known.get(value)
        if known is not None:
            self._known.move_to_end(value)
        return known

    async def to_view(self, values: Sequence[bytes]) -> list[bytes]:
        shown = [self.at_once(value) for value in values]
        unknown = [value for value, known in zip(values, shown, strict=True) if known is None]
        if unknown:
            converted = iter(await self._shown.convert_by_webhook(unknown))
            for index, known in enumerate(shown):
                if known is None:
                    shown[index] = self._keep(values[index], next(converted))
        return cast("list[bytes]", shown)

    def _keep(self, value: bytes, converted: bytes) -> bytes:
        self._known[value] = converted
        if len(self._known) > KEPT_CONVERSIONS:
            self._known.popitem(last=False)
        return converted

    async def to_stored(self, value: bytes) -> bytes:
        (converted,) = await self._stored.convert_by_webhook([value])
        return converted
