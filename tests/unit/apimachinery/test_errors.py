"""How the errors of an object become one Status."""

from __future__ import annotations

from apimachinery.errors import (
    MethodNotAllowed,
    UnclassifiedError,
    from_status,
    invalid,
    invalid_object,
    not_supported,
    quote,
)


def test_a_fault_that_is_found_twice_is_told_once() -> None:
    fault, other = invalid("spec.a", 1, "no"), invalid("spec.b", 2, "no")
    status = invalid_object("Thing", "", "x", [fault, fault, other]).to_status()
    assert status["message"] == 'Thing "x" is invalid: [spec.a: Invalid value: 1: no, spec.b: Invalid value: 2: no]'
    assert [cause["field"] for cause in status["details"]["causes"]] == ["spec.a", "spec.a", "spec.b"]
    alone = invalid_object("Thing", "", "x", [fault, fault]).to_status()
    assert alone["message"] == 'Thing "x" is invalid: spec.a: Invalid value: 1: no'


def test_an_error_without_a_reason_keeps_none() -> None:
    status = UnclassifiedError("why").to_status()
    assert "reason" not in status
    assert from_status(status).reason == ""
    assert from_status({"message": "not a Status"}, 500).reason == "InternalError"


def test_supported_values_keep_their_order() -> None:
    assert not_supported("a", "x", ("Zero", "One")).message.endswith('supported values: "Zero", "One"')


def test_details_without_content_are_an_empty_object() -> None:
    assert MethodNotAllowed("no", {}).to_status()["details"] == {}
    assert "details" not in MethodNotAllowed("no").to_status()


def test_bad_values_are_quoted_with_the_escapes_of_go() -> None:
    assert quote('a\x01\n\t\x7f\u200b\U000e0001"\\u0001 é') == r'"a\x01\n\t\x7f\u200b\U000e0001\"\\u0001 é"'
    assert quote('say "é" \\') == r'"say \"é\" \\"'
    assert quote(["x", 1, None]) == '["x",1,null]'
