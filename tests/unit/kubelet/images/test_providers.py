"""Credential provider plugins: which are asked, what they are told, and how long an answer is kept."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from apimachinery.meta import ObjectMeta
from apimachinery.text.image_reference import parse_reference
from kubeapi.core.pod.model import Pod
from kubeapi.core.serviceaccount import ServiceAccount
from kubelet.container.images.credentials import Keyring, Source
from kubelet.container.images.node_config import node_credentials
from kubelet.container.images.provider_config import ProviderConfigError, read_plugins
from kubelet.container.images.providers import CredentialProvider
from kubelet.runtime.interface import RegistryAuth
from tests.fakes.clock import FakeClock
from tests.kits.node.kubelet import make_pod

VERSION = "credentialprovider.kubelet.k8s.io/v1"


class Accounts:
    """One account, whose tokens name the audience."""

    def __init__(self, annotations: dict[str, str] | None = None) -> None:
        self.annotations = annotations or {}

    async def account(self, pod: Pod) -> ServiceAccount:
        meta = ObjectMeta(name="builder", namespace="default", uid="sa1", annotations=self.annotations)
        return ServiceAccount(metadata=meta)

    async def account_token(self, pod: Pod, audience: str) -> str:
        return f"token for {audience}"


class Plugin:
    """A plugin that writes down what it is asked, and answers from a file."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = FakeClock()
        self.accounts = Accounts()
        program = folder / "bin" / "registry-login"
        program.parent.mkdir()
        program.write_text(f'#!/bin/sh\ncd {folder}\ncat >>asked; echo " $* $WHERE" >>asked\n. ./before\ncat answer\n')
        program.chmod(0o755)
        (folder / "asked").touch()
        self.before("")
        self.answer()

    def before(self, script: str) -> None:
        (self.folder / "before").write_text(script)

    def answer(self, text: str | None = None, **fields: Any) -> None:
        auth = {"*.example": {"username": "robot", "password": "secret"}}
        document = {"apiVersion": VERSION, "kind": "CredentialProviderResponse", "cacheKeyType": "Image", "auth": auth}
        (self.folder / "answer").write_text(json.dumps(document | fields) if text is None else text)

    def config(self, **fields: Any) -> dict[str, Any]:
        return {
            "name": "registry-login",
            "matchImages": ["*.example", "reg.test:5000/team"],
            "defaultCacheDuration": "10m",
            "apiVersion": VERSION,
            "args": ["get-credentials", "-v"],
            "env": [{"name": "WHERE", "value": "here"}],
        } | fields

    def write(self, *providers: dict[str, Any], name: str = "config.yaml", **fields: Any) -> Path:
        document = {"apiVersion": "kubelet.config.k8s.io/v1", "kind": "CredentialProviderConfig"}
        path = self.folder / "config" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(document | {"providers": providers} | fields))
        return path

    def provider(self, **fields: Any) -> CredentialProvider:
        path = self.write(self.config(**fields))
        return CredentialProvider(read_plugins(str(path), f"{self.folder}/bin")[0], self.accounts, self.clock)

    @property
    def asked(self) -> list[str]:
        return (self.folder / "asked").read_text().splitlines()


@pytest.fixture
def plugin(tmp_path: Path) -> Plugin:
    return Plugin(tmp_path)


def logged(caplog: pytest.LogCaptureFixture) -> str:
    return " ".join(str(vars(record).get("fields")) for record in caplog.records)


async def ask(provider: CredentialProvider, image: str, pod: Pod | None = None) -> Keyring:
    return await provider.credentials(pod or make_pod(), parse_reference(image))


async def test_a_plugin_gets_the_image_and_gives_credentials(plugin: Plugin) -> None:
    found = await ask(plugin.provider(), "reg.example/team/app:1")
    assert {name: credential.auth for name, credential in found.items()} == {
        "*.example": RegistryAuth("robot", "secret", server="*.example")
    }
    request, _, rest = plugin.asked[0].partition("} ")
    assert json.loads(request + "}") == {
        "apiVersion": VERSION,
        "kind": "CredentialProviderRequest",
        "image": "reg.example/team/app",
    }
    assert rest == "get-credentials -v here"


@pytest.mark.parametrize(
    ("image", "asked"),
    [
        ("reg.example/app", True),
        ("a.reg.example/app", False),
        ("reg.test:5000/team/app", True),
        ("reg.test:5000/other", False),
        ("reg.test/team/app", False),
        ("nginx", False),
    ],
)
async def test_a_plugin_is_asked_about_its_images_alone(plugin: Plugin, image: str, asked: bool) -> None:
    await ask(plugin.provider(), image)
    assert bool(plugin.asked) is asked


@pytest.mark.parametrize(("scope", "questions"), [("Image", 3), ("Registry", 2), ("Global", 1)])
async def test_an_answer_is_kept_for_the_image_its_registry_or_all(plugin: Plugin, scope: str, questions: int) -> None:
    plugin.answer(cacheKeyType=scope)
    provider = plugin.provider()
    for image in ("a.example/x:1", "a.example/x:2", "a.example/y", "b.example/x", "b.example/x"):
        assert await ask(provider, image)
    assert len(plugin.asked) == questions


@pytest.mark.parametrize(
    ("fields", "kept_seconds"), [({}, 600), ({"cacheDuration": "1h"}, 3600), ({"cacheDuration": "0s"}, 0)]
)
async def test_an_answer_is_kept_as_long_as_it_says(plugin: Plugin, fields: dict[str, Any], kept_seconds: int) -> None:
    plugin.answer(**fields, auth={})
    provider = plugin.provider()
    await ask(provider, "reg.example/app")
    plugin.clock.step(max(kept_seconds - 1, 0))
    await ask(provider, "reg.example/app")
    assert len(plugin.asked) == (1 if kept_seconds else 2)
    plugin.clock.step(2)
    await ask(provider, "reg.example/app")
    assert len(plugin.asked) == (2 if kept_seconds else 3)


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"text": "no json with secret"}, "can't be decoded"),
        ({"text": "[]"}, "can't be decoded"),
        ({"auth": {"reg.example": "secret"}}, "can't be decoded"),
        ({"cacheDuration": "soon"}, "can't be decoded"),
        ({"cacheKeyType": "Pod"}, "cacheKeyType"),
        ({"apiVersion": "credentialprovider.kubelet.k8s.io/v1beta1"}, "not a CredentialProviderResponse of"),
        ({"kind": "Secret"}, "not a CredentialProviderResponse of"),
    ],
)
async def test_a_useless_answer_is_told_without_its_content(
    plugin: Plugin, fields: dict[str, Any], problem: str, caplog: pytest.LogCaptureFixture
) -> None:
    plugin.answer(**fields)
    assert await ask(plugin.provider(), "reg.example/app") == {}
    log = logged(caplog)
    assert problem in log
    assert "secret" not in log


async def test_a_plugin_that_fails_is_told(plugin: Plugin, caplog: pytest.LogCaptureFixture) -> None:
    plugin.before("echo no network >&2; exit 3")
    assert await ask(plugin.provider(), "reg.example/app") == {}
    assert "no network" in logged(caplog)


OPTIONAL = {"requireServiceAccount": False, "requiredServiceAccountAnnotationKeys": []}


def attributes(**fields: Any) -> dict[str, Any]:
    return {
        "tokenAttributes": {
            "serviceAccountTokenAudience": "registry",
            "cacheType": "ServiceAccount",
            "requireServiceAccount": True,
            "requiredServiceAccountAnnotationKeys": ["role"],
            "optionalServiceAccountAnnotationKeys": ["zone"],
        }
        | fields
    }


async def test_a_plugin_gets_a_token_and_annotations_of_the_pods_account(plugin: Plugin) -> None:
    plugin.accounts.annotations = {"role": "puller", "other": "x"}
    provider = plugin.provider(**attributes())
    pod = make_pod({"serviceAccountName": "builder"})
    found = await ask(provider, "reg.example/app", pod)
    assert found["*.example"].source == Source("ServiceAccount", "sa1", "default", "builder")
    request = json.loads(re.sub(r"} get-.*", "}", plugin.asked[0]))
    assert (request["serviceAccountToken"], request["serviceAccountAnnotations"]) == (
        "token for registry",
        {"role": "puller"},
    )
    await ask(provider, "reg.example/app", pod)
    plugin.accounts.annotations = {"role": "puller", "zone": "north"}
    await ask(provider, "reg.example/app", pod)
    assert len(plugin.asked) == 2


@pytest.mark.parametrize(
    ("fields", "account", "asked"), [({}, "builder", False), ({}, "", False), (OPTIONAL, "", True)]
)
async def test_pods_without_the_account_or_annotation_do_without_the_plugin(
    plugin: Plugin, fields: dict[str, Any], account: str, asked: bool
) -> None:
    await ask(plugin.provider(**attributes(**fields)), "reg.example/app", make_pod({"serviceAccountName": account}))
    assert bool(plugin.asked) is asked


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"name": "a/b"}, "without '/'"),
        ({"name": ".."}, "without '/'"),
        ({"name": "missing"}, "missing did not exist"),
        ({"matchImages": []}, r"matchImages: List should have at least 1 item"),
        ({"defaultCacheDuration": "soon"}, "defaultCacheDuration: invalid duration"),
        ({"defaultCacheDuration": "-1s"}, "must be greater than or equal to 0"),
        ({"apiVersion": "v1"}, r"providers.0.apiVersion"),
        ({"unknown": 1}, r"providers.0.unknown: Extra inputs"),
        (attributes(cacheType="Pod"), "cacheType"),
        (attributes(requireServiceAccount=False), "requireServiceAccount cannot be false"),
        (attributes(optionalServiceAccountAnnotationKeys=["role"]), "'role' is named twice"),
        (attributes() | {"apiVersion": f"{VERSION}beta1"}, "tokenAttributes is only supported for"),
    ],
)
def test_a_bad_configuration_names_what_is_wrong(plugin: Plugin, fields: dict[str, Any], problem: str) -> None:
    path = plugin.write(plugin.config(**fields))
    with pytest.raises(ProviderConfigError, match=problem):
        read_plugins(str(path), f"{plugin.folder}/bin")


def test_a_folder_of_files_is_one_configuration(plugin: Plugin) -> None:
    with pytest.raises(ProviderConfigError, match="No such file"):
        read_plugins(f"{plugin.folder}/config", f"{plugin.folder}/bin")
    folder = plugin.write(plugin.config(), name="b.yaml").parent
    (plugin.folder / "bin" / "first").symlink_to("registry-login")
    plugin.write(plugin.config(name="first"), name="a.json")
    (folder / "notes.txt").write_text("no configuration")
    assert [one.config.name for one in read_plugins(str(folder), f"{plugin.folder}/bin")] == ["first", "registry-login"]
    plugin.write(plugin.config(), name="c.yml")
    with pytest.raises(ProviderConfigError, match="duplicate provider name 'registry-login'"):
        read_plugins(str(folder), f"{plugin.folder}/bin")
    with pytest.raises(ProviderConfigError, match=r"binary directory .* did not exist"):
        read_plugins(str(folder), f"{plugin.folder}/none")
    path = plugin.write(plugin.config(), apiVersion="kubelet.config.k8s.io/v9")
    with pytest.raises(ProviderConfigError, match=r"'kubelet\.config\.k8s\.io/v9' is not one of"):
        read_plugins(str(path), f"{plugin.folder}/bin")


def test_the_nodes_own_credentials_come_from_the_first_file_that_can_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, home = tmp_path / "root", tmp_path / "home"
    (home / ".docker").mkdir(parents=True)
    root.mkdir()
    monkeypatch.chdir(tmp_path)
    assert node_credentials(str(root), str(home)) == {}
    entries = {"reg.example": {"username": "u", "password": "p"}}
    (home / ".docker" / "config.json").write_text(json.dumps({"auths": entries}))
    assert node_credentials(str(root), str(home))["reg.example"].auth.username == "u"
    (root / ".dockercfg").write_text(json.dumps({"reg.example": {"username": "old"}}))
    (root / "config.json").write_text("damaged")
    assert node_credentials(str(root), str(home))["reg.example"].auth.username == "u"
    (home / ".docker" / "config.json").unlink()
    assert node_credentials(str(root), str(home))["reg.example"].auth.username == "old"
