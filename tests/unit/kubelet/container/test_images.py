"""Images: names, credentials, pull policies, back-off and the events users read."""

from __future__ import annotations

import asyncio
import base64
import json

import pytest

from apimachinery.image_reference import normalize, parse_reference, short_name
from apimachinery.meta import Object, ObjectMeta
from kubeapi.core.pod.model import Pod
from kubelet.container.images.credentials import matching_credentials, secret_credentials
from kubelet.container.images.manager import ImageManager, ImageRequest, ImageUnavailable
from kubelet.runtime.interface import ImageInfo, RegistryAuth, RuntimeUnavailable
from tests.fakes.clock import FakeClock, idle
from tests.fakes.runtime import FakeRuntime

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
    found = matching_credentials(parse_reference(image), [{server: RegistryAuth("u")}])
    assert bool(found) is matches


def test_the_longest_path_is_tried_first() -> None:
    credentials = {"reg.example": RegistryAuth("all"), "reg.example/team": RegistryAuth("team")}
    found = matching_credentials(parse_reference("reg.example/team/app"), [credentials])
    assert [auth.username for auth in found] == ["team", "all"]


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


class Bench:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.runtime = FakeRuntime(now=self.clock.now)
        self.events = Events()
        self.images = ImageManager(self.runtime, self.events, self.clock)

    def request(self, image: str, policy: str = "IfNotPresent", *, uid: str = "u1", **fields: object) -> ImageRequest:
        pod = Pod(metadata=ObjectMeta(name="web", namespace="default", uid=uid))
        return ImageRequest(pod, uid, image, policy, field_path="spec.containers{web}", **fields)  # type: ignore[arg-type]

    async def refused(self, request: ImageRequest) -> ImageUnavailable:
        with pytest.raises(ImageUnavailable) as caught:
            await self.images.ensure(request)
        return caught.value


@pytest.fixture
def bench() -> Bench:
    return Bench()


async def test_a_present_image_is_not_pulled(bench: Bench) -> None:
    image = bench.runtime.add_image("docker.io/library/app:1")
    for policy in ("IfNotPresent", "Never"):
        assert await bench.images.ensure(bench.request("app:1", policy)) == image
        assert bench.events.take() == [("Normal", "Pulled", 'Container image "app:1" already present on machine')]
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
            'Successfully pulled image "app:1" in 0ms (0ms including waiting). Image size: 42 bytes.',
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
    credentials = [{"reg.example/team": first}, {"reg.example": second, "other.example": RegistryAuth("x")}]
    await bench.refused(bench.request("reg.example/team/app", credentials=credentials))
    assert [auth for _, auth in bench.runtime.pulled_with] == [first, second]


async def test_pulls_wait_for_each_other_beyond_the_limit(bench: Bench) -> None:
    gate, running, most = asyncio.Event(), 0, 0

    async def pull(reference: str, auth: RegistryAuth | None = None) -> ImageInfo:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await gate.wait()
        running -= 1
        return ImageInfo("sha256:x")

    bench.runtime.pull_image = pull  # type: ignore[method-assign]
    images = ImageManager(bench.runtime, bench.events, bench.clock, max_parallel_pulls=2)
    pulls = [asyncio.ensure_future(images.ensure(bench.request(f"app:{i}"))) for i in range(5)]
    await idle()
    gate.set()
    await asyncio.gather(*pulls)
    assert most == 2


async def test_a_runtime_that_is_down_is_no_verdict_about_the_image(bench: Bench) -> None:
    bench.runtime.available = False
    with pytest.raises(RuntimeUnavailable):
        await bench.images.ensure(bench.request("app:1"))
    assert bench.events.take() == []
