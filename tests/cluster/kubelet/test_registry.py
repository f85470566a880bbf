"""Pulls from a real registry that asks for a name and a password."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from componentbase.clock import Clock
from kubeapi.core.pod.model import Pod
from kubelet.container.images.manager import ImageUnavailable
from kubelet.container.images.pod_images import PodImages
from kubelet.runtime.docker.runtime import DockerRuntime
from mini_cluster.machine.programs import REGISTRY_REQUIREMENT, ensure_requirements
from tests.kits.machine.docker import WorkerHost, open_runtime, worker_host
from tests.kits.machine.host_image import host_image
from tests.kits.node.kubelet import Events, Objects, image_manager, make_pod
from tests.kits.process import Process

pytestmark = pytest.mark.cluster

REGISTRY = "localhost:5007"
IMAGE = f"{REGISTRY}/team/app:1"
PASSWORDS = "robot:$2y$05$322417J.sViolBcRRkPBWepsK3GgcH5Em.Z5yhey3M5LIW9UIz8Gu\n"  # secret, as htpasswd -B hashes it
CONFIG = """\
version: 0.1
log: {level: warn, accesslog: {disabled: true}}
storage: {filesystem: {rootdirectory: FOLDER/data}}
http: {addr: "127.0.0.1:5007"}
auth: {htpasswd: {realm: tests, path: FOLDER/passwords}}
"""
UNAVAILABLE = """\
from http.server import BaseHTTPRequestHandler, HTTPServer
BaseHTTPRequestHandler.do_GET = lambda self: self.send_error(503)
HTTPServer(("127.0.0.1", 5008), BaseHTTPRequestHandler).serve_forever()
"""


class Registry:
    """A registry inside a worker host, and the digest of `IMAGE`, which is in it alone."""

    def __init__(self, host: WorkerHost) -> None:
        self.host = host
        self.digest = ""


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    ensure_requirements([REGISTRY_REQUIREMENT], print)
    folder = tmp_path_factory.mktemp("registry")
    (folder / "passwords").write_text(PASSWORDS)
    (folder / "config.yaml").write_text(CONFIG.replace("FOLDER", str(folder)))
    for host in worker_host("rt-registry", tmp_path_factory.mktemp("rt"), subnet=213):
        server = Process("docker-registry", folder)
        program = ["nsenter", f"--net=/var/run/netns/{host.name}", "docker-registry", "serve", f"{folder}/config.yaml"]
        try:
            server.run(program, ready=lambda: listens(host, 5007))  # noqa: B023
            yield filled(Registry(host), folder / "app.tar")
        finally:
            server.stop()


def filled(registry: Registry, archive: Path) -> Registry:
    """Pushes `IMAGE`."""
    archive.write_bytes(host_image(IMAGE))
    for command in (["login", "-u", "robot", "-p", "secret", REGISTRY], ["load", "-i", str(archive)]):
        assert docker(registry, *command)
    registry.digest = re.findall(r"sha256:\w+", docker(registry, "push", IMAGE))[-1]
    return registry


def docker(registry: Registry, *arguments: str) -> str:
    """What the command prints; "" when it fails."""
    command = ["docker", f"--config={registry.host.folder}/client", f"--host={registry.host.endpoint}", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout if done.returncode == 0 else ""


def listens(host: WorkerHost, port: int) -> bool:
    return f":{port} " in host.run("ss", "-Htln")


class Node:
    """The kubelet's images on a host that has none of the registry's."""

    def __init__(self, registry: Registry, runtime: DockerRuntime, root: Path) -> None:
        self.registry = registry
        self.events = Events()
        self.objects = Objects(secrets={name: secret(name, *login) for name, login in LOGINS.items()})
        self.images = PodImages(image_manager(runtime, self.events, Clock(), root), self.objects, self.events)

    async def get(self, *secrets: str, image: str = IMAGE, policy: str = "IfNotPresent", uid: str = "u") -> str:
        """The image's name by digest, or the reason and message why there is none."""
        try:
            return (await self.images.ensure(pod(secrets, uid), image, policy)).image_id
        except ImageUnavailable as error:
            return f"{error.reason}: {error.message}"


LOGINS = {"right": ("robot", "secret"), "wrong": ("robot", "guessed")}


def secret(name: str, user: str, password: str) -> dict[str, object]:
    auth = base64.b64encode(f"{user}:{password}".encode()).decode()
    document = json.dumps({"auths": {REGISTRY: {"auth": auth}, "other.example": {"auth": auth}}})
    return {
        "metadata": {"name": name, "namespace": "default", "uid": f"uid-{name}"},
        "type": "kubernetes.io/dockerconfigjson",
        "data": {".dockerconfigjson": base64.b64encode(document.encode()).decode()},
    }


def pod(secrets: tuple[str, ...], uid: str) -> Pod:
    return make_pod({"imagePullSecrets": [{"name": name} for name in secrets]}, uid=uid)


@pytest.fixture
async def node(registry: Registry, tmp_path: Path) -> AsyncIterator[Node]:
    docker(registry, "rmi", "--force", IMAGE, f"{REGISTRY}/team/app@{registry.digest}")
    async with open_runtime(registry.host) as runtime:
        yield Node(registry, runtime, tmp_path)


async def test_credentials_are_tried_until_one_is_right_and_then_open_the_image_to_their_pods(node: Node) -> None:
    by_digest = f"{REGISTRY}/team/app@{node.registry.digest}"
    refused = await node.get()
    assert refused.startswith(f'ErrImagePull: failed to pull image "{IMAGE}": ')
    assert "no basic auth credentials" in refused
    assert "unauthorized" in await node.get("wrong", uid="u2")
    assert await node.get("wrong", "right", uid="u3") == by_digest
    assert await node.get("right", policy="Never", uid="u4") == by_digest
    assert (await node.get(policy="Never", uid="u5")).startswith("ErrImageNeverPull: ")
    assert "no basic auth credentials" in await node.get(uid="u6")
    assert await node.get("right", image=f"{IMAGE}@{node.registry.digest}") == by_digest


@pytest.mark.parametrize("tag", ["", ":1", ":another"])
async def test_a_digest_is_what_is_pulled_whatever_the_tag(node: Node, tag: str) -> None:
    name = f"{REGISTRY}/team/app"
    image = f"{name}{tag}@{node.registry.digest}"
    assert await node.get("right", image=image) == f"{name}@{node.registry.digest}"
    node.events.reasons.clear()
    assert await node.get("right", image=image) == f"{name}@{node.registry.digest}"
    assert node.events.reasons == ["Pulled"]
    missing = f"{name}{tag}@sha256:{'0' * 64}"
    assert "manifest unknown" in await node.get("right", image=missing)


async def test_a_registry_that_cannot_serve_now_has_a_reason_of_its_own(node: Node, tmp_path: Path) -> None:
    inside = ["nsenter", f"--net=/var/run/netns/{node.registry.host.name}"]
    server = Process("unavailable", tmp_path)
    server.run([*inside, sys.executable, "-c", UNAVAILABLE], ready=lambda: listens(node.registry.host, 5008))
    try:
        refused = await node.get(image="localhost:5008/app:1")
    finally:
        server.stop()
    reason = "RegistryUnavailable: image pull failed for localhost:5008/app:1 because the registry is unavailable: "
    assert refused.startswith(reason)
    assert (await node.get(image="localhost:5009/app:1", uid="u2")).startswith("ErrImagePull: ")
