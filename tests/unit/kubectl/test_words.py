"""How mini-kubectl reads ports, taints, places and descriptions."""

from __future__ import annotations

import re

import pytest

from kubectl.commands.basic.explain import Schemas, page, wrapped
from kubectl.commands.basic.run import IMAGE
from kubectl.commands.cluster.taint import TaintSpec, changed, parse
from kubectl.commands.troubleshooting.cp import CopyPlace, parse_place
from kubectl.commands.troubleshooting.port_forward import named_port, parse_addresses, parse_port, service_port
from kubectl.invocation.command import UsageError
from kubectl.remote.listening import PortPair

POD = {
    "metadata": {"name": "web"},
    "spec": {"containers": [{"name": "app", "ports": [{"name": "http", "containerPort": 8080}]}]},
}
SERVICE = {
    "metadata": {"name": "svc"},
    "spec": {"ports": [{"name": "web", "port": 80, "targetPort": "http"}, {"port": 81}, {"port": 82, "targetPort": 9}]},
}


@pytest.mark.parametrize(
    ("word", "expected"), [("80", (80, 80)), ("8080:80", (8080, 80)), (":80", (0, 80)), ("0:80", (0, 80))]
)
def test_ports(word: str, expected: tuple[int, int]) -> None:
    assert parse_port(word) == PortPair(*expected)


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("80:81:82", "invalid port format '80:81:82'"),
        ("x", "error parsing local port 'x': strconv.ParseUint: parsing \"x\": invalid syntax"),
        ("1:99999", "error parsing remote port '99999': strconv.ParseUint: parsing \"99999\": value out of range"),
        ("8080:0", "remote port must be > 0"),
    ],
)
def test_what_is_no_port(word: str, message: str) -> None:
    with pytest.raises(UsageError, match=f"^{re.escape(message)}$"):
        parse_port(word)


@pytest.mark.parametrize(("word", "expected"), [("http", "8080:8080"), ("1:http", "1:8080"), (":http", ":8080")])
def test_named_ports_of_a_pod(word: str, expected: str) -> None:
    assert named_port(POD, word) == expected


@pytest.mark.parametrize(
    ("word", "expected"),
    [("80", "80:8080"), ("1:web", "1:8080"), ("web", "80:8080"), ("81", "81:81"), (":82", ":9")],
)
def test_ports_of_a_service_are_those_of_its_pods(word: str, expected: str) -> None:
    assert service_port(SERVICE, POD, word) == expected


def test_addresses() -> None:
    assert parse_addresses([]) == [("127.0.0.1", True), ("::1", True)]
    assert parse_addresses(["0.0.0.0,::"]) == [("0.0.0.0", False), ("::", False)]
    with pytest.raises(UsageError, match=r"example\.com is not a valid IP"):
        parse_addresses(["example.com"])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a/b", ("", "", "a/b")),
        ("web:/tmp/x", ("", "web", "/tmp/x")),
        ("shop/web:x:y", ("shop", "web", "x:y")),
    ],
)
def test_places_of_files(text: str, expected: tuple[str, str, str]) -> None:
    assert parse_place(text) == CopyPlace(*expected)


@pytest.mark.parametrize("text", [":x", "a/b/c:x", "./a:x", "/web:x"])
def test_what_is_no_place(text: str) -> None:
    with pytest.raises(UsageError, match="canonical format"):
        parse_place(text)


def test_taints() -> None:
    targets, adding, removing = parse(["node", "n1", "a=b:NoSchedule", "c:NoExecute", "d-", "e:NoExecute-"])
    assert targets == ["node", "n1"]
    assert adding == [TaintSpec("a", "b", "NoSchedule"), TaintSpec("c", "", "NoExecute")]
    assert removing == [TaintSpec("d", "", ""), TaintSpec("e", "", "NoExecute")]
    have = [
        {"key": "a", "value": "old", "effect": "NoSchedule"}, {"key": "d", "effect": "NoSchedule"},
        {"key": "d", "effect": "NoExecute"}, {"key": "e", "effect": "NoSchedule"},
    ]  # fmt: skip
    assert changed(have, adding, removing) == [
        {"key": "a", "value": "b", "effect": "NoSchedule"}, {"key": "c", "effect": "NoExecute"},
        {"key": "e", "effect": "NoSchedule"},
    ]  # fmt: skip


@pytest.mark.parametrize(
    "image", ["nginx", "a/b:1", "localhost:5000/a_b/c-d:V1.x", "x@sha256:" + "a" * 64, "[::1]:5/x"]
)
def test_names_of_images(image: str) -> None:
    assert IMAGE.fullmatch(image)


@pytest.mark.parametrize("image", ["Nginx", "a b", "a:", "a@sha256:1", "-a", "a//b", ":1"])
def test_what_names_no_image(image: str) -> None:
    assert not IMAGE.fullmatch(image)


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
SCHEMAS = Schemas({"components": {"schemas": {"x.v1.Widget": WIDGET, "x.v1.Time": {"type": "string"}}}})
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
