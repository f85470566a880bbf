"""Bootstrap tokens: who may sign what, and which are removed."""

from __future__ import annotations

from base64 import b64encode, urlsafe_b64encode

import jwt
import pytest

from apimachinery.meta import ObjectMeta
from apimachinery.times import format_time
from controller_manager.controllers.bootstrap._signature import detached_signature
from controller_manager.controllers.bootstrap.bootstrapsigner import CONTROLLER as SIGNER
from controller_manager.controllers.bootstrap.tokencleaner import CONTROLLER as CLEANER
from kubeapi.core.configmap import ConfigMap
from kubeapi.core.secret.bootstraptoken import NAMESPACE, SECRET_TYPE, bootstrap_token
from kubeapi.core.secret.model import Secret
from tests.fakes.api import FakeApi, Running, settle
from tests.fakes.clock import FakeClock

ID, SECRET = "abcdef", "0123456789abcdef"


def token(token_id: str = ID, *, name: str = "", kind: str = SECRET_TYPE, **values: str) -> Secret:
    data = {"token-id": token_id, "token-secret": SECRET, "usage-bootstrap-signing": "true"} | {
        key.replace("_", "-"): value for key, value in values.items()
    }
    encoded = {key: b64encode(value.encode()).decode() for key, value in data.items()}
    meta = ObjectMeta(name=name or f"bootstrap-token-{token_id}", namespace=NAMESPACE)
    return Secret(metadata=meta, type=kind, data=encoded)


def test_a_token_is_read_from_its_secret() -> None:
    groups = "system:bootstrappers:a,system:bootstrappers:b-1"
    read = bootstrap_token(token(auth_extra_groups=groups, usage_bootstrap_authentication="true"))
    assert read is not None
    assert (read.id, read.secret, read.expires) == (ID, SECRET, float("inf"))
    assert read.usages == {"authentication", "signing"}
    assert read.extra_groups == tuple(groups.split(","))


@pytest.mark.parametrize(
    "secret",
    [
        token(kind="Opaque"),
        token(name="bootstrap-token-other1"),
        token("ABCDEF"),
        token(token_secret="short"),
        token(token_secret="0123456789abcdef\n"),
        token(auth_extra_groups="system:masters"),
        token(auth_extra_groups="system:bootstrappers:"),
        token(auth_extra_groups="system:bootstrappers:a,system:nodes"),
    ],
)
def test_a_secret_that_breaks_a_rule_holds_no_token(secret: Secret) -> None:
    assert bootstrap_token(secret) is None


def test_a_time_that_cannot_be_read_has_passed() -> None:
    read = bootstrap_token(token(expiration="tomorrow"))
    assert read is not None
    assert read.expires == 0


@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
def test_a_signature_verifies_with_the_text_in_its_place() -> None:
    header, payload, signature = detached_signature("the text", ID, SECRET).split(".")
    assert payload == ""
    encoded = urlsafe_b64encode(b"the text").rstrip(b"=").decode()
    whole = jwt.PyJWS().decode_complete(f"{header}.{encoded}.{signature}", SECRET, algorithms=["HS256"])
    assert (whole["header"], whole["payload"]) == ({"alg": "HS256", "kid": ID}, b"the text")


async def test_cluster_info_is_signed_by_the_tokens_that_may() -> None:
    clock = FakeClock()
    api = FakeApi(clock)
    signer = Running(api, SIGNER)
    soon = format_time(int(clock.now()) + 60)
    for secret in (token(), token("expire", expiration=soon), token("nosign", usage_bootstrap_signing="false")):
        api.put(secret)
    meta = ObjectMeta(name="cluster-info", namespace="kube-public")
    api.put(ConfigMap(metadata=meta, data={"kubeconfig": "text", "jws-kubeconfig-gone00": "x", "other": "y"}))

    async def signatures() -> dict[str, str]:
        await settle(api, signer)
        data = next(iter(api.all(ConfigMap))).data or {}
        assert (data["kubeconfig"], data["other"]) == ("text", "y")
        return {key: value for key, value in data.items() if key.startswith("jws-")}

    both = {f"jws-kubeconfig-{name}": detached_signature("text", name, SECRET) for name in (ID, "expire")}
    assert await signatures() == both
    clock.step(61)
    signer.queue.add("kube-public/cluster-info")
    assert list(await signatures()) == [f"jws-kubeconfig-{ID}"]


async def test_expired_tokens_are_removed() -> None:
    clock = FakeClock()
    api = FakeApi(clock)
    cleaner = Running(api, CLEANER)
    soon = format_time(int(clock.now()) + 60)
    for secret in (token(), token("expire", expiration=soon), token("badend", expiration="x")):
        api.put(secret)
    api.put(token("opaque", kind="Opaque", expiration="x"))
    await settle(api, cleaner)
    left = lambda: sorted(secret.name.removeprefix("bootstrap-token-") for secret in api.all(Secret))  # noqa: E731
    assert left() == [ID, "expire", "opaque"]
    clock.step(61)
    cleaner.queue.add(f"{NAMESPACE}/bootstrap-token-expire")
    await settle(api, cleaner)
    assert left() == [ID, "opaque"]
