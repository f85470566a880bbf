"""EncryptionConfiguration: which resources it concerns, and what is wrong with it."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from apiserver.encryption.config import load_encryption, parse_encryption
from apiserver.storage.transform import ValueTransformer
from componentbase.configfile import ConfigFileError

SECRET = base64.b64encode(b"s" * 32).decode()


def aes(name: str, secret: str = SECRET) -> dict[str, Any]:
    return {"aesgcm": {"keys": [{"name": name, "secret": secret}]}}


def rule(resources: str, *providers: dict[str, Any]) -> dict[str, Any]:
    return {"resources": resources.split(), "providers": list(providers or [aes("k")])}


def document(*rules: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "EncryptionConfiguration",
        "resources": list(rules),
    }


def key_of(transformer: ValueTransformer) -> str:
    return transformer.to_storage("/k", b"{}").split(b":")[4].decode()


def test_the_narrowest_rule_counts_and_what_is_not_listed_is_left_out() -> None:
    encryption = parse_encryption(
        document(rule("secrets", aes("one")), rule("*.apps", aes("two")), rule("*.", aes("three")))
    )
    resources = [("", "secrets"), ("", "pods"), ("apps", "deployments"), ("batch", "jobs")]
    transformers = encryption.transformers(resources)
    assert {name: key_of(transformer) for name, transformer in transformers.items()} == {
        ("", "secrets"): "one",
        ("", "pods"): "three",
        ("apps", "deployments"): "two",
    }


def test_everything() -> None:
    encryption = parse_encryption(document(rule("secrets", {"identity": {}}), rule("*.*", aes("all"))))
    transformers = encryption.transformers([("", "secrets"), ("batch", "jobs")])
    assert key_of(transformers[("batch", "jobs")]) == "all"
    assert transformers[("", "secrets")].to_storage("/k", b"{}") == b"{}"


def test_a_resource_in_two_rules_has_the_providers_of_both() -> None:
    old = parse_encryption(document(rule("secrets", aes("old")))).transformers([("", "secrets")])[("", "secrets")]
    both = parse_encryption(document(rule("secrets", aes("new")), rule("secrets", aes("old"))))
    transformer = both.transformers([("", "secrets")])[("", "secrets")]
    assert transformer.from_storage("/k", old.to_storage("/k", b"{}")) == (b"{}", True)


@pytest.mark.parametrize(
    ("rules", "text"),
    [
        ([], "resources: Required value: at least one resources is required"),
        ([{"providers": [aes("k")]}], "resources[0].resources: Required value"),
        ([{"resources": ["secrets"]}], "resources[0].providers: Required value"),
        ([rule("secrets", {})], "resources[0].providers[0]: Invalid value: {}: provider does not contain any of"),
        ([rule("secrets", {**aes("k"), "identity": {}})], "more than one provider specified in a single element"),
        ([rule("secrets", {"kms": {"name": "x"}})], "resources[0].providers[0].kms: Forbidden: KMS plugins"),
        ([rule("secrets", {"aesgcm": {}})], "resources[0].providers[0].aesgcm.keys: Required value"),
        ([rule("secrets", aes(""))], "aesgcm.keys[0].name: Required value: name is a mandatory field for a key"),
        ([rule("secrets", aes("k", ""))], "aesgcm.keys[0].secret: Required value: secret is a mandatory field"),
        ([rule("secrets", aes("k", "%%%"))], '"REDACTED": secrets must be base64 encoded'),
        ([rule("secrets", aes("k", "c2hvcnQ="))], "got 5, expected one of [16 24 32]"),
        ([rule("secrets", {"secretbox": aes("k", "c2hvcnQ=")["aesgcm"]})], "got 5, expected one of [32]"),
        ([rule("secrets secrets")], "the same resource cannot be specified multiple times"),
        ([rule("secrets *.")], "using overlapping resources"),
        ([rule("*.* jobs.batch")], "using overlapping resources"),
        ([rule("Secrets")], "resource name should not contain capital letters"),
        ([rule("*")], "use '*.' to encrypt all the resources from core API group"),
        ([rule("serviceipallocations")], "resources which do not have REST API/s cannot be encrypted"),
        ([rule("events.events.k8s.io")], "Use 'events' instead"),
        ([rule("deployments.extensions")], "'extensions' group has been removed"),
        ([rule("jobs.*")], "encrypting the same resource across groups is not supported"),
        ([rule("*.*"), rule("secrets")], 'resource "secrets" is masked by earlier rule "*.*"'),
        ([rule("*."), rule("secrets")], 'resource "secrets" is masked by earlier rule "*."'),
        ([rule("*.apps"), rule("deployments.apps")], 'resource "deployments.apps" is masked by earlier rule "*.apps"'),
        ([{**rule("secrets"), "provider": 1}], 'unknown field "resources[0].provider"'),
    ],
)
def test_what_is_wrong_is_named(rules: list[dict[str, Any]], text: str) -> None:
    with pytest.raises(ConfigFileError) as raised:
        parse_encryption(document(*rules))
    assert text in str(raised.value)
    assert "c2hvcnQ=" not in str(raised.value), "a secret is never told"


def test_a_file(tmp_path: Path) -> None:
    file = tmp_path / "encryption.yaml"
    with pytest.raises(ConfigFileError):
        load_encryption(str(file))
    file.write_text("apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\n")
    with pytest.raises(ConfigFileError, match="at least one resources"):
        load_encryption(str(file))
