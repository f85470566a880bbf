"""Attacks as rows of a table: a request of somebody who has no right to it, and what it must get."""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Mapping
from typing import Any, NamedTuple

NONE: Mapping[str, str] = {}
UNTRUSTED = ssl._create_unverified_context()


class Attack(NamedTuple):
    """`path` is sent byte by byte as it stands here; clients made for the web would tidy it up."""

    name: str
    token: str
    request: str
    """The method and the path: "GET /api/v1/nodes"."""
    code: int
    says: str = ""
    """What the answer's message must have in it."""
    body: Any = None
    headers: Mapping[str, str] = NONE


def perform(port: int, attack: Attack) -> tuple[int, str]:
    """Returns the status and the text of the answer of an API server on loopback."""
    connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=30, context=UNTRUSTED)
    method, _, path = attack.request.partition(" ")
    body = json.dumps(attack.body).encode() if attack.body is not None else b""
    headers = {"Authorization": f"Bearer {attack.token}"} if attack.token else {}
    if body:
        patch = "application/merge-patch+json" if method == "PATCH" else "application/json"
        headers |= {"Content-Type": patch, "Content-Length": str(len(body))}
    try:
        connection.putrequest(method, path, skip_accept_encoding=True)
        for key, value in (headers | dict(attack.headers)).items():
            connection.putheader(key, value)
        connection.endheaders(body or None)
        answer = connection.getresponse()
        return answer.status, answer.read().decode(errors="replace")
    finally:
        connection.close()


def assert_repelled(port: int, attack: Attack) -> None:
    code, text = perform(port, attack)
    assert code == attack.code, text
    try:
        message = str(json.loads(text).get("message", text))
    except ValueError:
        message = text
    assert attack.says in message, message
