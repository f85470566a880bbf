"""Names ConfigMaps and Secrets by their content, so that a change is a new object."""

from __future__ import annotations

import hashlib
import json

from kubectl.api.client import Dict

LENGTH = 10
_LETTERS = str.maketrans("013ae", "ghkmt")  # replaces letters that could spell words, or be taken for one another


def content_hash(obj: Dict, name: str) -> str:
    """The suffix for a ConfigMap or Secret of this name."""
    whole: Dict = {"kind": obj["kind"], "name": name, "data": obj.get("data", "")}
    if obj["kind"] == "Secret":
        whole["type"] = obj.get("type", "")
    elif obj.get("binaryData"):
        whole["binaryData"] = obj["binaryData"]
    return hashlib.sha256(_go_json(whole).encode()).hexdigest()[:LENGTH].translate(_LETTERS)


def _go_json(value: object) -> str:
    """Compact JSON as Go's encoder writes it: keys sorted, what HTML would take for markup escaped."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    for char in "&<>\u2028\u2029":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return text
