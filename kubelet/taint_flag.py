"""The taints that a Node is registered with."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from apimachinery.model import to_dict
from componentbase.flags import parse_list
from kubeapi.core.pod.scheduling.affinity import Taint
from kubeapi.core.pod.scheduling.tolerations import parse_taint
from kubelet.configuration import BadConfiguration


class Taints:
    """Parses --register-with-taints, which is a list of objects in a KubeletConfiguration."""

    def __call__(self, text: str) -> tuple[Taint, ...]:
        """Reads "key=value:Effect,…"; the value may be missing. Raises: argparse.ArgumentTypeError."""
        try:
            return tuple(map(parse_taint, parse_list(text)))
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    def from_field(self, value: Any) -> str:
        try:
            return ",".join(f"{item['key']}={item.get('value') or ''}:{item['effect']}" for item in value)
        except (AttributeError, KeyError, TypeError):
            raise BadConfiguration(f"registerWithTaints: Invalid value: {value!r}") from None

    def to_field(self, value: Any) -> list[dict[str, Any]]:
        taints: Sequence[Taint] = value
        return [to_dict(taint) for taint in taints]
