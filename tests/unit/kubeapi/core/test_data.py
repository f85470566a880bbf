from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest

from apimachinery.errors import BadRequest
from apimachinery.model import from_dict, to_dict
from apimachinery.resource import Resource
from kubeapi.core.configmap import RESOURCE as CONFIGMAPS
from kubeapi.core.secret.model import Secret
from kubeapi.core.secret.resource import RESOURCE as SECRETS
from kubeapi.core.serviceaccount import RESOURCE as ACCOUNTS
from tests.kits.identity.certificates import write_certificates
from tests.kits.kinds import headers, load, merged, problems, row, update_problems

KEY_RULE = (
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  "
    "or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
)
FROZEN = "Forbidden: field is immutable when `immutable` is set"


def base64(text: str) -> str:
    return b64encode(text.encode()).decode()


def document(**fields: Any) -> dict[str, Any]:
    return {"metadata": {"name": "x", "namespace": "default"}, **fields}


BOTH = [pytest.param(CONFIGMAPS, id="ConfigMap"), pytest.param(SECRETS, id="Secret")]


@pytest.mark.parametrize("resource", BOTH)
@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("a.b_c-D", []),
        (".hidden", []),
        ("a/b", [f'data[a/b]: Invalid value: "a/b": {KEY_RULE}']),
        ("", [f'data[]: Invalid value: "": {KEY_RULE}']),
        (".", ["data[.]: Invalid value: \".\": must not be '.'"]),
        ("..", ["data[..]: Invalid value: \"..\": must not be '..'"]),
        ("..a", ["data[..a]: Invalid value: \"..a\": must not start with '..'"]),
        ("a" * 254, [f'data[{"a" * 254}]: Invalid value: "{"a" * 254}": must be no more than 253 characters']),
    ],
)
def test_each_fault_of_a_key_is_named(resource: Resource[Any], key: str, expected: list[str]) -> None:
    assert problems(resource, document(data={key: ""})) == expected


def test_binary_data_shares_its_keys_with_data() -> None:
    found = problems(CONFIGMAPS, document(data={"a": "x"}, binaryData={"a": base64("y")}))
    assert found == ['data[a]: Invalid value: "a": duplicate of key present in binaryData']


MEGABYTE = 1024 * 1024


@pytest.mark.parametrize(
    ("resource", "fields", "expected"),
    [
        (CONFIGMAPS, {"data": {"a": "x" * MEGABYTE}}, []),
        (CONFIGMAPS, {"data": {"a": "x" * MEGABYTE, "b": "y"}}, ["[]"]),
        (CONFIGMAPS, {"data": {"a": "é" * (MEGABYTE // 2)}, "binaryData": {"b": base64("y")}}, ["[]"]),
        (CONFIGMAPS, {"binaryData": {"a": base64("x" * MEGABYTE)}}, []),
        (SECRETS, {"data": {"a": base64("x" * MEGABYTE)}}, []),
        (SECRETS, {"data": {"a": base64("x" * (MEGABYTE + 1))}}, ["data"]),
        (SECRETS, {"stringData": {"a": "x" * (MEGABYTE + 1)}}, ["data"]),
    ],
)
def test_a_megabyte_is_the_limit(resource: Resource[Any], fields: dict[str, Any], expected: list[str]) -> None:
    text = "Too long: may not be more than 1048576 bytes"
    assert problems(resource, document(**fields)) == [f"{path}: {text}" for path in expected]


@pytest.mark.parametrize("resource", BOTH)
def test_immutable_data_stays(resource: Resource[Any]) -> None:
    old = document(immutable=True, data={"a": base64("x")})
    assert update_problems(resource, old, old) == []
    assert update_problems(resource, old, merged(old, {"metadata": {"labels": {"a": "b"}}})) == []
    assert update_problems(resource, old, merged(old, {"data": {"a": base64("y")}})) == [f"data: {FROZEN}"]
    assert update_problems(resource, old, merged(old, {"immutable": False})) == [f"immutable: {FROZEN}"]
    assert update_problems(resource, old, merged(old, {"immutable": None})) == [f"immutable: {FROZEN}"]
    mutable = document(data={"a": base64("x")})
    assert update_problems(resource, mutable, old) == []


def test_immutable_binary_data_stays() -> None:
    old = document(immutable=True)
    assert update_problems(CONFIGMAPS, old, merged(old, {"binaryData": {"a": ""}})) == [f"binaryData: {FROZEN}"]


@pytest.mark.parametrize("bad", ["x", "a b=", "====", "YQ"])
def test_secrets_are_base64(bad: str) -> None:
    with pytest.raises(BadRequest) as caught:
        from_dict(Secret, document(data={"key": bad}))
    assert "illegal base64 data" in caught.value.message
    assert "data.key" in caught.value.message


def test_string_data_is_for_writing_alone() -> None:
    found = load(SECRETS, document(data={"a": base64("old"), "b": base64("b")}, stringData={"a": "new", "c": "é"}))
    assert to_dict(found)["data"] == {"a": base64("new"), "b": base64("b"), "c": base64("é")}
    assert found.stringData is None


def test_a_secret_is_opaque_unless_it_says_otherwise() -> None:
    assert load(SECRETS, document()).type == "Opaque"
    assert load(SECRETS, document(type="")).type == "Opaque"


REDACTED = 'Invalid value: "<secret contents redacted>": must be valid JSON'
TYPES: list[tuple[str, dict[str, str], list[str]]] = [
    ("kubernetes.io/tls", {}, ["data[tls.crt]: Required value", "data[tls.key]: Required value"]),
    ("kubernetes.io/tls", {"tls.crt": "", "tls.key": ""}, []),
    ("kubernetes.io/dockerconfigjson", {}, ["data[.dockerconfigjson]: Required value"]),
    ("kubernetes.io/dockerconfigjson", {".dockerconfigjson": "{"}, [f"data[.dockerconfigjson]: {REDACTED}"]),
    ("kubernetes.io/dockerconfigjson", {".dockerconfigjson": "{}"}, []),
    ("kubernetes.io/dockercfg", {".dockercfg": "x"}, [f"data[.dockercfg]: {REDACTED}"]),
    ("kubernetes.io/basic-auth", {}, ["data[username]: Required value", "data[password]: Required value"]),
    ("kubernetes.io/basic-auth", {"password": "x"}, []),
    ("kubernetes.io/ssh-auth", {"ssh-privatekey": ""}, ["data[ssh-privatekey]: Required value"]),
    (
        "kubernetes.io/service-account-token",
        {},
        ["metadata.annotations[kubernetes.io/service-account.name]: Required value"],
    ),
    ("example.com/own", {}, []),
]


@pytest.mark.parametrize(("kind", "data", "expected"), TYPES)
def test_types_of_secrets(kind: str, data: dict[str, str], expected: list[str]) -> None:
    assert problems(SECRETS, document(type=kind, stringData=data)) == expected


def test_the_type_of_a_secret_is_immutable() -> None:
    old, new = document(type="a/b"), document(type="a/c")
    assert update_problems(SECRETS, old, new) == ['type: Invalid value: "a/c": field is immutable']


def test_what_the_columns_of_maps_and_secrets_show() -> None:
    assert headers(CONFIGMAPS, wide=False) == ["Name", "Data", "Age"]
    assert row(CONFIGMAPS, document(data={"a": "", "b": ""}, binaryData={"c": ""}))["Data"] == 3
    assert headers(SECRETS, wide=False) == ["Name", "Type", "Data", "Age"]
    cells = row(SECRETS, document(stringData={"a": ""}))
    assert (cells["Type"], cells["Data"]) == ("Opaque", 1)
    assert headers(ACCOUNTS, wide=False) == ["Name", "Age"]


def test_secrets_are_selected_by_type() -> None:
    assert SECRETS.fields["type"](load(SECRETS, document())) == "Opaque"


def test_a_tls_secret_warns_of_what_is_no_certificate_or_no_key_of_it(tmp_path: Path) -> None:
    files = write_certificates(tmp_path)
    certificate, key, other = (files[name].read_text() for name in ("server", "server-key", "client-key"))
    for crt, private, expected in (
        (certificate, key, []),
        ("x", key, ["tls: failed to find any PEM data in certificate input"]),
        (certificate, "x", ["tls: failed to find any PEM data in key input"]),
        (certificate.replace("MII", "AAA"), key, ["x509: malformed certificate"]),
        (certificate, certificate, ["tls: failed to parse private key"]),
        (certificate, other, ["tls: private key does not match public key"]),
    ):
        data = {"tls.crt": base64(crt), "tls.key": base64(private)}
        secret = load(SECRETS, document(type="kubernetes.io/tls", data=data))
        assert SECRETS.strategy.create_warnings(secret) == expected
    assert SECRETS.strategy.create_warnings(load(SECRETS, document(data={"tls.crt": base64("x")}))) == []
