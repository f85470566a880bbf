"""What several API servers publish together of how they know their clients."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

from apiserver.main.authentication_configmap import merge, own_data
from apiserver.options.options import parse_options
from tests.kits.identity.certificates import write_certificates

NOW = datetime.now(UTC)


def test_nothing_is_published_without_authorities() -> None:
    assert own_data(parse_options([])) == {}


def test_bundles_of_several_servers_are_joined(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    first, second = (write_certificates(tmp_path / name)["ca"].read_text() for name in ("a", "b"))
    merged = merge({"client-ca-file": first, "other": "x"}, {"client-ca-file": second}, NOW)
    assert merged == {"client-ca-file": first + second, "other": "x"}
    assert merge(merged, {"client-ca-file": second}, NOW)["client-ca-file"] == first + second
    later = NOW + timedelta(days=2)
    assert merge(merged, {"client-ca-file": first}, later)["client-ca-file"] == first  # its own, whatever the date


def test_lists_of_several_servers_are_joined_but_an_empty_one_allows_all() -> None:
    def joined(old: str, own: list[str]) -> list[str]:
        names: list[str] = json.loads(
            merge({"requestheader-x": old}, {"requestheader-x": json.dumps(own)}, NOW)["requestheader-x"]
        )
        return names

    assert joined('["a"]', ["b", "a"]) == ["a", "b"]
    assert joined("[]", ["b"]) == []
    assert joined('["a"]', []) == []
    assert joined("not JSON", ["b"]) == ["b"]
    assert joined("", ["b"]) == ["b"]
