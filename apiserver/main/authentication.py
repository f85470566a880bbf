"""Assembles the authenticators that the flags ask for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from apimachinery.resource import Resource
from apiserver.auth.authentication.authenticator import Anonymous, Authenticator, TokenSource
from apiserver.auth.authentication.bootstrap_tokens import BootstrapTokens
from apiserver.auth.authentication.front_proxy import FrontProxy, FrontProxySettings
from apiserver.auth.authentication.oidc.configuration import (
    ALGORITHMS,
    AuthenticationConfiguration,
    ClaimMappings,
    ClaimValidationRule,
    ConfigurationError,
    Issuer,
    JWTAuthenticator,
    PrefixedClaim,
    check,
    read_configuration,
)
from apiserver.auth.authentication.token_file import TokenFileError, read_token_file
from apiserver.auth.authentication.tokens import ServiceAccountTokens
from apiserver.auth.authorization.modes import ALWAYS_ALLOW
from apiserver.options.authentication import OidcOptions, RequestHeaderOptions, WebhookTokenOptions
from apiserver.options.options import Options
from apiserver.request.user import User
from apiserver.storage import CachedStorage
from componentbase import logs, tls
from componentbase.clock import Clock
from componentbase.daemon import FatalError
from kubeclient.access.config import ConfigError, load_config

log = logs.logger(__name__)


def make_authenticator(
    options: Options, accounts: ServiceAccountTokens, storage: CachedStorage, secrets: Resource[Any], clock: Clock
) -> Authenticator:
    """Raises: FatalError for a file that can't be used."""
    sources: list[TokenSource] = []
    if options.authentication.enable_bootstrap_token_auth:
        sources.append(BootstrapTokens(storage, secrets, clock, accounts.audiences))
    configuration = _configuration(options)
    if configuration.jwt:
        from apiserver.auth.authentication.oidc.tokens import IssuedTokens

        sources += [IssuedTokens(issuer, clock, accounts.audiences) for issuer in configuration.jwt]
    if options.authentication.webhook.config_file:
        sources.append(_webhook(options.authentication.webhook, clock, accounts.audiences))
    return Authenticator(
        _token_file(options.authentication.token_auth_file),
        accounts,
        _anonymous(options, configuration),
        sources=sources,
        front_proxy=front_proxy(options.authentication.request_header, options.client_ca_file),
    )


def _webhook(options: WebhookTokenOptions, clock: Clock, audiences: Sequence[str]) -> TokenSource:
    from apiserver.auth.authentication.webhook import WebhookTokens

    try:
        config = load_config(options.config_file)
        return WebhookTokens(config, options.version, options.cache_ttl, clock, audiences)
    except (ConfigError, OSError) as error:  # a bad certificate too: ssl.SSLError is one
        raise FatalError(f"--authentication-token-webhook-config-file: {error}") from None


def _anonymous(options: Options, configuration: AuthenticationConfiguration) -> Anonymous:
    """Anonymous requests are refused where everything is allowed. Raises: FatalError."""
    flag = options.authentication.anonymous_auth
    wanted = Anonymous(flag is not False)
    if (member := configuration.anonymous) is not None:
        if flag is not None:
            raise FatalError(
                "--anonymous-auth and the member `anonymous` of --authentication-config exclude each other"
            )
        paths = frozenset(condition.path for condition in member.conditions)
        wanted = Anonymous(member.enabled, paths or None)
    if wanted.enabled and ALWAYS_ALLOW in options.authorization_modes:
        log.warning("anonymous requests are refused, since everything is allowed", mode=ALWAYS_ALLOW)
        return Anonymous(enabled=False)
    return wanted


def _configuration(options: Options) -> AuthenticationConfiguration:
    """Raises: FatalError."""
    file = options.authentication.authentication_config
    if not file and not options.authentication.oidc.issuer_url:
        return AuthenticationConfiguration()
    try:
        if file:
            return read_configuration(file, options.service_account_issuers)
        return _configuration_of_flags(options.authentication.oidc, options.service_account_issuers)
    except (ConfigurationError, OSError) as error:
        raise FatalError(f"{'--authentication-config' if file else '--oidc-...'}: {error}") from None


def _configuration_of_flags(oidc: OidcOptions, own_issuers: list[str]) -> AuthenticationConfiguration:
    """Raises: ConfigurationError, OSError."""
    prefix = oidc.username_prefix
    if not prefix and oidc.username_claim != "email":
        prefix = f"{oidc.issuer_url}#"
    rules = [item.partition("=") for item in oidc.required_claim]
    if unknown := [name for name in oidc.signing_algs if name not in ALGORITHMS]:
        raise ConfigurationError(f"unsupported signing algorithm {unknown[0]}; there are {', '.join(ALGORITHMS)}")
    authenticator = JWTAuthenticator(
        issuer=Issuer(
            url=oidc.issuer_url,
            audiences=[oidc.client_id],
            certificateAuthority=Path(oidc.ca_file).read_text() if oidc.ca_file else "",
        ),
        claimValidationRules=[ClaimValidationRule(claim=claim, requiredValue=value) for claim, _, value in rules],
        claimMappings=ClaimMappings(
            username=PrefixedClaim(claim=oidc.username_claim, prefix="" if prefix == "-" else prefix),
            groups=PrefixedClaim(claim=oidc.groups_claim, prefix=oidc.groups_prefix if oidc.groups_claim else None),
        ),
        algorithms=tuple(oidc.signing_algs),
    )
    return check(AuthenticationConfiguration(jwt=[authenticator]), own_issuers)


def front_proxy(headers: RequestHeaderOptions, client_ca_file: str) -> FrontProxy | None:
    """`client_ca_file` has the authority of users. Raises: FatalError."""
    if not headers.client_ca_file:
        return None
    settings = FrontProxySettings(
        authorities=_authorities("--requestheader-client-ca-file", headers.client_ca_file),
        client_authorities=_authorities("--client-ca-file", client_ca_file),
        allowed_names=frozenset(headers.allowed_names),
        user_headers=_lower(headers.username_headers),
        uid_headers=_lower(headers.uid_headers),
        group_headers=_lower(headers.group_headers),
        extra_prefixes=_lower(headers.extra_headers_prefix),
    )
    if not settings.allowed_names and settings.authorities & settings.client_authorities:
        log.warning("every client certificate may name any user: name proxies by --requestheader-allowed-names")
    return FrontProxy(settings)


def _lower(names: list[str]) -> tuple[bytes, ...]:
    return tuple(name.lower().encode("latin-1") for name in names)


def _authorities(flag: str, file: str) -> frozenset[str]:
    try:
        return tls.authorities(file) if file else frozenset()
    except OSError as error:  # a bad certificate too: ssl.SSLError is one
        raise FatalError(f"{flag}: {error}") from None


def _token_file(path: str) -> dict[bytes, User]:
    if not path:
        return {}
    try:
        return read_token_file(path)
    except (TokenFileError, OSError) as error:
        raise FatalError(f"--token-auth-file: {error}") from None
