import pytest

from apimachinery.errors import BadRequest
from apimachinery.meta import LabelSelector, LabelSelectorRequirement
from apimachinery.selectors import matcher, parse_field_selector, parse_label_selector, selector_from_map, selector_of


@pytest.mark.parametrize(
    ("text", "labels", "expected"),
    [
        ("", {}, True),
        ("a=b", {"a": "b"}, True),
        ("a==b", {"a": "c"}, False),
        ("a!=b", {}, True),
        ("a!=b", {"a": "b"}, False),
        ("a=", {"a": ""}, True),
        ("a", {"a": ""}, True),
        ("!a", {"a": ""}, False),
        ("a in (x, y),b", {"a": "y", "b": "1"}, True),
        ("a in (x,y)", {}, False),
        ("a in (,x)", {"a": ""}, True),
        ("a in ()", {"a": ""}, True),
        ("in in (in)", {"in": "in"}, True),
        (" a = b , ! c ", {"a": "b"}, True),
        ("a notin (x,y)", {}, True),
        ("a notin (x,y)", {"a": "x"}, False),
        ("a>5", {"a": "6"}, True),
        ("a<5", {"a": "6"}, False),
        ("a<5", {"a": "six"}, False),
        ("example.com/a in (x)", {"example.com/a": "x"}, True),
    ],
)
def test_label_selectors_match(text, labels, expected):
    selector = parse_label_selector(text)
    assert selector.matches(labels) is expected
    assert matcher(selector)(labels) is expected
    assert parse_label_selector(str(selector)).matches(labels) is expected


BAD = "unable to parse requirement: "


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a=b=c", "found '=', expected: ',' or 'end of string'"),
        ("a=b c", "found 'c', expected: ',' or 'end of string'"),
        (",a", "found ',', expected: !, identifier, or 'end of string'"),
        ("=b", "found '=', expected: !, identifier, or 'end of string'"),
        ("a,", "found '', expected: identifier after ','"),
        ("a,,b", "found ',', expected: identifier after ','"),
        ("!", f"{BAD}found '', expected: identifier"),
        ("a b", f"{BAD}found 'b', expected: in, notin, =, ==, !=, gt, lt"),
        ("a in x", f"{BAD}found 'x' expected: '('"),
        ("a in (x", f"{BAD}found '', expected: ',' or ')'"),
        ("a in (x y)", f"{BAD}found 'y', expected: ',' or ')'"),
        ("a in (=)", f"{BAD}found '=', expected: ',' or ')'"),
        ("a=(", f"{BAD}found '(', expected: identifier"),
        ("a>x", f"{BAD}values[0]: Invalid value: \"x\": for 'Gt', 'Lt' operators, the value must be an integer"),
        ("-a=b", f'{BAD}<nil>: Invalid value: "-a": name part must consist of'),
        ("a/b/c=d", f'{BAD}<nil>: Invalid value: "a/b/c": a valid label key must consist of'),
        ("a in (b,-)", f'{BAD}values[0][a]: Invalid value: "-": a valid label must be an empty string or consist of'),
        ("a=" + "b" * 64, f'{BAD}values[0][a]: Invalid value: "{"b" * 64}": must be no more than 63 bytes'),
        ("a in (" + "b," * 2000, f"{BAD}found '', expected: ',' or ')'"),
    ],
)
def test_bad_label_selectors_are_bad_requests(text, message):
    with pytest.raises(BadRequest) as caught:
        parse_label_selector(text)
    assert caught.value.message.startswith(message)


def test_an_absent_object_selector_matches_nothing_and_an_empty_one_everything():
    assert not selector_of(None).matches({"a": "b"})
    assert selector_of(LabelSelector()).matches({})
    assert not selector_from_map({}).matches({})
    assert selector_from_map({"a": "b"}).matches({"a": "b", "c": "d"})


def test_object_selectors_use_every_operator():
    def selector(operator, values=None):
        requirement = LabelSelectorRequirement(key="a", operator=operator, values=values)
        return selector_of(LabelSelector(matchLabels={"x": "1"}, matchExpressions=[requirement]))

    assert selector("In", ["b"]).matches({"x": "1", "a": "b"})
    assert not selector("In", ["b"]).matches({"a": "b"})
    assert selector("NotIn", ["b"]).matches({"x": "1"})
    assert selector("Exists").matches({"x": "1", "a": ""})
    assert selector("DoesNotExist").matches({"x": "1"})
    with pytest.raises(BadRequest):
        selector("Near")


def test_field_selectors():
    selector = parse_field_selector("spec.nodeName=a,status.phase!=Failed")
    assert selector.matches({"spec.nodeName": "a", "status.phase": "Running"})
    assert not selector.matches({"spec.nodeName": "a", "status.phase": "Failed"})
    assert not selector.matches({})
    assert selector.exact("spec.nodeName") == "a"
    assert selector.exact("status.phase") is None
    assert parse_field_selector(r"a=x\,y\=z").requirements == (("a", "=", "x,y=z"),)
    assert parse_field_selector(",a!=,=b,").requirements == (("a", "!=", ""), ("", "=", "b"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name", "invalid selector: 'name'; can't understand 'name'"),
        ("a=b,name", "invalid selector: 'a=b,name'; can't understand 'name'"),
        ("a=b=c", "invalid field selector: unescaped character in value: 61"),
        (r"a=\b", r"invalid field selector: invalid escape sequence: \b"),
        ("a=b\\", "invalid field selector: invalid escape sequence: \\"),
    ],
)
def test_bad_field_selectors_are_bad_requests(text, message):
    with pytest.raises(BadRequest) as caught:
        parse_field_selector(text)
    assert caught.value.message == message
