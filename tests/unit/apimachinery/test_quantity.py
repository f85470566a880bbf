from fractions import Fraction

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from apimachinery.errors import BadRequest
from apimachinery.model import Model, decode
from apimachinery.quantity import (
    Quantity,
    QuantityError,
    ResourceList,
    byte_count,
    canonical,
    cpu_millis,
    format_quantity,
    parse_quantity,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1000m", "1"),
        ("0.5", "500m"),
        (".5", "500m"),
        ("0.5Gi", "512Mi"),
        ("1.5Gi", "1536Mi"),
        ("1024Ki", "1Mi"),
        ("0.1Ki", "102400m"),
        ("1e3", "1e3"),
        ("12e6", "12e6"),
        ("100000", "100k"),
        ("1500", "1500"),
        ("1024", "1024"),
        ("0", "0"),
        ("0Mi", "0"),
        ("-5", "-5"),
        ("1E", "1E"),
        ("1n", "1n"),
    ],
)
def test_canonical_form_keeps_the_family_and_drops_fractions(text, expected):
    assert canonical(text) == expected


@pytest.mark.parametrize(
    "text", ["", "x", "1 Gi", "1gi", "1KI", "--1", "1.2.3", "1e99", "Mi", "1Kim", "\uff11", "1" * 5000]
)
def test_what_is_no_quantity_is_refused(text):
    with pytest.raises(QuantityError):
        parse_quantity(text)


def test_cpu_and_bytes_round_up():
    assert cpu_millis("250m") == 250
    assert cpu_millis("100u") == 1
    assert cpu_millis("2") == 2000
    assert byte_count("1500m") == 2
    assert byte_count("64Mi") == 64 * 2**20


@given(
    st.integers(min_value=-(10**12), max_value=10**12), st.sampled_from(["DecimalSI", "BinarySI", "DecimalExponent"])
)
def test_formatting_loses_nothing(nanos, family):
    value = Fraction(nanos, 10**9)
    assert parse_quantity(format_quantity(value, family)) == value


class Box(Model):
    size: Quantity | None = None
    limits: ResourceList | None = None


def test_the_wire_takes_numbers_and_keeps_canonical_text():
    assert decode(Box, '{"size": 2}').size == "2"
    assert decode(Box, '{"size": 0.5}').size == "500m"
    assert decode(Box, '{"size": "2048Ki"}').size == "2Mi"
    assert decode(Box, '{"size": "0.1m"}').size == "100u"
    for bad in ('{"size": "lots"}', '{"size": true}', '{"size": []}'):
        with pytest.raises(BadRequest, match="size"):
            decode(Box, bad)


def test_resources_are_rounded_up_to_thousandths():
    given = {"cpu": "0.1m", "memory": "0.0001Ki", "disk": "1Gi"}
    assert decode(Box, orjson.dumps({"limits": given})).limits == {"cpu": "1m", "memory": "103m", "disk": "1Gi"}
