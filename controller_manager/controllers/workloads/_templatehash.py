"""Hashes the templates of pods, for names and labels."""

from __future__ import annotations

import orjson

from apimachinery.names import suffix_of
from kubeapi.core.pod.template import PodTemplateSpec


def template_hash(template: PodTemplateSpec, collisions: int | None) -> str:
    """Returns up to ten characters that tell templates apart; `collisions` gives another try when two met.

    It makes names alone: equal hashes do not mean equal templates.
    """
    text = orjson.dumps(template.model_dump(mode="json", exclude_none=True), option=orjson.OPT_SORT_KEYS)
    number = _fnv1a(text + (str(collisions).encode() if collisions is not None else b""))
    return suffix_of(str(number).encode())


def _fnv1a(data: bytes) -> int:
    value = 0x811C9DC5
    for byte in data:
        value = ((value ^ byte) * 0x01000193) & 0xFFFFFFFF
    return value
