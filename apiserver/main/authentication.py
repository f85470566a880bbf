"""Assembles the authenticators that the flags ask for."""

from __future__ import annotations

from apiserver.auth.authentication.authenticator import Anonymous, Authenticator
from apiserver.auth.authentication.token_file import TokenFileError, read_token_file
from apiserver.auth.authentication.tokens import ServiceAccountTokens
from apiserver.auth.authorization.modes import ALWAYS_ALLOW
from apiserver.main.options import Options
from apiserver.request.user import User
from componentbase import logs
from componentbase.daemon import FatalError

log = logs.logger(__name__)


def make_authenticator(options: Options, accounts: ServiceAccountTokens) -> Authenticator:
    """Raises: FatalError for a file that can't be used."""
    return Authenticator(_token_file(options.authentication.token_auth_file), accounts, _anonymous(options))


def _anonymous(options: Options) -> Anonymous:
    """Whoever may do everything must at least have a name."""
    if options.authentication.anonymous_auth and ALWAYS_ALLOW in options.authorization_modes:
        log.warning("anonymous requests are refused, since everything is allowed", mode=ALWAYS_ALLOW)
        return Anonymous(enabled=False)
    return Anonymous(options.authentication.anonymous_auth)


def _token_file(path: str) -> dict[bytes, User]:
    if not path:
        return {}
    try:
        return read_token_file(path)
    except (TokenFileError, OSError) as error:
        raise FatalError(f"--token-auth-file: {error}") from None
