"""Custom objects in the form of their schema, and as bytes between storage and clients."""

from __future__ import annotations

import orjson

from apimachinery.splice import split_owners, with_owners, with_revision, without_revision
from apiserver.apiextensions.kinds import read_kind
from apiserver.apiextensions.objects import CustomSchema
from tests.kits.definitions import GROUP, custom, definition, kind, version

OWNERS = b'[{"manager":"a","fieldsV1":{"f:spec":{}}}]'


def schema(*versions: dict[str, object]) -> CustomSchema:
    found = kind(*versions).stored.schema
    assert isinstance(found, CustomSchema)
    return found


def raw(**spec: object) -> bytes:
    body = custom("Widget", "a", spec)
    return with_owners(orjson.dumps({"kind": body.pop("kind"), **body}), OWNERS)


def test_what_is_stored_is_shown_with_todays_defaults_and_without_unknown_fields() -> None:
    shown = schema().read(raw(name="a", old=1))
    assert split_owners(shown) == (with_owners(split_owners(shown)[0], b""), OWNERS)
    assert orjson.loads(shown)["spec"] == {"name": "a", "size": 3}


def test_reading_what_is_in_form_changes_no_byte() -> None:
    shown = schema().read(raw(name="a", size=1))
    assert schema().read(shown) == shown


def test_a_stored_object_that_is_none_is_shown_as_it_is() -> None:
    assert schema().read(b"[1]") == b"[1]"


def test_conversion_changes_the_version_and_keeps_revision_and_owners_in_their_places() -> None:
    other = kind(version("v1"), version("v2", storage=False)).served[0]
    assert isinstance(other.schema, CustomSchema)
    value = with_revision(raw(name="a", size=1), 7)
    converted = other.schema.convert(value)
    assert orjson.loads(converted)["apiVersion"] == f"{GROUP}/v2"
    assert split_owners(converted)[1] == OWNERS
    assert b'"resourceVersion"' not in without_revision(converted)


def test_versions_come_in_the_order_of_preference_and_unserved_ones_not_at_all() -> None:
    versions = [version("v1beta1", storage=False), version("v1"), version("v2", storage=False)]
    versions.append(version("v3", storage=False) | {"served": False})
    assert [resource.version for resource in kind(*versions).served] == ["v2", "v1", "v1beta1"]


def test_a_definition_that_is_not_established_is_not_served() -> None:
    assert read_kind(orjson.dumps(definition("widgets"))) is None
