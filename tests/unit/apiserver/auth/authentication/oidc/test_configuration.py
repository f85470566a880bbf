"""The file of `--authentication-config`: what is wrong in it is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from apiserver.auth.authentication.oidc.configuration import ConfigurationError, read_configuration

ISSUER = {"url": "https://issuer.example", "audiences": ["a"]}
USERNAME = {"username": {"claim": "sub", "prefix": ""}}
JWT = {"issuer": ISSUER, "claimMappings": USERNAME}
OWN = ["https://kubernetes.default.svc"]


def read(tmp_path: Path, **document: Any) -> Any:
    head = {"apiVersion": "apiserver.config.k8s.io/v1", "kind": "AuthenticationConfiguration"}
    file = tmp_path / "authentication.yaml"
    file.write_text(yaml.safe_dump({**head, **document}))
    return read_configuration(str(file), OWN)


def mapped(**mappings: Any) -> dict[str, Any]:
    return {"jwt": [{**JWT, "claimMappings": {**USERNAME, **mappings}}]}


def issued(**fields: Any) -> dict[str, Any]:
    return {"jwt": [{**JWT, "issuer": {**ISSUER, **fields}}]}


def ruled(**rule: Any) -> dict[str, Any]:
    return {"jwt": [{**JWT, "claimValidationRules": [rule]}]}


def test_a_smallest_and_a_full_file_are_read(tmp_path: Path) -> None:
    assert read(tmp_path).jwt == []
    assert read(tmp_path, jwt=[JWT]).jwt[0].issuer.audiences == ["a"]
    full = {
        "issuer": {**ISSUER, "discoveryURL": "https://other.example/x", "audienceMatchPolicy": "MatchAny"},
        "claimMappings": {
            "username": {"expression": "claims.email + ':x'"},
            "groups": {"claim": "groups", "prefix": "g:"},
            "uid": {"expression": "claims.uid"},
            "extra": [{"key": "example.com/a", "valueExpression": "claims.a"}],
        },
        "claimValidationRules": [{"expression": "claims.email_verified == true", "message": "m"}],
        "userValidationRules": [{"expression": "user.username.size() > 3"}],
    }
    anonymous = {"enabled": True, "conditions": [{"path": "/livez"}]}
    read_back = read(tmp_path, jwt=[full], anonymous=anonymous)
    assert read_back.anonymous.conditions[0].path == "/livez"
    assert read_back.jwt[0].claimMappings.extra[0].key == "example.com/a"


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"kind": "Pod"}, "expected kind AuthenticationConfiguration"),
        ({"apiVersion": "v1"}, "expected kind AuthenticationConfiguration"),
        ({"jwts": []}, "jwts: Extra inputs"),
        ({"jwt": [{**JWT, "algorithms": ["none"]}]}, "jwt.algorithms: there is no such field"),
        ({"jwt": [{"issuer": ISSUER}]}, "jwt.0.claimMappings: Field required"),
        ({"jwt": [JWT, JWT]}, "is there twice"),
        (issued(url=OWN[0]), "issues the tokens of service accounts"),
        (issued(url="http://issuer.example"), "issuer.url: must be an https:// address"),
        (issued(url="https://user@issuer.example"), "issuer.url: must have no user"),
        (issued(url="https://issuer.example?x=1"), "issuer.url: must have no user, query"),
        (issued(discoveryURL=ISSUER["url"]), "is there twice"),
        (issued(audiences=[]), "issuer.audiences: at least one"),
        (issued(audiences=["a", "b"]), "issuer.audienceMatchPolicy: must be MatchAny"),
        (issued(audienceMatchPolicy="MatchAll"), "audienceMatchPolicy"),
        (issued(certificateAuthority="x"), "issuer.certificateAuthority"),
        (mapped(username={}), "claimMappings.username: a claim or an expression is needed"),
        (mapped(username={"claim": "a", "expression": "claims.a"}), "claimMappings.username: a claim or an expression"),
        (mapped(username={"claim": "a"}), "claimMappings.username.prefix: needed with a claim"),
        (mapped(username={"expression": "claims.a", "prefix": ""}), "claimMappings.username.prefix: only a claim"),
        (mapped(username={"expression": "claims.email"}), "needs a look at claims.email_verified"),
        (mapped(username={"expression": "claims."}), "Syntax error: mismatched input"),
        (mapped(username={"expression": "'root'"}), "does not use claims"),
        (mapped(username={"expression": "claims.a.unheardOf()"}), "undeclared reference to 'unheardOf'"),
        (mapped(groups={"claim": "a", "expression": "claims.a", "prefix": ""}), "claimMappings.groups: a claim or an"),
        (mapped(uid={"claim": "a", "expression": "claims.a"}), "claimMappings.uid: a claim or an expression"),
        (mapped(extra=[{"key": "A", "valueExpression": "claims.a"}]), "extra[0].key: must be a lower-case path"),
        (mapped(extra=[{"key": "k8s.io/a", "valueExpression": "claims.a"}]), "extra[0].key: k8s.io is reserved"),
        (mapped(extra=[{"key": "x.k8s.io/a", "valueExpression": "claims.a"}]), "extra[0].key: x.k8s.io is reserved"),
        (mapped(extra=[{"key": "a.b/c", "valueExpression": ""}]), "extra[0]: "),
        (mapped(extra=[{"key": "a.b/c", "valueExpression": "claims.a"}] * 2), "extra[0].key: a.b/c is there twice"),
        (ruled(), "claimValidationRules[0]: a claim or an expression"),
        (ruled(claim="a", message="m"), "claimValidationRules[0].message: only an expression"),
        (ruled(expression="claims.a", requiredValue="m"), "claimValidationRules[0].requiredValue: only a claim"),
        (
            {"jwt": [{**JWT, "userValidationRules": [{"expression": "claims.a == ''"}]}]},
            "undeclared reference to 'claims'",
        ),
        ({"anonymous": {"conditions": [{"path": "/x"}]}}, "nothing to limit"),
        ({"anonymous": {"enabled": True, "conditions": [{"path": "x"}]}}, "must begin with a slash"),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, document: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read(tmp_path, **document)
    assert said in str(caught.value)
    assert str(tmp_path) in str(caught.value)
