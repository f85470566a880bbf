"""The flags about who asks: what excludes each other, leads nowhere, or must not be believed."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from apimachinery.errors import Unauthorized
from apiserver.auth.authentication.authenticator import Authenticator
from apiserver.auth.authentication.tokens import ServiceAccountTokens, TokenSettings
from apiserver.main.authentication import make_authenticator
from apiserver.options.options import parse_options
from apiserver.request.user import ANONYMOUS
from componentbase.clock import Clock
from componentbase.daemon import FatalError

ISSUER = ["--oidc-issuer-url=https://a", "--oidc-client-id=x"]
NOWHERE = cast(Any, None)  # neither a store nor keys are needed until a token comes


def made(*flags: str) -> Authenticator:
    settings = TokenSettings(["https://own.example"], [], "", 0, "", [])
    accounts = ServiceAccountTokens(settings, NOWHERE, {}, Clock(), NOWHERE)
    return make_authenticator(parse_options(list(flags)), accounts, NOWHERE, NOWHERE, Clock())


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--oidc-client-id=x"], "belong together"),
        (["--oidc-groups-claim=x"], "need --oidc-issuer-url"),
        (["--oidc-issuer-url=https://a", "--oidc-client-id=x", "--oidc-required-claim=a"], "write CLAIM=VALUE"),
        (["--authentication-config=f", "--oidc-issuer-url=https://a", "--oidc-client-id=x"], "exclude each other"),
        (["--authentication-token-webhook-version=v2"], "invalid choice"),
    ],
)
def test_flags_that_cannot_go_together_are_refused(
    flags: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        parse_options(flags)
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--token-auth-file=/none"], "--token-auth-file: .*No such file"),
        (["--authentication-config=/none"], "--authentication-config: .*No such file"),
        (["--authentication-token-webhook-config-file=/none"], "--authentication-token-webhook-config-file: "),
        (["--requestheader-client-ca-file=/none"], "--requestheader-client-ca-file: .*No such file"),
        (["--oidc-issuer-url=http://a", "--oidc-client-id=x"], "issuer.url: must be an https:// address"),
        (["--oidc-issuer-url=https://own.example", "--oidc-client-id=x"], "issues the tokens of service accounts"),
        ([*ISSUER, "--oidc-signing-algs=HS256"], "unsupported signing algorithm HS256"),
        ([*ISSUER, "--oidc-ca-file=/none"], "No such file"),
    ],
)  # fmt: skip
def test_flags_that_lead_nowhere_end_the_server(flags: list[str], said: str) -> None:
    with pytest.raises(FatalError, match=said):
        made("--service-account-issuer=https://own.example", *flags)


def anonymous(path: str, *flags: str) -> bool:
    try:
        return made(*flags).authenticate(None, [], None, path) is ANONYMOUS
    except Unauthorized:
        return False


def test_nobody_is_anonymous_where_everything_is_allowed(tmp_path: Path) -> None:
    file = tmp_path / "authentication.yaml"
    head = "apiVersion: apiserver.config.k8s.io/v1\nkind: AuthenticationConfiguration\n"
    file.write_text(head + "anonymous: {enabled: true, conditions: [{path: /livez}]}\n")
    limited = f"--authentication-config={file}"
    assert anonymous("/api", "--authorization-mode=RBAC")
    assert not anonymous("/api", "--authorization-mode=RBAC", "--anonymous-auth=false")
    assert not anonymous("/api", "--authorization-mode=AlwaysAllow")
    assert not anonymous("/api", "--authorization-mode=RBAC,AlwaysAllow")
    assert anonymous("/livez", "--authorization-mode=RBAC", limited)
    assert not anonymous("/api", "--authorization-mode=RBAC", limited)
    assert not anonymous("/livez", "--authorization-mode=AlwaysAllow", limited)
    with pytest.raises(FatalError, match="exclude each other"):
        made("--anonymous-auth=true", limited)
