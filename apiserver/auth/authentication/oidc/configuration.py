"""The file of `--authentication-config`: which issuers of tokens are believed, and what their claims say about a user.

Pure but for reading the file. The flags --oidc-… are turned into the same form.
Source: Kubernetes documentation, "Authenticating", "Using Authentication Configuration".
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from apimachinery.text.yaml import YamlError, read_document
from apiserver.auth.authentication.oidc.expressions import BadExpression, Expression
from componentbase.tls import client_context

GROUP = "apiserver.config.k8s.io"
KIND = "AuthenticationConfiguration"
MAX_ISSUERS = 64
ALGORITHMS = ("RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "PS256", "PS384", "PS512")
"""Asymmetric ones alone: whoever verifies must not be able to sign."""
EXTRA_KEY = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/[a-z0-9._~!$&'()*+,;=:@%/-]+")
RESERVED_DOMAINS = ("kubernetes.io", "k8s.io")


class ConfigurationError(Exception):
    """The configuration can't be used; the message names the fields."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Issuer(_Part):
    url: str
    discoveryURL: str = ""
    certificateAuthority: str = ""
    """PEM text; the system's authorities when empty."""
    audiences: list[str]
    audienceMatchPolicy: Literal["", "MatchAny"] = ""


class ClaimValidationRule(_Part):
    claim: str = ""
    requiredValue: str = ""
    expression: str = ""
    message: str = ""


class PrefixedClaim(_Part):
    claim: str = ""
    prefix: str | None = None
    expression: str = ""


class ClaimOrExpression(_Part):
    claim: str = ""
    expression: str = ""


class ExtraMapping(_Part):
    key: str
    valueExpression: str


class ClaimMappings(_Part):
    username: PrefixedClaim
    groups: PrefixedClaim = PrefixedClaim()
    uid: ClaimOrExpression = ClaimOrExpression()
    extra: list[ExtraMapping] = []


class UserValidationRule(_Part):
    expression: str
    message: str = ""


class JWTAuthenticator(_Part):
    issuer: Issuer
    claimValidationRules: list[ClaimValidationRule] = []
    claimMappings: ClaimMappings
    userValidationRules: list[UserValidationRule] = []
    algorithms: Annotated[tuple[str, ...], Field(init=False, exclude=True)] = ALGORITHMS
    """Not a field of the file: the flag --oidc-signing-algs."""


class AnonymousCondition(_Part):
    path: str


class AnonymousConfiguration(_Part):
    enabled: bool = False
    conditions: list[AnonymousCondition] = []


class AuthenticationConfiguration(_Part):
    jwt: list[JWTAuthenticator] = []
    anonymous: AnonymousConfiguration | None = None


def read_configuration(file: str, own_issuers: list[str]) -> AuthenticationConfiguration:
    """`own_issuers` are those of service account tokens, which nobody else can be.

    Raises: ConfigurationError, OSError.
    """
    try:
        document = read_document(Path(file).read_bytes()).value
    except YamlError as error:
        raise ConfigurationError(f"{file}: not a YAML file: {error}") from None
    if not isinstance(document, dict):
        raise ConfigurationError(f"{file}: expected a mapping")
    version, kind = document.pop("apiVersion", ""), document.pop("kind", "")
    if kind != KIND or version not in (f"{GROUP}/v1", f"{GROUP}/v1beta1"):
        raise ConfigurationError(f"{file}: expected kind {KIND} of {GROUP}/v1, not {kind or 'nothing'} of {version!r}")
    for authenticator in document.get("jwt") or ():
        if isinstance(authenticator, dict) and "algorithms" in authenticator:
            raise ConfigurationError(f"{file}: jwt.algorithms: there is no such field")
    try:
        configuration = AuthenticationConfiguration.model_validate(document)
    except ValidationError as error:
        wrong = [f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors(include_url=False)]
        raise ConfigurationError(f"{file}: {'; '.join(wrong)}") from None
    try:
        return check(configuration, own_issuers)
    except ConfigurationError as error:
        raise ConfigurationError(f"{file}: {error}") from None


def check(configuration: AuthenticationConfiguration, own_issuers: list[str]) -> AuthenticationConfiguration:
    """Returns it if nothing is wrong. Raises: ConfigurationError."""
    if errors := list(configuration_errors(configuration, own_issuers)):
        raise ConfigurationError("; ".join(errors))
    return configuration


def configuration_errors(configuration: AuthenticationConfiguration, own_issuers: list[str]) -> Iterator[str]:
    if len(configuration.jwt) > MAX_ISSUERS:
        yield f"jwt: at most {MAX_ISSUERS} issuers"
    urls: set[str] = set()
    for number, authenticator in enumerate(configuration.jwt):
        issuer = authenticator.issuer
        for url in filter(None, (issuer.url, issuer.discoveryURL)):
            if url in urls:
                yield f"jwt[{number}].issuer: {url} is there twice"
            urls.add(url)
        if issuer.url in own_issuers:
            yield f"jwt[{number}].issuer.url: {issuer.url} issues the tokens of service accounts"
        yield from (f"jwt[{number}].{error}" for error in authenticator_errors(authenticator))
    anonymous = configuration.anonymous
    if anonymous is not None and anonymous.conditions and not anonymous.enabled:
        yield "anonymous.conditions: there is nothing to limit while anonymous requests are off"
    for number, condition in enumerate(anonymous.conditions if anonymous is not None else ()):
        if not condition.path.startswith("/"):
            yield f"anonymous.conditions[{number}].path: must begin with a slash"


def authenticator_errors(authenticator: JWTAuthenticator) -> Iterator[str]:
    yield from _issuer_errors(authenticator.issuer)
    for number, rule in enumerate(authenticator.claimValidationRules):
        where = f"claimValidationRules[{number}]"
        yield from _one_of(where, rule.claim, rule.expression)
        if rule.claim and rule.message:
            yield f"{where}.message: only an expression has one"
        if rule.expression and rule.requiredValue:
            yield f"{where}.requiredValue: only a claim has one"
        yield from _expression_errors(where, rule.expression, "claims")
    yield from _mapping_errors(authenticator)
    for number, user_rule in enumerate(authenticator.userValidationRules):
        yield from _expression_errors(f"userValidationRules[{number}]", user_rule.expression or " ", "user")


def _issuer_errors(issuer: Issuer) -> Iterator[str]:
    for name, url in (("url", issuer.url), ("discoveryURL", issuer.discoveryURL)):
        parts = urlsplit(url)
        if name == "discoveryURL" and not url:
            continue
        if parts.scheme != "https" or not parts.hostname:
            yield f"issuer.{name}: must be an https:// address"
        elif parts.username or parts.password or parts.query or parts.fragment:
            yield f"issuer.{name}: must have no user, query or fragment"
    if not issuer.audiences or not all(issuer.audiences):
        yield "issuer.audiences: at least one is needed, and none may be empty"
    if len(issuer.audiences) > 1 and not issuer.audienceMatchPolicy:
        yield "issuer.audienceMatchPolicy: must be MatchAny for several audiences"
    if issuer.certificateAuthority:
        try:
            client_context(ca_data=issuer.certificateAuthority)
        except ssl.SSLError as error:
            yield f"issuer.certificateAuthority: {error}"


def _mapping_errors(authenticator: JWTAuthenticator) -> Iterator[str]:
    mappings = authenticator.claimMappings
    username = mappings.username
    yield from _one_of("claimMappings.username", username.claim, username.expression)
    for name, mapping in (("username", username), ("groups", mappings.groups)):
        where = f"claimMappings.{name}"
        if mapping.claim and mapping.prefix is None:
            yield f"{where}.prefix: needed with a claim; it may be empty"
        if not mapping.claim and mapping.prefix is not None:
            yield f"{where}.prefix: only a claim has one"
        yield from _expression_errors(where, mapping.expression, "claims")
    for name, either in (("groups", mappings.groups), ("uid", mappings.uid)):
        if either.claim and either.expression:
            yield f"claimMappings.{name}: a claim or an expression, not both"
    yield from _expression_errors("claimMappings.uid", mappings.uid.expression, "claims")
    keys = [extra.key for extra in mappings.extra]
    for number, extra in enumerate(mappings.extra):
        where = f"claimMappings.extra[{number}]"
        domain = extra.key.partition("/")[0]
        if not EXTRA_KEY.fullmatch(extra.key):
            yield f"{where}.key: must be a lower-case path with a domain in front, like example.com/project"
        elif any(domain == reserved or domain.endswith("." + reserved) for reserved in RESERVED_DOMAINS):
            yield f"{where}.key: {domain} is reserved"
        elif keys.count(extra.key) > 1:
            yield f"{where}.key: {extra.key} is there twice"
        yield from _expression_errors(where, extra.valueExpression or " ", "claims")
    if "claims.email" in re.sub(r"claims\.email_verified\b", "", username.expression):
        rules = [rule.expression for rule in authenticator.claimValidationRules]
        others = [username.expression, *(extra.valueExpression for extra in mappings.extra), *rules]
        if not any("claims.email_verified" in text for text in others):
            yield "claimMappings.username.expression: claims.email needs a look at claims.email_verified somewhere"


def _one_of(where: str, claim: str, expression: str) -> Iterator[str]:
    if bool(claim) == bool(expression):
        yield f"{where}: a claim or an expression is needed, not both"


def _expression_errors(where: str, text: str, variable: str) -> Iterator[str]:
    if text:
        try:
            Expression(text, variable)
        except BadExpression as error:
            yield f"{where}: {error}"
