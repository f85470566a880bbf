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


@pytest.mark.parametrize(
    "text", ["a=b=c", "a in x", "a in (x", ",a", "a b", "=b", "a/b/c=d", "a=b c", "a>x", "-a=b", "(a)"]
)
def test_bad_label_selectors_are_bad_requests(text):
    with pytest.raises(BadRequest, match="unable to parse requirement"):
        parse_label_selector(text)


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
    with pytest.raises(BadRequest):
        parse_field_selector("justaname")
