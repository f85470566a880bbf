"""The `continue` of a paged list."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apiserver.storage.continue_token import ContinueToken, decode_token
from apiserver.storage.interface import BadContinueToken


@given(st.integers(0, 2**63 - 1), st.text("abc-é\0", min_size=1))
def test_it_survives_the_way_to_the_client_and_back(revision: int, start: str) -> None:
    token = ContinueToken(revision, start)
    text = token.encode()
    assert decode_token(text) == token
    assert set(text) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


def packed(body: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(body).encode()).rstrip(b"=").decode()


@pytest.mark.parametrize(
    "text",
    [
        "not base64!",
        "a",
        base64.urlsafe_b64encode(b"{").decode(),
        packed([]),
        packed({}),
        packed({"v": "v2", "rv": 1, "start": "a"}),
        packed({"v": "meta.k8s.io/v1", "rv": "1", "start": "a"}),
        packed({"v": "meta.k8s.io/v1", "rv": 0, "start": "a"}),
        packed({"v": "meta.k8s.io/v1", "rv": True, "start": "a"}),
        packed({"v": "meta.k8s.io/v1", "rv": 2**63, "start": "a"}),
        packed({"v": "meta.k8s.io/v1", "rv": 1, "start": "../secrets"}),
        packed({"v": "meta.k8s.io/v1", "rv": 1, "start": "a//b"}),
        packed({"v": "meta.k8s.io/v1", "rv": 1, "start": "//a"}),
        packed({"v": "meta.k8s.io/v1", "rv": 1, "start": ""}),
        packed({"v": "meta.k8s.io/v1", "rv": 1, "start": 5}),
    ],
)
def test_what_this_server_did_not_give_out_is_refused(text: str) -> None:
    with pytest.raises(BadContinueToken, match="continue key is not valid"):
        decode_token(text)
