"""How `explain` lays out the fields of a kind."""

from __future__ import annotations

import pytest

from kubectl.commands.basic.explain import KindSchemas, page, wrapped
from kubectl.invocation.command import UsageError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("one two three", "one two\nthree"),
        ("  led  by spaces", "  led  by\nspaces"),
        ("aa\n\n\tbb\n\n\n cc", "aa\n\n\tbb\n\n\n cc"),
        ("muchtoolongforaline and", "muchtoolongforaline\nand"),
        ("exactly8 x", "exactly8\nx"),
        ("seven77   ", "seven77"),
        ("", ""),
    ],
)
def test_descriptions_are_wrapped_at_words(text: str, expected: str) -> None:
    assert wrapped(text, 9 if "exactly8" not in text else 8) == expected


WIDGET = {
    "type": "object",
    "description": "A thing.",
    "required": ["size"],
    "properties": {
        "size": {"type": "string", "enum": ["S", "M", "L", "XL", "XXL"], "description": "How big."},
        "parts": {"type": "array", "items": {"allOf": [{"$ref": "#/components/schemas/x.v1.Widget"}]}},
        "made": {"$ref": "#/components/schemas/x.v1.Time"},
        "labels": {"type": "object", "additionalProperties": {"type": "string"}},
    },
}


SCHEMAS = KindSchemas({"components": {"schemas": {"x.v1.Widget": WIDGET, "x.v1.Time": {"type": "string"}}}})


WIDGET_TEXT = """\
DESCRIPTION:
    A thing.
    
FIELDS:
  labels\t<map[string]string>
    <no description>

  made\t<string>
    <no description>

  parts\t<[]Widget>
    <no description>

  size\t<string> -required-
  enum: S, M, L, XL, ....
    How big.


"""  # noqa: W293 - so does kubectl


PARTS_TEXT = """\
FIELD: parts <[]Widget>


DESCRIPTION:
    A thing.
    
FIELDS:
  labels\t<map[string]string>
  made\t<string>
  parts\t<[]Widget>
  size\t<string> -required-
  enum: S, M, L, XL, ....

"""  # noqa: W293


SIZE_TEXT = """\
FIELD: size <string>
ENUM:
    S
    M
    L
    XL
    XXL

DESCRIPTION:
    How big.
    

"""  # noqa: W293


def test_fields_are_explained() -> None:
    """As kubectl 1.33 lays it out, to the byte."""
    assert page(SCHEMAS, WIDGET, [], recursive=False) == WIDGET_TEXT
    assert page(SCHEMAS, WIDGET, ["parts"], recursive=True) == PARTS_TEXT
    assert page(SCHEMAS, WIDGET, ["size"], recursive=False) == SIZE_TEXT
    with pytest.raises(UsageError, match='field "nope" does not exist'):
        page(SCHEMAS, WIDGET, ["parts", "nope"], recursive=False)
