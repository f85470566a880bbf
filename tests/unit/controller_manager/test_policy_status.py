"""The check of a policy's types against a schema."""

from __future__ import annotations

from typing import Any

from apimachinery.model import from_dict
from controller_manager.controllers.cluster.validatingadmissionpolicystatus import (
    TypedKind,
    check_types,
    named_resources,
)
from kubeapi.admissionregistration.validatingadmissionpolicy import ValidatingAdmissionPolicySpec
from kubecel.schemas import declared_type

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "metadata": {"$ref": "#/components/schemas/Meta"},
        "spec": {
            "type": "object",
            "properties": {
                "replicas": {"type": "integer"},
                "cpu": {"oneOf": [{"type": "string"}, {"type": "number"}]},
                "raw": {"type": "object"},
            },
        },
    },
}
META = {"type": "object", "properties": {"labels": {"type": "object", "additionalProperties": {"type": "string"}}}}


def warnings(*expressions: str, **more: Any) -> dict[str, str]:
    found = declared_type(SCHEMA, {"Meta": META}.__getitem__, resource=True, lenient=True)
    assert found is not None
    spec = {"validations": [{"expression": expression} for expression in expressions], **more}
    checked = check_types(
        from_dict(ValidatingAdmissionPolicySpec, spec), [TypedKind("apps/v1", "Deployment", found)], None
    )
    return {warning.fieldRef: warning.warning for warning in checked}


def test_an_unknown_field_is_told() -> None:
    assert warnings("object.replicas > 1", "object.spec.replicas > 1") == {
        "spec.validations[0].expression": "apps/v1, Kind=Deployment: ERROR: <input>:1:7: undefined field 'replicas'\n"
        " | object.replicas > 1\n | ......^"
    }


def test_types_are_compared() -> None:
    text = warnings("object.spec.replicas == 'a'")["spec.validations[0].expression"]
    assert "found no matching overload for '_==_' applied to '(int, string)'" in text


def test_what_the_schema_leaves_open_may_be_anything() -> None:
    assert not warnings(
        "object.spec.cpu == 1 || object.spec.raw.a.b == 'x'",
        "object.metadata.labels.x.startsWith('a') && object.metadata.name == object.kind",
    )


def test_variables_have_types() -> None:
    text = warnings("variables.r == 'x'", variables=[{"name": "r", "expression": "object.spec.replicas"}])
    assert "'(int, string)'" in text["spec.validations[0].expression"]


def test_only_named_resources_are_checked() -> None:
    rule = {
        "apiGroups": ["apps"],
        "apiVersions": ["v1"],
        "operations": ["*"],
        "resources": ["deployments", "*", "pods/log"],
    }
    constraints = {"resourceRules": [rule, rule | {"apiGroups": ["*"]}]}
    spec = from_dict(ValidatingAdmissionPolicySpec, {"matchConstraints": constraints})
    assert spec.matchConstraints is not None
    assert named_resources(spec.matchConstraints.resourceRules or ()) == [("apps", "v1", "deployments")]
