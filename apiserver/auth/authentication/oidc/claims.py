"""What the claims of a verified token say about its user: a pure function of the configuration and the claims."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from apiserver.auth.authentication.oidc.configuration import ClaimOrExpression, JWTAuthenticator, PrefixedClaim
from apiserver.auth.authentication.oidc.expressions import BadExpression, Expression
from apiserver.auth.authentication.tokens import InvalidToken
from apiserver.request.user import AUTHENTICATED, User

Claims = Mapping[str, Any]


class ClaimsReader:
    """Turns claims into users, by one authenticator of the configuration."""

    def __init__(self, authenticator: JWTAuthenticator) -> None:
        """Raises: BadExpression."""
        self._mappings = mappings = authenticator.claimMappings
        self._rules = [(rule, _compiled(rule.expression, "claims")) for rule in authenticator.claimValidationRules]
        self._user_rules = [(rule, Expression(rule.expression, "user")) for rule in authenticator.userValidationRules]
        self._expressions = {
            name: _compiled(mapping.expression, "claims")
            for name, mapping in (("username", mappings.username), ("groups", mappings.groups), ("uid", mappings.uid))
        }
        self._extra = [(extra.key, Expression(extra.valueExpression, "claims")) for extra in mappings.extra]

    def user(self, claims: Claims) -> User:
        """Raises: InvalidToken."""
        try:
            self._check_claims(claims)
            user = User(self._username(claims), self._uid(claims), self._groups(claims), self._extras(claims))
            self._check_user(user)
        except BadExpression as error:
            raise InvalidToken(f"oidc: {error}") from None
        return user

    def _check_claims(self, claims: Claims) -> None:
        for rule, expression in self._rules:
            if expression is None:
                value = claims.get(rule.claim)
                if not isinstance(value, str) or value != rule.requiredValue:
                    raise InvalidToken(f"oidc: required claim {rule.claim} does not have the required value")
            elif expression.evaluate(claims) is not True:
                raise InvalidToken(f"oidc: {rule.message or f'{rule.expression!r} is not true'}")

    def _check_user(self, user: User) -> None:
        shown = {
            "username": user.name,
            "uid": user.uid,
            "groups": list(user.groups[:-1]),  # without the group of all users, which the token does not give
            "extra": {key: list(values) for key, values in user.extra},
        }
        for rule, expression in self._user_rules:
            if expression.evaluate(shown) is not True:
                raise InvalidToken(f"oidc: {rule.message or f'{rule.expression!r} is not true'}")

    def _username(self, claims: Claims) -> str:
        mapping = self._mappings.username
        name = self._value("username", mapping, claims)
        if not isinstance(name, str) or not name:
            raise InvalidToken("oidc: the token names no user")
        if mapping.claim == "email" and claims.get("email_verified", True) is not True:
            raise InvalidToken("oidc: email not verified")
        return (mapping.prefix or "") + name

    def _uid(self, claims: Claims) -> str:
        uid = self._value("uid", self._mappings.uid, claims)
        if uid is None:
            return ""
        if not isinstance(uid, str):
            raise InvalidToken("oidc: the uid is not a string")
        return uid

    def _groups(self, claims: Claims) -> tuple[str, ...]:
        mapping = self._mappings.groups
        groups = _texts(self._value("groups", mapping, claims), "groups")
        named = tuple((mapping.prefix or "") + group for group in groups)
        return (*(group for group in named if group != AUTHENTICATED), AUTHENTICATED)

    def _extras(self, claims: Claims) -> tuple[tuple[str, tuple[str, ...]], ...]:
        values = ((key, tuple(_texts(expression.evaluate(claims), key))) for key, expression in self._extra)
        return tuple((key, texts) for key, texts in values if texts)

    def _value(self, name: str, mapping: PrefixedClaim | ClaimOrExpression, claims: Claims) -> Any:
        """None where the claim is missing, or nothing is mapped."""
        expression = self._expressions[name]
        return claims.get(mapping.claim) if expression is None else expression.evaluate(claims)


def _compiled(text: str, variable: str) -> Expression | None:
    return Expression(text, variable) if text else None


def _texts(value: Any, what: str) -> list[str]:
    """One string or a list of them; nothing for null and "". Raises: InvalidToken."""
    texts = value if isinstance(value, list) else [] if value is None else [value]
    if not all(isinstance(text, str) for text in texts):
        raise InvalidToken(f"oidc: {what} must be a string or a list of strings")
    return [text for text in texts if text]
