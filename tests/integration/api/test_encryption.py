"""Encryption at rest as its users see it: flags, a Secret's bytes in etcd, rotation, and a key that is missing."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.kits.control_plane.apiserver import ApiServer
from tests.kits.control_plane.etcd import EtcdServer
from tests.kits.control_plane.storage import direct
from tests.kits.definitions import GROUP, collection, create, custom, definition, establish
from tests.kits.eventually import eventually

SECRETS = "/api/v1/namespaces/default/secrets"
PASSWORD = base64.b64encode(b"hunter2").decode()
WHY = "no matching key was found for the provided AES transformer"


def write_configuration(file: Path, *keys: str, resources: str = "secrets") -> str:
    """Returns the flag; the first key encrypts."""
    lines = [f"{{name: {key}, secret: {base64.b64encode(key.encode() * 32).decode()}}}" for key in keys]
    text = f"""\
apiVersion: apiserver.config.k8s.io/v1
kind: EncryptionConfiguration
resources:
  - resources: ["{resources}"]
    providers:
      - aesgcm: {{keys: [{", ".join(lines)}]}}
      - identity: {{}}
"""
    new = file.with_suffix(".new")
    new.write_text(text)
    new.rename(file)  # a server that looks meanwhile sees a whole file
    return f"--encryption-provider-config={file}"


def secret(name: str, **meta: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, **meta}, "data": {"password": PASSWORD}}


async def stored(etcd: EtcdServer, key: str) -> bytes:
    async with direct(etcd.url) as client:
        return (await client.range(key.encode())).kvs[0].value


def message(answer: httpx.Response) -> str:
    assert answer.status_code == 500, answer.text
    return str(answer.json()["message"])


async def test_a_secret_is_unreadable_in_etcd_and_plain_for_clients(etcd: EtcdServer, tmp_path: Path) -> None:
    flag = write_configuration(tmp_path / "encryption.yaml", "a")
    with ApiServer(tmp_path / "api", etcd.url, flag) as api:
        assert api.http.post(SECRETS, json=secret("s")).status_code == 201
        raw = await stored(etcd, "/registry/secrets/default/s")
        assert raw.startswith(b"k8s:enc:aesgcm:v1:a:")
        for part in (b"hunter2", PASSWORD.encode(), b"password", b"metadata"):
            assert part not in raw
        assert api.http.get(f"{SECRETS}/s").json()["data"] == {"password": PASSWORD}
        body = {"metadata": {"name": "c"}, "data": {"a": "plain"}}
        assert api.http.post("/api/v1/namespaces/default/configmaps", json=body).status_code == 201
        assert b'"a":"plain"' in await stored(etcd, "/registry/configmaps/default/c")


async def test_wildcards_encrypt_all_that_has_an_api(etcd: EtcdServer, tmp_path: Path) -> None:
    flag = write_configuration(tmp_path / "encryption.yaml", "a", resources="*.*")
    with ApiServer(tmp_path / "api", etcd.url, flag) as api:
        assert api.http.get("/api/v1/namespaces/default/services/kubernetes").status_code == 200
        async with direct(etcd.url) as client:
            kvs = (await client.range(b"/registry/", b"/registry0")).kvs
        plain = {kv.key.decode().split("/")[2] for kv in kvs if not kv.value.startswith(b"k8s:enc:")}
        assert plain <= {"masterleases", "ranges"}
        establish(api, definition("widgets"))
        create(api, collection("widgets"), custom("Widget", "a"))
        assert (await stored(etcd, f"/registry/{GROUP}/widgets/default/a")).startswith(b"k8s:enc:")
    with ApiServer(tmp_path / "again", etcd.url, flag) as api:
        assert api.http.get(f"{collection('widgets')}/a").json()["spec"] == {"name": "a", "size": 3}


async def test_keys_rotate_by_rewriting_and_a_missing_one_loses_nothing(etcd: EtcdServer, tmp_path: Path) -> None:
    key, file = "/registry/secrets/default/s", tmp_path / "encryption.yaml"
    with ApiServer(tmp_path / "one", etcd.url, write_configuration(file, "a")) as api:
        api.http.post(SECRETS, json=secret("s"))
        api.http.post(SECRETS, json=secret("left"))
    with ApiServer(tmp_path / "two", etcd.url, write_configuration(file, "b", "a")) as api:
        current = api.http.get(f"{SECRETS}/s").json()
        assert (await stored(etcd, key)).startswith(b"k8s:enc:aesgcm:v1:a:")
        answer = api.http.put(f"{SECRETS}/s", json=current)
        assert answer.status_code == 200, answer.text
        assert (await stored(etcd, key)).startswith(b"k8s:enc:aesgcm:v1:b:")
    before = await stored(etcd, "/registry/secrets/default/left")
    with ApiServer(tmp_path / "three", etcd.url, write_configuration(file, "b")) as api:
        assert api.http.get(f"{SECRETS}/s").json()["data"] == {"password": PASSWORD}
        left = f"{SECRETS}/left"
        merge = {"content-type": "application/merge-patch+json"}
        for answer in (
            api.http.get(left),
            api.http.delete(left),
            api.http.put(left, json=secret("left")),
            api.http.patch(left, json={"data": {}}, headers=merge),
        ):
            assert message(answer) == f"Internal error occurred: {WHY}"
        listed = f'Internal error occurred: unable to transform key "/registry/secrets/default/left": {WHY}'
        assert message(api.http.get(SECRETS)) == listed
        assert message(api.http.get("/api/v1/secrets")) == listed
        assert message(api.http.get(SECRETS, params={"watch": "true"})) == listed
        assert api.http.get("/api/v1/namespaces/kube-system/secrets").status_code == 200
        assert api.http.post(SECRETS, json=secret("left")).status_code == 409
        assert api.http.post(SECRETS, json=secret("new")).status_code == 201
        assert await stored(etcd, "/registry/secrets/default/left") == before


async def test_a_changed_file_is_taken_over_and_a_wrong_one_is_not(etcd: EtcdServer, tmp_path: Path) -> None:
    file = tmp_path / "encryption.yaml"
    flags = write_configuration(file, "a"), "--encryption-provider-config-automatic-reload"
    with ApiServer(tmp_path / "api", etcd.url, *flags) as api:
        api.http.post(SECRETS, json=secret("s"))
        file.write_text("kind: Nonsense\n")
        eventually(lambda: "encryption configuration not taken over" in api.log_file.read_text())
        assert api.http.post(SECRETS, json=secret("t")).status_code == 201
        write_configuration(file, "b")
        eventually(lambda: "encryption configuration taken over" in api.log_file.read_text())
        api.http.post(SECRETS, json=secret("u"))
        assert (await stored(etcd, "/registry/secrets/default/u")).startswith(b"k8s:enc:aesgcm:v1:b:")
    with ApiServer(tmp_path / "again", etcd.url, *flags) as api:
        assert message(api.http.get(f"{SECRETS}/s")) == f"Internal error occurred: {WHY}"
        write_configuration(file, "b", "a")
        eventually(lambda: api.http.get(SECRETS).status_code == 200)
        assert len(api.http.get(SECRETS).json()["items"]) == 3


@pytest.mark.parametrize(
    ("provider", "why"),
    [("kms: {name: k, endpoint: unix:///s}", "KMS plugins are not supported"), ("aesgcm: {}", "at least one keys")],
)
def test_a_configuration_that_can_not_be_used_ends_the_server(tmp_path: Path, provider: str, why: str) -> None:
    file = tmp_path / "encryption.yaml"
    write_configuration(file, "a")
    file.write_text(file.read_text().replace("identity: {}", provider))
    server = ApiServer(tmp_path, "http://127.0.0.1:1", f"--encryption-provider-config={file}")
    with pytest.raises(RuntimeError, match=why):
        server.start()
    server.stop()


@pytest.mark.parametrize(
    ("plural", "spec"),
    [
        ("resourcequotas", {"hard": {"count/secrets": "0"}}),
        ("limitranges", {"limits": [{"type": "Pod", "max": {"cpu": "1"}}]}),
    ],
)
async def test_a_limit_that_cannot_be_read_refuses_what_it_may_be_about(
    etcd: EtcdServer, tmp_path: Path, plural: str, spec: dict[str, Any]
) -> None:
    pod = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "a", "image": "a"}]}}
    flag = write_configuration(tmp_path / "one.yaml", "a", resources=plural)
    with ApiServer(tmp_path / "one", etcd.url, flag) as api:
        body = {"metadata": {"name": "limit"}, "spec": spec}
        assert api.http.post(f"/api/v1/namespaces/default/{plural}", json=body).status_code == 201
    flag = write_configuration(tmp_path / "two.yaml", "b", resources=plural)
    with ApiServer(tmp_path / "two", etcd.url, flag) as api:
        assert f'default/limit": {WHY}' in message(api.http.post("/api/v1/namespaces/default/pods", json=pod))
