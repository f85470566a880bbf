"""Environment variables and references in commands."""

from __future__ import annotations

import base64
from fractions import Fraction
from typing import Any

import pytest

from apimachinery.model import from_dict
from kubeapi.core.service.model import Service
from kubelet.container.downward import NodeFacts
from kubelet.container.env import ConfigError, EnvContext, expand, make_environment, service_variables
from tests.kits.node.kubelet import Objects, make_pod

NODE = NodeFacts("worker-1", ("192.168.0.5",), {"cpu": Fraction(4), "memory": Fraction(8 << 30)})


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("plain", "plain"),
        ("$(A)", "1"),
        ("x$(A)y$(B)z", "x1y2z"),
        ("$(NONE)", "$(NONE)"),
        ("$$(A)", "$(A)"),
        ("$$$(A)", "$1"),
        ("$$$$(A)", "$$(A)"),
        ("$(A", "$(A"),
        ("$A", "$A"),
        ("end$", "end$"),
        ("$()", "$()"),
        ("$(A)$(A)", "11"),
        ("$( A)", "$( A)"),
    ],
)
def test_references_to_variables_are_expanded(text: str, result: str) -> None:
    assert expand(text, {"A": "1", "B": "2"}) == result


def environment(container: dict[str, Any], objects: Objects | None = None, **more: Any) -> dict[str, str]:
    pod = make_pod(
        {"containers": [{"name": "app", "image": "i"} | container], **more.pop("spec", {})},
        labels={"app": "web"},
        annotations={"note": "n"},
    )
    context = EnvContext(pod, NODE, objects or Objects(), more.get("services", ()), ("10.244.1.5",))
    return make_environment(pod.spec.containers[0], context)


def value(source: dict[str, Any], objects: Objects | None = None, **container: Any) -> str | None:
    env = environment({"env": [{"name": "X", "valueFrom": source}], **container}, objects)
    return env.get("X")


def secret(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def test_values_refer_to_earlier_ones() -> None:
    env = [{"name": "A", "value": "1"}, {"name": "B", "value": "$(A)-$(C)"}, {"name": "C", "value": "3"}]
    assert environment({"env": env}) == {"A": "1", "B": "1-$(C)", "C": "3"}


@pytest.mark.parametrize(
    ("path", "result"),
    [
        ("metadata.name", "web"),
        ("metadata.namespace", "default"),
        ("metadata.uid", "uid-1"),
        ("metadata.labels['app']", "web"),
        ("metadata.labels['none']", ""),
        ("metadata.annotations['note']", "n"),
        ("status.podIP", "10.244.1.5"),
        ("status.podIPs", "10.244.1.5"),
        ("status.hostIP", "192.168.0.5"),
        ("spec.nodeName", ""),
    ],
)
def test_fields_of_the_pod_as_variables(path: str, result: str) -> None:
    assert value({"fieldRef": {"fieldPath": path}}) == result


def test_unknown_field() -> None:
    with pytest.raises(ConfigError, match=r"unsupported fieldPath: spec\.nothing"):
        value({"fieldRef": {"fieldPath": "spec.nothing"}})


@pytest.mark.parametrize(
    ("resource", "divisor", "result"),
    [
        ("limits.cpu", "0", "2"),
        ("limits.cpu", "1m", "1500"),
        ("limits.memory", "1Mi", "4"),
        ("requests.cpu", "1m", "250"),
        ("requests.memory", "1", "4194304"),
        ("limits.ephemeral-storage", "1", "0"),
        ("requests.ephemeral-storage", "1", "0"),
    ],
)
def test_resource_field_ref(resource: str, divisor: str, result: str) -> None:
    resources = {"limits": {"cpu": "1500m", "memory": "4Mi"}, "requests": {"cpu": "250m"}}
    source = {"resourceFieldRef": {"resource": resource, "divisor": divisor}}
    assert value(source, resources=resources) == result


def test_missing_limit_is_what_the_node_can_allocate() -> None:
    assert value({"resourceFieldRef": {"resource": "limits.cpu"}}) == "4"
    assert value({"resourceFieldRef": {"resource": "limits.memory", "divisor": "1Gi"}}) == "8"


class TestReferences:
    objects = Objects({"cm": {"data": {"k": "v"}}}, {"s": {"data": {"p": secret("geheim")}}})

    def test_a_key_that_is_there_is_taken(self) -> None:
        assert value({"configMapKeyRef": {"name": "cm", "key": "k"}}, self.objects) == "v"
        assert value({"secretKeyRef": {"name": "s", "key": "p"}}, self.objects) == "geheim"

    @pytest.mark.parametrize(
        ("source", "message"),
        [
            ({"configMapKeyRef": {"name": "no", "key": "k"}}, 'configmap "no" not found'),
            ({"configMapKeyRef": {"name": "cm", "key": "no"}}, "couldn't find key no in ConfigMap default/cm"),
            ({"secretKeyRef": {"name": "no", "key": "k"}}, 'secret "no" not found'),
            ({"secretKeyRef": {"name": "s", "key": "no"}}, "couldn't find key no in Secret default/s"),
        ],
    )
    def test_a_missing_key_is_an_error_unless_optional(self, source: dict[str, Any], message: str) -> None:
        with pytest.raises(ConfigError) as caught:
            value(source, self.objects)
        assert str(caught.value) == message
        ((kind, reference),) = source.items()
        assert value({kind: reference | {"optional": True}}, self.objects) is None

    def test_whole_objects_with_prefix(self) -> None:
        origins = [{"prefix": "P_", "configMapRef": {"name": "cm"}}, {"secretRef": {"name": "s"}}]
        assert environment({"envFrom": origins}, self.objects) == {"P_k": "v", "p": "geheim"}

    def test_whole_objects_that_are_missing(self) -> None:
        with pytest.raises(ConfigError, match='configmap "no" not found'):
            environment({"envFrom": [{"configMapRef": {"name": "no"}}]}, self.objects)
        with pytest.raises(ConfigError, match='secret "no" not found'):
            environment({"envFrom": [{"secretRef": {"name": "no"}}]}, self.objects)
        optional = [{"configMapRef": {"name": "no", "optional": True}}, {"secretRef": {"name": "no", "optional": True}}]
        assert environment({"envFrom": optional}, self.objects) == {}

    def test_every_key_becomes_a_variable(self) -> None:
        """Source: KEP-4369, "Allow almost all printable ASCII characters in environment variables"."""
        objects = Objects({"cm": {"data": {"data-1": "1", "a.b": "2", "9_LIVES": "3"}}})
        origins = [{"configMapRef": {"name": "cm"}}, {"prefix": "my ", "configMapRef": {"name": "cm"}}]
        own = [{"name": "USES", "value": "$(data-1) $(a.b)"}]
        assert environment({"envFrom": origins, "env": own}, objects) == {
            "data-1": "1",
            "a.b": "2",
            "9_LIVES": "3",
            "my data-1": "1",
            "my a.b": "2",
            "my 9_LIVES": "3",
            "USES": "1 2",
        }

    def test_env_wins_over_env_from_and_may_use_it(self) -> None:
        env = environment(
            {"envFrom": [{"configMapRef": {"name": "cm"}}], "env": [{"name": "k", "value": "own:$(k)"}]}, self.objects
        )
        assert env == {"k": "own:v"}


def service(service_name: str, ip: str = "10.96.0.7", namespace: str = "default", **port: Any) -> Service:
    ports = [{"port": 80} | port]
    return from_dict(
        Service, {"metadata": {"name": service_name, "namespace": namespace}, "spec": {"clusterIP": ip, "ports": ports}}
    )


class TestServices:
    def test_the_variables_of_a_service(self) -> None:
        assert service_variables([service("my-db", name="sql", port=5432)], "default", links=True) == {
            "MY_DB_SERVICE_HOST": "10.96.0.7",
            "MY_DB_SERVICE_PORT": "5432",
            "MY_DB_SERVICE_PORT_SQL": "5432",
            "MY_DB_PORT": "tcp://10.96.0.7:5432",
            "MY_DB_PORT_5432_TCP": "tcp://10.96.0.7:5432",
            "MY_DB_PORT_5432_TCP_PROTO": "tcp",
            "MY_DB_PORT_5432_TCP_PORT": "5432",
            "MY_DB_PORT_5432_TCP_ADDR": "10.96.0.7",
        }

    def test_headless_and_foreign_services_are_left_out(self) -> None:
        services = [service("none", "None"), service("other", namespace="else")]
        assert service_variables(services, "default", links=True) == {}

    @pytest.mark.parametrize("links", [True, False])
    def test_the_api_itself_is_always_there(self, links: bool) -> None:
        services = [service("kubernetes", "10.96.0.1", port=443), service("web", namespace="else")]
        variables = service_variables(services, "else", links=links)
        assert variables["KUBERNETES_SERVICE_HOST"] == "10.96.0.1"
        assert ("WEB_SERVICE_HOST" in variables) is links

    def test_a_services_variables_can_be_used_and_overridden(self) -> None:
        env = [{"name": "URL", "value": "http://$(WEB_SERVICE_HOST)"}, {"name": "WEB_SERVICE_PORT", "value": "mine"}]
        variables = environment({"env": env}, services=(service("web"),))
        assert variables["URL"] == "http://10.96.0.7"
        assert variables["WEB_SERVICE_PORT"] == "mine"

    def test_service_links_can_be_switched_off(self) -> None:
        spec = {"enableServiceLinks": False}
        assert environment({}, services=(service("web"),), spec=spec) == {}
