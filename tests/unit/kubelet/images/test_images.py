"""Images: names, credentials, pull policies, back-off and the events users read."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from apimachinery.meta import Object, ObjectMeta
from apimachinery.text.image_reference import Reference, normalize, parse_reference, short_name
from kubeapi.core.pod.model import Pod
from kubelet.container.images.credentials import (
    Credential,
    Keyring,
    Source,
    keyring,
    matching_credentials,
    secret_credentials,
)
from kubelet.container.images.manager import ImageRequest, ImageUnavailable
from kubelet.container.images.options import ImageOptions
from kubelet.runtime.interface import ImageInfo, ImagePullError, RegistryAuth, RuntimeUnavailable
from tests.fakes.clock import FakeClock, idle
from tests.fakes.runtime import FakeRuntime
from tests.kits.node.kubelet import image_manager

DIGEST = "sha256:" + "ab" * 32


@pytest.mark.parametrize(
    ("image", "full"),
    [
        ("nginx", "docker.io/library/nginx:latest"),
        ("nginx:1.25", "docker.io/library/nginx:1.25"),
        ("team/app", "docker.io/team/app:latest"),
        ("docker.io/nginx", "docker.io/library/nginx:latest"),
        ("index.docker.io/library/nginx:1", "docker.io/library/nginx:1"),
        ("localhost/app", "localhost/app:latest"),
        ("reg.example:5000/a/b:v1", "reg.example:5000/a/b:v1"),
        ("127.0.0.1:5999/none:1", "127.0.0.1:5999/none:1"),
        (f"nginx@{DIGEST}", f"docker.io/library/nginx@{DIGEST}"),
        (f"nginx:1@{DIGEST}", f"docker.io/library/nginx:1@{DIGEST}"),
        (DIGEST, DIGEST),
    ],
)
def test_names_have_one_full_form(image: str, full: str) -> None:
    assert normalize(image) == full


@pytest.mark.parametrize(
    "image", ["", "UPPER", "a b", "nginx:", "nginx:bad tag", "nginx@sha256:12", "-a", "a//b", "ab" * 32]
)
def test_bad_names_are_refused(image: str) -> None:
    with pytest.raises(ValueError, match="invalid re"):
        parse_reference(image)


def test_docker_lists_its_own_registry_without_prefix() -> None:
    assert short_name("docker.io/library/nginx:1") == "nginx:1"
    assert short_name("docker.io/team/app:1") == "team/app:1"
    assert short_name("reg.example/app:1") == "reg.example/app:1"


def encoded(document: object) -> str:
    return base64.b64encode(json.dumps(document).encode()).decode()


def test_credentials_come_from_both_kinds_of_secret() -> None:
    auth = base64.b64encode(b"me:pass:word").decode()
    modern = {".dockerconfigjson": encoded({"auths": {"reg.example": {"auth": auth}}})}
    assert secret_credentials("kubernetes.io/dockerconfigjson", modern) == {
        "reg.example": RegistryAuth("me", "pass:word", "", "reg.example")
    }
    old = {".dockercfg": encoded({"reg.example": {"username": "u", "password": "p"}})}
    assert secret_credentials("kubernetes.io/dockercfg", old) == {
        "reg.example": RegistryAuth("u", "p", "", "reg.example")
    }
    assert secret_credentials("Opaque", modern) == {}


@pytest.mark.parametrize("value", ["%%%", base64.b64encode(b"{").decode(), encoded({"auths": {"r": {"auth": "/w=="}}})])
def test_unreadable_credentials_are_an_error(value: str) -> None:
    with pytest.raises(ValueError, match="unable to read"):
        secret_credentials("kubernetes.io/dockerconfigjson", {".dockerconfigjson": value})


@pytest.mark.parametrize(
    ("server", "image", "matches"),
    [
        ("reg.example", "reg.example/app", True),
        ("https://reg.example/v1/", "reg.example/app", True),
        ("*.example", "reg.example/app", True),
        ("*.example", "a.reg.example/app", False),
        ("reg.example:5000", "reg.example/app", False),
        ("reg.example/team", "reg.example/team/app", True),
        ("reg.example/team", "reg.example/teamwork/app", False),
        ("https://index.docker.io/v1/", "nginx", True),
        ("docker.io", "reg.example/app", False),
    ],
)
def test_credentials_match_registries(server: str, image: str, matches: bool) -> None:
    found = matching_credentials(parse_reference(image), [keyring({server: RegistryAuth("u")})])
    assert bool(found) is matches


def test_the_more_specific_are_tried_first_and_equal_ones_once() -> None:
    names = ("*.example", "reg.example", "reg.example/team", "reg.example/team/app")
    credentials = [keyring({name: RegistryAuth(name) for name in names}), keyring({"reg.example": RegistryAuth("b")})]
    credentials.append(keyring({"https://reg.example/v2/": RegistryAuth("b")}))
    found = matching_credentials(parse_reference("reg.example/team/app"), credentials)
    assert [credential.auth.username for credential in found] == [*reversed(names), "b"]


class Events:
    def __init__(self) -> None:
        self.seen: list[tuple[str, str, str]] = []
        self.paths: set[str] = set()

    def event(self, obj: Object, type: str, reason: str, message: str, *, field_path: str = "") -> None:
        self.seen.append((type, reason, message))
        self.paths.add(field_path)

    def take(self) -> list[tuple[str, str, str]]:
        seen, self.seen = self.seen, []
        return seen


SECRET = Source("Secret", "s1", "default", "regcred")


class Bench:
    """An image manager whose records are in a folder, and outlive it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.clock = FakeClock()
        self.runtime = FakeRuntime(now=self.clock.now)
        self.events = Events()
        self.start()

    def start(self, options: ImageOptions | None = None) -> None:
        """Starts the next life."""
        self.images = image_manager(self.runtime, self.events, self.clock, self.root, options)

    def request(
        self, image: str, policy: str = "IfNotPresent", *, uid: str = "u1", credentials: Sequence[Keyring] = ()
    ) -> ImageRequest:
        pod = Pod(metadata=ObjectMeta(name="web", namespace="default", uid=uid))

        async def lookup(reference: Reference) -> Sequence[Credential]:
            return matching_credentials(reference, credentials)

        return ImageRequest(pod, uid, image, policy, lookup, "spec.containers{web}")

    def serve(self, name: str, *, auth: RegistryAuth | None = None, id: str = "sha256:x") -> None:
        """Has a registry serve the image, to those with the credentials."""
        self.runtime.pullable[name] = ImageInfo(id, (name,))
        self.runtime.pull_auth[name] = auth

    async def refused(self, request: ImageRequest) -> ImageUnavailable:
        with pytest.raises(ImageUnavailable) as caught:
            await self.images.ensure(request)
        return caught.value


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


async def test_a_present_image_is_not_pulled(bench: Bench) -> None:
    image = bench.runtime.add_image("docker.io/library/app:1")
    message = 'Container image "app:1" already present on machine and can be accessed by the pod'
    for policy in ("IfNotPresent", "Never"):
        assert await bench.images.ensure(bench.request("app:1", policy)) == image
        assert bench.events.take() == [("Normal", "Pulled", message)]
    assert bench.runtime.pulled_with == []
    assert bench.events.paths == {"spec.containers{web}"}


async def test_always_pulls_and_says_how_long_it_took(bench: Bench) -> None:
    bench.runtime.add_image("docker.io/library/app:1")
    bench.runtime.pullable["docker.io/library/app:1"] = ImageInfo("sha256:new", size_bytes=42)
    assert (await bench.images.ensure(bench.request("app:1", "Always"))).id == "sha256:new"
    assert bench.events.take() == [
        ("Normal", "Pulling", 'Pulling image "app:1"'),
        (
            "Normal",
            "Pulled",
            'Successfully pulled image "app:1" in 0s (0s including waiting). Image size: 42 bytes.',
        ),
    ]


async def test_never_refuses_an_absent_image(bench: Bench) -> None:
    refusal = await bench.refused(bench.request("app:1", "Never"))
    message = 'Container image "app:1" is not present with pull policy of Never'
    assert (refusal.reason, refusal.message) == ("ErrImageNeverPull", message)
    assert bench.events.take() == [
        ("Warning", "ErrImageNeverPull", message),
        ("Warning", "Failed", "Error: ErrImageNeverPull"),
    ]


async def test_a_bad_name_is_refused(bench: Bench) -> None:
    refusal = await bench.refused(bench.request("no way"))
    assert refusal.reason == "InvalidImageName"
    assert "couldn't parse image name" in refusal.message
    assert bench.events.take()[0][1] == "InspectFailed"


async def test_failed_pulls_back_off_twice_as_long_each_time_up_to_five_minutes(bench: Bench) -> None:
    bench.runtime.pull_errors["docker.io/library/app:1"] = "no such host"
    request = bench.request("app:1")
    waits = []
    for _ in range(7):
        refusal = await bench.refused(request)
        assert (refusal.reason, refusal.message) == ("ErrImagePull", "no such host")
        assert bench.events.take()[1:] == [
            ("Warning", "Failed", 'Failed to pull image "app:1": no such host'),
            ("Warning", "Failed", "Error: ErrImagePull"),
        ]
        waits.append(refusal.retry_seconds)
        bench.clock.step(refusal.retry_seconds - 1)
        waiting = await bench.refused(request)
        assert waiting.reason == "ImagePullBackOff"
        assert waiting.message == 'Back-off pulling image "app:1": ErrImagePull: no such host'
        assert waiting.retry_seconds == pytest.approx(1)
        assert bench.events.take() == [
            ("Normal", "BackOff", 'Back-off pulling image "app:1"'),
            ("Warning", "Failed", "Error: ImagePullBackOff"),
        ]
        bench.clock.step(1)
    assert waits == [10, 20, 40, 80, 160, 300, 300]
    assert len(bench.runtime.pulled_with) == 7


async def test_back_off_is_per_pod_and_image_and_does_not_hide_an_image_that_arrived(bench: Bench) -> None:
    await bench.refused(bench.request("app:1"))
    assert (await bench.refused(bench.request("app:1", uid="u2"))).reason == "ErrImagePull"
    assert (await bench.refused(bench.request("app:2"))).reason == "ErrImagePull"
    assert (await bench.refused(bench.request("app:1"))).reason == "ImagePullBackOff"
    image = bench.runtime.add_image("docker.io/library/app:1")
    assert await bench.images.ensure(bench.request("app:1")) == image


async def test_every_matching_credential_is_tried_before_the_pull_fails(bench: Bench) -> None:
    first, second = RegistryAuth("one"), RegistryAuth("two")
    other = keyring({"reg.example": second, "other.example": RegistryAuth("x")})
    credentials = [keyring({"reg.example/team": first}), other]
    await bench.refused(bench.request("reg.example/team/app", credentials=credentials))
    assert [auth for _, auth in bench.runtime.pulled_with] == [first, second]


@pytest.mark.parametrize("limit", [0, 1, 2])
async def test_pulls_wait_for_each_other_beyond_the_limit(bench: Bench, limit: int) -> None:
    gate, running, most = asyncio.Event(), 0, 0

    async def pull(reference: str, auth: RegistryAuth | None = None) -> ImageInfo:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await gate.wait()
        running -= 1
        return ImageInfo("sha256:x")

    bench.runtime.pull_image = pull  # type: ignore[method-assign]
    bench.start(ImageOptions(serialize_image_pulls=limit == 1, max_parallel_image_pulls=limit))
    pulls = [asyncio.ensure_future(bench.images.ensure(bench.request(f"app:{i}"))) for i in range(7)]
    await idle()
    gate.set()
    await asyncio.gather(*pulls)
    assert most == (limit or 5)


async def test_a_runtime_that_is_down_is_no_verdict_about_the_image(bench: Bench) -> None:
    bench.runtime.available = False
    with pytest.raises(RuntimeUnavailable):
        await bench.images.ensure(bench.request("app:1"))
    assert bench.events.take() == []


async def test_pulls_beyond_the_rate_are_refused_until_time_has_passed(bench: Bench) -> None:
    bench.start(ImageOptions(registry_qps=0.5, registry_burst=2))
    for number in range(4):
        bench.serve(f"docker.io/library/app:{number}", id=f"sha256:{number}")
    for number in (0, 1):
        await bench.images.ensure(bench.request(f"app:{number}"))
    refusal = await bench.refused(bench.request("app:2"))
    assert (refusal.reason, refusal.message) == ("ErrImagePull", "pull QPS exceeded")
    bench.clock.step(2)
    await bench.images.ensure(bench.request("app:3"))
    assert len(bench.runtime.pulled_with) == 3


async def test_the_errors_of_all_credentials_are_told(bench: Bench) -> None:
    async def pull(reference: str, auth: RegistryAuth | None = None) -> ImageInfo:
        raise ImagePullError(f"no access for {auth and auth.username}")

    bench.runtime.pull_image = pull  # type: ignore[method-assign]
    credentials = [keyring({"docker.io": RegistryAuth(name)}) for name in ("one", "two")]
    refusal = await bench.refused(bench.request("app:1", credentials=credentials))
    assert refusal.message == "[no access for one, no access for two]"


async def test_a_registry_that_says_it_is_unavailable_has_its_own_reason(bench: Bench) -> None:
    async def pull(reference: str, auth: RegistryAuth | None = None) -> ImageInfo:
        raise ImagePullError("received unexpected HTTP status: 503", registry_unavailable=True)

    bench.runtime.pull_image = pull  # type: ignore[method-assign]
    refusal = await bench.refused(bench.request("app:1"))
    message = "image pull failed for app:1 because the registry is unavailable: received unexpected HTTP status: 503"
    assert (refusal.reason, refusal.message) == ("RegistryUnavailable", message)
    assert bench.events.take()[1:] == [
        (
            "Warning",
            "Failed",
            'Failed to pull image "app:1": RegistryUnavailable: received unexpected HTTP status: 503',
        ),
        ("Warning", "Failed", "Error: RegistryUnavailable"),
    ]
    waiting = await bench.refused(bench.request("app:1"))
    assert waiting.message == f'Back-off pulling image "app:1": RegistryUnavailable: {message}'


class Private:
    """A pod with the secret has pulled a private image."""

    IMAGE = "reg.example/app:1"
    AUTH = RegistryAuth("me", "secret")

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        bench.serve(self.IMAGE, auth=self.AUTH)

    def mine(self, auth: RegistryAuth = AUTH, source: Source | None = SECRET) -> list[Keyring]:
        return [keyring({"reg.example": auth}, source)]

    async def get(self, credentials: Sequence[Keyring] = (), policy: str = "IfNotPresent", uid: str = "u1") -> str:
        """Returns the reasons of the events."""
        with contextlib.suppress(ImageUnavailable):
            await self.bench.images.ensure(self.bench.request(self.IMAGE, policy, credentials=credentials, uid=uid))
        return " ".join(reason for _, reason, _ in self.bench.events.take())


@pytest.fixture
async def private(bench: Bench) -> Private:
    private = Private(bench)
    assert await private.get(private.mine()) == "Pulling Pulled"
    return private


async def test_a_private_image_is_only_for_pods_that_can_pull_it(private: Private) -> None:
    assert await private.get(private.mine()) == "Pulled"
    assert await private.get(uid="u2") == "Pulling Failed Failed"
    assert await private.get(policy="Never", uid="u3") == "ErrImageNeverPull Failed"
    assert await private.get(private.mine(), "Never") == "Pulled"
    wrong = RegistryAuth("me", "wrong")
    assert await private.get(private.mine(wrong, Source("Secret", "s2", "other", "x")), uid="u4") == (
        "Pulling Failed Failed"
    )


async def test_equal_credentials_of_another_secret_open_it_and_so_does_the_same_secret_later(private: Private) -> None:
    other = Source("Secret", "s2", "other", "copy")
    assert await private.get(private.mine(source=other)) == "Pulled"
    changed = RegistryAuth("me", "renewed")
    assert await private.get(private.mine(changed)) == "Pulled"
    assert await private.get(private.mine(changed, other)) == "Pulled"


async def test_records_outlive_the_kubelet(private: Private, bench: Bench) -> None:
    bench.start()
    assert await private.get(private.mine()) == "Pulled"
    assert await private.get(uid="u2") == "Pulling Failed Failed"
    file = next((bench.root / "image_manager" / "pulled").iterdir())
    document = json.loads(file.read_bytes())
    assert document["kind"] == "ImagePulledRecord"
    assert document["credentialMapping"]["reg.example/app"]["kubernetesSecrets"][0]["name"] == "regcred"
    assert "me" not in document["credentialMapping"]["reg.example/app"]["kubernetesSecrets"][0].values()
    file.write_text("{}")
    bench.start()
    assert await private.get(uid="u3") == "Pulling Failed Failed"
    assert await private.get(private.mine()) == "Pulling Pulled"


@pytest.mark.parametrize("pulled", [False, True])
async def test_a_kubelet_that_died_in_a_pull_does_not_take_the_image_for_preloaded(
    private: Private, bench: Bench, pulled: bool
) -> None:
    bench.serve("reg.example/late:1", auth=Private.AUTH, id="sha256:late")
    private.IMAGE = "reg.example/late:1"
    pull = bench.runtime.pull_image

    async def dies(reference: str, auth: RegistryAuth | None = None) -> ImageInfo:
        if pulled:
            await pull(reference, auth)
        raise asyncio.CancelledError

    bench.runtime.pull_image = dies  # type: ignore[method-assign]
    with pytest.raises(asyncio.CancelledError):
        await private.get(private.mine())
    bench.runtime.pull_image = pull  # type: ignore[method-assign]
    bench.events.take()
    bench.start()
    assert await private.get(uid="u2") == "Pulling Failed Failed"
    assert await private.get(private.mine()) == "Pulling Pulled"
    assert not list((bench.root / "image_manager" / "pulling").iterdir())


async def test_an_anonymous_pull_or_the_nodes_own_credentials_open_an_image_to_every_pod(bench: Bench) -> None:
    bench.serve("reg.example/open:1", id="sha256:open")
    await bench.images.ensure(bench.request("reg.example/open:1"))
    private = Private(bench)
    assert await private.get(private.mine(source=None)) == "Pulling Pulled Pulling Pulled"
    assert await private.get(uid="u2") == "Pulled"
    private.IMAGE = "reg.example/open:1"
    assert await private.get(uid="u2") == "Pulled"


async def test_a_preloaded_image_is_for_all_but_under_another_name_what_was_pulled_is_not(
    private: Private, bench: Bench
) -> None:
    bench.runtime.add_image("docker.io/library/loaded:1")
    private.IMAGE = "loaded:1"
    assert await private.get() == "Pulled"
    image = bench.runtime.pullable["reg.example/app:1"]
    bench.runtime._images[image.id] = ImageInfo(image.id, (*image.tags, "docker.io/library/alias:1"))
    private.IMAGE = "alias:1"
    assert await private.get(private.mine()) == "Pulling Failed Failed"


@pytest.mark.parametrize(
    ("policy", "pulled", "loaded"),
    [
        ("NeverVerify", True, True),
        ("NeverVerifyPreloadedImages", False, True),
        ("NeverVerifyAllowlistedImages", True, False),
        ("AlwaysVerify", False, False),
    ],
)
async def test_policies_say_which_images_need_no_credentials(
    private: Private, bench: Bench, policy: str, pulled: bool, loaded: bool
) -> None:
    bench.runtime.add_image("docker.io/library/loaded:1")
    bench.start(
        ImageOptions(
            registry_qps=0,
            image_pull_credentials_verification_policy=policy,
            preloaded_images_verification_allowlist=("reg.example/*", "docker.io/library/other"),
        )
    )
    assert (await private.get(uid="u2") == "Pulled") is pulled
    private.IMAGE = "loaded:1"
    assert (await private.get(uid="u2") == "Pulled") is loaded


async def test_records_go_with_their_images(private: Private, bench: Bench) -> None:
    records = bench.root / "image_manager" / "pulled"
    await bench.runtime.remove_image("sha256:x")
    bench.serve("reg.example/next:1", id="sha256:next")
    await bench.images.ensure(bench.request("reg.example/next:1"))
    assert [json.loads(file.read_bytes())["imageRef"] for file in records.iterdir()] == ["sha256:next"]
