"""How YAML is written."""

from __future__ import annotations

from apimachinery.text.yaml import to_yaml


def test_yaml_is_written_as_kubectl_writes_it() -> None:
    value = {"a": "=", "b": "<<", "c": "12:30", "d": "1e3", "e": "y", "f": "x\n\n", "g": "word " * 20 + "end"}
    text = to_yaml(value)
    assert text == f'a: =\nb: <<\nc: "12:30"\nd: "1e3"\ne: "y"\nf: |+\n  x\n\ng: {value["g"]}\n'
    assert to_yaml({"g": value["g"]}, 80).count("\n") == 2
