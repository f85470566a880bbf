"""Query parameters, media types and request options."""

from __future__ import annotations

import pytest

from apimachinery.errors import BadRequest, Invalid, NotAcceptable, StatusError, UnsupportedMediaType
from apiserver.http.negotiation import (
    PLAIN,
    Representation,
    body_format,
    check_stream,
    discovery_version,
    for_reader,
    negotiate,
)
from apiserver.request import query
from apiserver.request.message import parse_query


def test_a_query_string_is_split_and_decoded() -> None:
    raw = b"a=1&b=x%2Cy+z&a=2&c&&d==&%C3%A9=%C3%A8"
    assert parse_query(raw) == {"a": ["1", "2"], "b": ["x,y z"], "c": [""], "d": ["="], "é": ["è"]}
    assert parse_query(b"") == {}
    with pytest.raises(BadRequest):
        parse_query(b"a=%FF")


@pytest.mark.parametrize(("text", "value"), [("0", 0), ("-3", -3), ("+7", 7), ("9223372036854775807", 2**63 - 1)])
def test_integers_of_a_query_are_read_as_upstream_does(text: str, value: int) -> None:
    assert query.parse_int({"n": [text]}, "n") == value
    assert query.parse_int({}, "n") is None


@pytest.mark.parametrize("text", ["", "x", "1.5", "-", "+", " 1", "1e3", "٣", "9223372036854775808", "1" * 5000])
def test_what_is_no_integer_of_64_bits_is_refused(text: str) -> None:
    with pytest.raises(BadRequest, match=r"strconv\.ParseInt"):
        query.parse_int({"n": [text]}, "n")


@pytest.mark.parametrize("text", ["x", "-1", "1.0", "²", "9" * 20])
def test_bad_revisions(text: str) -> None:
    with pytest.raises(BadRequest, match="resourceVersion"):
        query.parse_revision(text)


def test_flags_are_read_as_go_reads_them() -> None:
    values = {"1": True, "true": True, "": True, "yes": True, "0": False, "false": False, "False": False}
    assert {text: query.parse_bool({"f": [text]}, "f") for text in values} == values
    assert query.parse_bool({}, "f") is False


def test_the_options_of_a_list() -> None:
    options = query.parse_list_options(
        {
            "labelSelector": ["a=b"], "fieldSelector": ["metadata.name=x"], "resourceVersion": ["5"],
            "resourceVersionMatch": ["NotOlderThan"], "limit": ["7"], "timeoutSeconds": ["9"],
        }
    )  # fmt: skip
    assert (str(options.labels), str(options.fields)) == ("a=b", "metadata.name=x")
    assert (options.revision, options.match, options.limit, options.timeout_seconds) == (5, "NotOlderThan", 7, 9)
    assert query.parse_list_options({}) is query.NO_LIST_OPTIONS
    assert query.parse_list_options({"labelSelector": [""], "limit": ["-1"]}) == query.NO_LIST_OPTIONS


@pytest.mark.parametrize(
    "given",
    [
        {"resourceVersionMatch": "Exact"},
        {"resourceVersionMatch": "Sometimes", "resourceVersion": "1"},
        {"resourceVersionMatch": "Exact", "resourceVersion": "0"},
        {"resourceVersionMatch": "NotOlderThan", "resourceVersion": "1", "continue": "x"},
        {"resourceVersionMatch": "NotOlderThan", "resourceVersion": "1", "watch": "1"},
        {"resourceVersionMatch": "NotOlderThan", "sendInitialEvents": "true", "watch": "1", "continue": "x"},
        {"sendInitialEvents": "true"},
        {"sendInitialEvents": "true", "watch": "1"},
        {"sendInitialEvents": "false", "watch": "1", "resourceVersionMatch": "Exact"},
    ],
)
def test_what_does_not_go_together_is_invalid(given: dict[str, str]) -> None:
    with pytest.raises(Invalid):
        query.parse_list_options({key: [value] for key, value in given.items()})


def test_delete_options_come_from_the_body_or_else_the_query() -> None:
    options = query.parse_delete_options({"gracePeriodSeconds": ["5"], "propagationPolicy": ["Orphan"]}, b"")
    assert (options.gracePeriodSeconds, options.propagationPolicy) == (5, "Orphan")
    options = query.parse_delete_options({"gracePeriodSeconds": ["5"]}, b'{"gracePeriodSeconds": 1}')
    assert options.gracePeriodSeconds == 1
    assert query.parse_delete_options({"orphanDependents": ["false"]}, b"").orphanDependents is False
    assert query.parse_delete_options({"dryRun": ["All"]}, b"{}").dryRun == ["All"]


ACCEPTS = [
    (b"", PLAIN),
    (b"*/*", PLAIN),
    (b"application/json", PLAIN),
    (b"application/json; charset=utf-8", PLAIN),
    (b"application/vnd.kubernetes.protobuf, */*", PLAIN),
    (b"application/vnd.kubernetes.protobuf,application/json", PLAIN),
    (b"application/json;as=Table;v=v1;g=meta.k8s.io,application/json", Representation("Table", "v1")),
    (b"application/json;as=Table;g=meta.k8s.io;v=v1beta1, application/json", Representation("Table", "v1beta1")),
    (b"application/json;as=Table;g=meta.k8s.io;v=v7, application/json", PLAIN),
    (b"application/json;as=Other;g=meta.k8s.io;v=v1, */*", PLAIN),
    (b"application/json;as=Table;g=meta.k8s.io;v=v1;q=0.1, application/json;q=0.9", PLAIN),
    (b"application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1", Representation("PartialObjectMetadata", "v1")),
    (
        b"application/vnd.kubernetes.protobuf;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,"
        b"application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1beta1,application/json",
        Representation("PartialObjectMetadata", "v1beta1"),
    ),
    (b"application/json;stream=watch", PLAIN),
    (b"application/json;stream=other, */*;q=0.1", PLAIN),
    (b"application/json;pretty=1", Representation(pretty=True)),
    (b"application/yaml", Representation(format="yaml")),
    (b"application/json;q=0.5,application/yaml", Representation(format="yaml")),
    (b"application/yaml;as=Table;g=meta.k8s.io;v=v1", Representation("Table", format="yaml")),
    (b"application/json" + b",x/y" * 1000, PLAIN),
]


@pytest.mark.parametrize(("accept", "expected"), ACCEPTS)
def test_the_best_representation_is_chosen(accept: bytes, expected: Representation) -> None:
    assert negotiate(accept) == expected


@pytest.mark.parametrize(
    "accept", [b"text/html", b"application/vnd.kubernetes.protobuf", b"application/json;q=0", b"application/json;q=x"]
)
def test_what_can_not_be_given_is_not_acceptable(accept: bytes) -> None:
    with pytest.raises(NotAcceptable):
        negotiate(accept)


@pytest.mark.parametrize(
    ("accept", "agent", "asked", "pretty"),
    [
        (b"", b"", "", False), (b"", b"curl/8", "", True), (b"", b"curl/8", "false", False), (b"", b"", "true", True),
        (b"", b"", "x", True), (b"application/json;pretty=1", b"", "", True),
        (b"application/yaml", b"curl", "1", False),
    ],
)  # fmt: skip
def test_readers_get_indented_json(accept: bytes, agent: bytes, asked: str, pretty: bool) -> None:
    assert for_reader(negotiate(accept), agent, asked).pretty is pretty


def test_a_watch_has_no_yaml() -> None:
    with pytest.raises(NotAcceptable, match="application/json;stream=watch"):
        check_stream(Representation(format="yaml"))


def test_aggregated_discovery_is_for_who_asks_for_its_version() -> None:
    new = b"application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
    old = new.replace(b"v2;", b"v2beta1;")
    assert discovery_version(new + b"," + old + b",application/json") == "v2"
    assert discovery_version(old + b",application/json") == "v2beta1"
    assert discovery_version(b"") == ""


def test_the_format_of_a_body() -> None:
    assert body_format(b"") == "json"
    assert body_format(b"application/json; charset=utf-8") == "json"
    assert body_format(b"application/yaml") == "yaml"
    assert body_format(b"application/vnd.kubernetes.protobuf") == "protobuf"
    for kind in (b"application/cbor", b"text/yaml", b"application/merge-patch+json"):
        with pytest.raises(UnsupportedMediaType):
            body_format(kind)


def test_write_options() -> None:
    options = query.parse_write_options({"dryRun": ["All"], "fieldValidation": ["Strict"]}, "CreateOptions")
    assert (options.dry_run, options.field_validation) == (True, "Strict")
    with pytest.raises(StatusError) as caught:
        query.parse_write_options({"dryRun": ["Some"], "fieldValidation": ["x"]}, "CreateOptions")
    assert {cause.field for cause in caught.value.causes} == {"dryRun", "fieldValidation"}


def test_an_empty_dry_run_is_refused_rather_than_written():
    with pytest.raises(Invalid, match="dryRun"):
        query.parse_write_options({"dryRun": [""]}, "CreateOptions")
    with pytest.raises(Invalid, match="dryRun"):
        query.parse_delete_options({"dryRun": [""]}, b"")
