"""The keys of a cluster's Secrets: made once, kept beside snapshots, and taken over from them."""

from __future__ import annotations

from pathlib import Path

import pytest

from apiserver.encryption.config import load_encryption
from apiserver.storage.transform import ValueTransformer
from mini_cluster.pki.encryption import KeysError, adopt_keys, ensure_encryption, keys_of_snapshot, save_keys

SECRETS = ("", "secrets")


def transformer(file: Path) -> ValueTransformer:
    return load_encryption(str(file)).transformers([SECRETS])[SECRETS]


def made(folder: Path) -> Path:
    file = folder / "pki" / "encryption.yaml"
    ensure_encryption(file)
    return file


def test_keys_are_made_once_for_the_owner_alone_and_each_cluster_has_its_own(tmp_path: Path) -> None:
    one, two = made(tmp_path / "one"), made(tmp_path / "two")
    assert one.stat().st_mode & 0o777 == 0o600
    before = one.read_bytes()
    ensure_encryption(one)
    assert one.read_bytes() == before
    assert two.read_bytes() != before
    stored = transformer(one).to_storage("/k", b"{}")
    assert stored.startswith(b"k8s:enc:aesgcm:v1:key-")
    assert transformer(one).from_storage("/k", stored) == (b"{}", False)
    assert transformer(one).from_storage("/k", b"{}") == (b"{}", True)


def test_a_cluster_reads_the_secrets_of_a_snapshot_and_writes_with_its_own_key(tmp_path: Path) -> None:
    one, two, snapshot = made(tmp_path / "one"), made(tmp_path / "two"), tmp_path / "all.db"
    old = transformer(one).to_storage("/k", b"{}")
    save_keys(one, snapshot)
    assert keys_of_snapshot(snapshot) == tmp_path / "all.db.keys.yaml"
    assert keys_of_snapshot(snapshot).stat().st_mode & 0o777 == 0o600
    own = transformer(two).to_storage("/k", b"{}")
    for _ in range(2):  # a second time adds nothing
        assert adopt_keys(two, snapshot)
        assert transformer(two).from_storage("/k", old) == (b"{}", True)
        assert transformer(two).from_storage("/k", own) == (b"{}", False)
        assert two.read_text().count("aesgcm") == 2
        assert two.stat().st_mode & 0o777 == 0o600


def test_a_snapshot_without_keys_or_with_something_else(tmp_path: Path) -> None:
    file, snapshot = made(tmp_path), tmp_path / "all.db"
    before = file.read_bytes()
    assert not adopt_keys(file, snapshot)
    keys_of_snapshot(snapshot).write_text("kind: Pod\n")
    with pytest.raises(KeysError, match="not an encryption configuration"):
        adopt_keys(file, snapshot)
    assert file.read_bytes() == before
