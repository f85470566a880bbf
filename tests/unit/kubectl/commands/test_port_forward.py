"""How `port-forward` reads ports and addresses."""

from __future__ import annotations

import re

import pytest

from kubectl.commands.troubleshooting.port_forward import named_port, parse_addresses, parse_port, service_port
from kubectl.invocation.command import UsageError
from kubectl.remote.listening import PortPair

POD = {
    "metadata": {"name": "web"},
    "spec": {"containers": [{"name": "app", "ports": [{"name": "http", "containerPort": 8080}]}]},
}


SERVICE = {
    "metadata": {"name": "svc"},
    "spec": {"ports": [{"name": "web", "port": 80, "targetPort": "http"}, {"port": 81}, {"port": 82, "targetPort": 9}]},
}


@pytest.mark.parametrize(
    ("word", "expected"), [("80", (80, 80)), ("8080:80", (8080, 80)), (":80", (0, 80)), ("0:80", (0, 80))]
)
def test_ports(word: str, expected: tuple[int, int]) -> None:
    assert parse_port(word) == PortPair(*expected)


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("80:81:82", "invalid port format '80:81:82'"),
        ("x", "error parsing local port 'x': strconv.ParseUint: parsing \"x\": invalid syntax"),
        ("1:99999", "error parsing remote port '99999': strconv.ParseUint: parsing \"99999\": value out of range"),
        ("8080:0", "remote port must be > 0"),
    ],
)
def test_what_is_no_port(word: str, message: str) -> None:
    with pytest.raises(UsageError, match=f"^{re.escape(message)}$"):
        parse_port(word)


@pytest.mark.parametrize(("word", "expected"), [("http", "8080:8080"), ("1:http", "1:8080"), (":http", ":8080")])
def test_named_ports_of_a_pod(word: str, expected: str) -> None:
    assert named_port(POD, word) == expected


@pytest.mark.parametrize(
    ("word", "expected"),
    [("80", "80:8080"), ("1:web", "1:8080"), ("web", "80:8080"), ("81", "81:81"), (":82", ":9")],
)
def test_ports_of_a_service_are_those_of_its_pods(word: str, expected: str) -> None:
    assert service_port(SERVICE, POD, word) == expected


def test_addresses() -> None:
    assert parse_addresses([]) == [("127.0.0.1", True), ("::1", True)]
    assert parse_addresses(["0.0.0.0,::"]) == [("0.0.0.0", False), ("::", False)]
    with pytest.raises(UsageError, match=r"example\.com is not a valid IP"):
        parse_addresses(["example.com"])
