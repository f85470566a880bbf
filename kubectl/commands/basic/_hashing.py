"""The suffix that names ConfigMaps and Secrets by their content, so that a change is a new object."""

from __future__ import annotations

import hashlib
import json

from kubectl.api.client import Dict

LENGTH = 10
_LETTERS = str.maketrans("013ae", "ghkmt")  # what could spell words, or be taken for one another


def content_hash(obj: Dict, name: str = "") -> str:
    """Of a ConfigMap or Secret; kustomize leaves the name out of it, `kubectl create` does not.

    Raises: ValueError for another kind.
    """
    kind = obj.get("kind")
    whole: Dict = {"kind": kind, "name": name, "data": obj.get("data", "")}
    if kind == "ConfigMap":
        extra = "binaryData"
    elif kind == "Secret":
        whole["type"], extra = obj.get("type", ""), "stringData"
    else:
        raise ValueError(f"{kind} has no content to name it by")
    if obj.get(extra):
        whole[extra] = obj[extra]
    return hash_of(go_json(whole))


def hash_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:LENGTH].translate(_LETTERS)


def go_json(value: object) -> str:
    """Compact JSON as Go's encoder writes it: keys sorted, what HTML would take for markup escaped."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    for char in "&<>\u2028\u2029":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return text
