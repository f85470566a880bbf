"""What becomes of a request by the policies that are about it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import orjson
import pytest

from apimachinery.catalogue import Catalogue, load_catalogue
from apimachinery.errors import StatusError, UnclassifiedError
from apiserver.admission._plugin import Attributes, Lookup
from apiserver.admission.policies import _evaluation
from apiserver.admission.policies.validatingadmissionpolicy import FAILURE_ANNOTATION, ValidatingPolicies
from apiserver.apiextensions.objects import CustomSchema
from apiserver.auth.authorization.authorizer import AlwaysAllow, Authorizer, Decision
from apiserver.codec.body import decode_object
from apiserver.request.info import RequestInfo
from apiserver.request.user import User
from apiserver.storage.interface import Entry
from kubeapi.admissionregistration._rules import GROUP
from tests.kits import definitions

KINDS = {(kind.group, kind.plural): kind for kind in load_catalogue()}
CONFIG_MAPS = KINDS[("", "configmaps")]
RULE = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["*"], "resources": ["configmaps"]}
JANE = User("jane", "", ("devs",))


class Cache:
    """The part of the watch cache that policies read."""

    def __init__(self) -> None:
        self.entries: dict[str, list[Entry]] = {}
        self._listeners: list[Callable[[], None]] = []

    def put(self, plural: str, kind: str, name: str, **members: Any) -> None:
        document = {"apiVersion": f"{GROUP}/v1", "kind": kind, "metadata": {"name": name}, **members}
        entry = Entry(name, "", name, 1, orjson.dumps(document), {}, {})
        self.entries.setdefault(plural, []).append(entry)
        for listener in self._listeners:
            listener()

    def on_change(self, resource: Any, listener: Callable[[], None]) -> None:
        self._listeners.append(listener)

    def snapshot(self, resource: Any) -> list[Entry]:
        return self.entries.get(resource.plural, [])

    def latest(self, resource: Any, namespace: str, name: str) -> Entry | None:
        return next((entry for entry in self.entries.get(resource.plural, ()) if entry.name == name), None)


class Server:
    def __init__(self, authorizer: Authorizer | None = None, catalogue: Catalogue | None = None) -> None:
        self._cache = Cache()
        self._cache.put("namespaces", "Namespace", "n")
        lookup = Lookup(self._cache, KINDS, authorizer or AlwaysAllow(), None, catalogue)  # type: ignore[arg-type]
        self._policies = ValidatingPolicies(lookup)

    def policy(self, name: str, *expressions: str, actions: tuple[str, ...] = ("Deny",), **spec: Any) -> Server:
        validations = [{"expression": expression} for expression in expressions]
        spec = {"matchConstraints": {"resourceRules": [RULE]}, "validations": validations, **spec}
        self._cache.put("validatingadmissionpolicies", "ValidatingAdmissionPolicy", name, spec=spec)
        bound = {"policyName": name, "validationActions": list(actions)}
        self._cache.put(
            "validatingadmissionpolicybindings", "ValidatingAdmissionPolicyBinding", f"{name}-b", spec=bound
        )
        return self

    async def request(self, name: str = "a", **data: str) -> Attributes:
        document = {"metadata": {"name": name, "namespace": "n"}, "data": data}
        obj = decode_object(CONFIG_MAPS, orjson.dumps(document))
        attributes = Attributes("CREATE", CONFIG_MAPS, "", "n", name, obj, None, JANE, audit_annotations={})
        waiting = self.validate(attributes)
        if waiting is not None:
            await waiting
        return attributes

    def validate(self, attributes: Attributes) -> Awaitable[None] | None:
        return self._policies.validate(attributes)

    async def message(self, **data: str) -> str:
        with pytest.raises(StatusError) as caught:
            await self.request(**data)
        return caught.value.message


async def test_failures_are_warned_of_and_noted() -> None:
    server = Server().policy("p", "true", "'a' in object.data", actions=("Warn", "Audit"))
    attributes = await server.request(b="1")
    text = "failed expression: 'a' in object.data"
    assert attributes.warnings == (f"Validation failed for ValidatingAdmissionPolicy 'p' with binding 'p-b': {text}",)
    assert attributes.audit_annotations is not None
    (noted,) = orjson.loads(attributes.audit_annotations[FAILURE_ANNOTATION])
    assert noted == {
        "message": text,
        "policy": "p",
        "binding": "p-b",
        "expressionIndex": 1,
        "validationActions": ["Warn", "Audit"],
    }


async def test_audit_annotations_are_evaluated_and_null_leaves_one_out() -> None:
    annotations = [
        {"key": "who", "valueExpression": "'by ' + request.userInfo.username"},
        {"key": "none", "valueExpression": "null"},
    ]
    attributes = await Server().policy("p", auditAnnotations=annotations).request()
    assert attributes.audit_annotations == {"p/who": "by jane"}


async def test_what_fails_to_evaluate_refuses_unless_it_is_to_be_ignored() -> None:
    server = Server().policy("p", "object.data.a == 'b'", failurePolicy="Ignore")
    await server.request(c="1")
    said = await server.policy("q", "object.data.a == 'b'", failurePolicy="Fail").message(c="1")
    assert said.endswith("expression 'object.data.a == 'b'' resulted in error: no such key: a")


async def test_a_false_condition_decides_before_one_that_fails() -> None:
    failing = {"name": "f", "expression": "object.data.x == 'y'"}
    no = {"name": "n", "expression": "false"}
    server = Server().policy("p", "false", matchConditions=[failing, no])
    await server.request(c="1")
    said = await server.policy("q", "false", matchConditions=[failing]).message(c="1")
    assert said.endswith("no such key: x")


async def test_a_message_that_fails_or_has_two_lines_gives_way() -> None:
    def validation(message: str) -> dict[str, str]:
        return {"expression": "false", "message": "plain", "messageExpression": message}

    for message, said in (("'m'", "m"), ("object.data.x", "plain"), ("'a\\nb'", "plain"), ("' '", "plain")):
        server = Server().policy("p", validations=[validation(message)])
        assert (await server.message(c="1")).endswith(f"denied request: {said}")


async def test_a_variable_is_evaluated_once_and_its_error_is_the_expressions() -> None:
    variables = [{"name": "v", "expression": "object.data.absent"}, {"name": "w", "expression": "variables.v + '!'"}]
    said = (
        await Server().policy("p", "true || variables.w == ''", "variables.w == ''", variables=variables).message(c="1")
    )
    assert said.endswith("expression 'variables.w == ''' resulted in error: no such key: absent")


async def test_rules_may_name_objects() -> None:
    rule = RULE | {"resourceNames": ["only"]}
    server = Server().policy("p", "false", matchConstraints={"resourceRules": [rule]})
    await server.request("other")
    with pytest.raises(StatusError):
        await server.request("only")


async def test_a_policy_has_a_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_evaluation, "POLICY_LIMIT", 60_000)
    each = "object.data.all(a, object.data.all(b, object.data.all(c, a + b + c != 'x')))"
    data = {f"k{number}": "v" for number in range(13)}
    said = await Server().policy("p", *[f"{each} && {number} > -1" for number in range(5)]).message(**data)
    assert said.endswith("validation failed due to running out of cost budget, no further validation rules will be run")


async def test_a_large_policy_is_compiled_outside_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once: from then on it is evaluated at once."""
    monkeypatch.setattr(_evaluation, "INLINE_BYTES", 100)
    server = Server().policy("p", "object.metadata.name != 'b'")
    obj = decode_object(CONFIG_MAPS, orjson.dumps({"metadata": {"name": "b", "namespace": "n"}}))
    attributes = Attributes("CREATE", CONFIG_MAPS, "", "n", "b", obj, None, JANE)
    waiting = server.validate(attributes)
    assert waiting is not None
    with pytest.raises(StatusError):
        await waiting
    with pytest.raises(StatusError):
        server.validate(attributes)


async def test_a_policy_that_does_not_compile_refuses_unless_it_is_to_be_ignored() -> None:
    await Server().policy("p", "(", failurePolicy="Ignore").request()
    said = await Server().policy("p", "(").message()
    assert "denied request: failed to configure binding: compilation failed: ERROR: <input>:1:2" in said


class Remote:
    """An authorizer that has to ask elsewhere."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def authorize(self, user: User, info: RequestInfo) -> Decision | Awaitable[Decision]:
        async def answer() -> Decision:
            self.asked.append(info.resource)
            return Decision("allow" if info.resource == "pods" else "no opinion", "because")

        return answer()

    def rules(self, user: User, namespace: str) -> Any:
        raise NotImplementedError


async def test_another_server_is_asked_once_for_each_question() -> None:
    remote = Remote()
    pods, nodes = (f"authorizer.group('').resource('{name}').check('get')" for name in ("pods", "nodes"))
    server = Server(remote).policy("p", f"{pods}.allowed()", f"!{nodes}.allowed()", f"{nodes}.reason() == 'because'")
    await server.policy("q", f"{pods}.allowed()").request()
    assert remote.asked == ["pods", "nodes"]


async def test_a_check_with_an_unreadable_selector_is_about_all_objects() -> None:
    check = "authorizer.group('').resource('pods').fieldSelector('((').check('get').allowed()"
    await Server().policy("p", check).request()


class Converter:
    """A conversion webhook; `fails` with a message."""

    def __init__(self) -> None:
        self.asked: list[int] = []
        """How many objects each call was about."""
        self.fails = ""

    async def convert(self, values: Sequence[bytes], schema: CustomSchema) -> list[bytes]:
        self.asked.append(len(values))
        if self.fails:
            raise UnclassifiedError(self.fails)
        return [schema.convert(value) for value in values]


def widget(converter: Converter, *, update: bool = True) -> tuple[Catalogue, Attributes]:
    """A request in v2 of a kind that a webhook converts, and the kind in all its versions."""
    versions = definitions.version("v1"), definitions.version("v2", storage=False)
    kind = definitions.kind(*versions, conversion={"strategy": "Webhook", "webhook": {}})
    for resource in kind.served:
        assert isinstance(resource.schema, CustomSchema)
        resource.schema.webhook = converter
    (v2,) = (resource for resource in kind.served if resource.version == "v2")
    new, old = (
        decode_object(v2, orjson.dumps(definitions.custom("Widget", "a", {"name": name}, "v2", namespace="n")))
        for name in ("new", "old")
    )
    operation = "UPDATE" if update else "CREATE"
    attributes = Attributes(operation, v2, "", "n", "a", new, old if update else None, JANE, audit_annotations={})
    return Catalogue(list(kind.served)), attributes


ABOUT_V1 = {
    "resourceRules": [
        {"apiGroups": ["*"], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"], "resources": ["widgets"]}
    ]
}


async def test_a_webhook_converts_the_objects_once_for_all_policies_about_a_version() -> None:
    converter = Converter()
    catalogue, attributes = widget(converter)
    server = Server(catalogue=catalogue)
    for name in ("p", "q"):
        rules = "object.apiVersion.endsWith('/v1')", "oldObject.apiVersion.endsWith('/v1')", "object.spec.name == 'new'"
        server.policy(name, *rules, matchConstraints=ABOUT_V1)
    waiting = server.validate(attributes)
    assert waiting is not None
    await waiting
    assert converter.asked == [2]
    assert server.validate(attributes) is None, "the request has them now"


async def test_objects_that_cant_be_converted_refuse_the_request_unless_that_is_to_be_ignored() -> None:
    converter = Converter()
    converter.fails = "conversion webhook is away"
    catalogue, attributes = widget(converter, update=False)
    server = Server(catalogue=catalogue).policy("p", "false", matchConstraints=ABOUT_V1, failurePolicy="Ignore")
    waiting = server.validate(attributes)
    assert waiting is not None
    await waiting
    waiting = server.policy("q", "true", matchConstraints=ABOUT_V1, actions=("Warn",)).validate(attributes)
    assert waiting is not None
    with pytest.raises(StatusError) as caught:
        await waiting
    text = "failed to configure binding: failed to convert object version: conversion webhook is away"
    assert (caught.value.code, caught.value.message.partition(" denied request: ")[2]) == (422, text)
    assert converter.asked == [1, 1, 1]
