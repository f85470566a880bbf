"""Nobody grants what they don't hold: what a user may write into roles, and which roles into bindings.

Source: Kubernetes documentation, "Using RBAC Authorization", "Privilege escalation prevention and bootstrapping".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from apimachinery.errors import join_errors, quote
from apiserver.auth.authorization.defaults._role import allow, allow_paths
from apiserver.auth.authorization.rules import Rule, RuleIndex
from apiserver.request.user import User
from kubeapi.rbac._rules import PolicyRule

EVERYTHING = (allow("*", "*", "*"), allow_paths("*", "*"))


def escalation_error(user: User, held: Iterable[Rule], errors: Sequence[str], wanted: Iterable[PolicyRule]) -> str:
    """Returns "" if the rules that the user holds cover the others, else why they may not be granted.

    `errors` tell which of the user's rules are not known.
    """
    missing = RuleIndex(held).uncovered(wanted)
    if not missing:
        return ""
    groups = " ".join(map(quote, user.groups))
    lines = "\n".join(sorted({_text(rule) for rule in compact(missing)}))
    unknown = f"; resolution errors: [{join_errors(errors)}]" if errors else ""
    return (
        f"user {quote(user.name)} (groups=[{groups}]) is attempting to grant RBAC permissions not currently held:\n"
        f"{lines}{unknown}"
    )


def compact(rules: Iterable[PolicyRule]) -> list[PolicyRule]:
    """Joins the verbs of rules that are about the same resource and name."""
    verbs: dict[tuple[str, str, str | None], dict[str, None]] = {}
    others: list[PolicyRule] = []
    for rule in rules:
        groups, resources = rule.apiGroups or [], rule.resources or []
        names: Sequence[str | None] = rule.resourceNames or [None]
        if len(groups) == len(resources) == len(names) == 1:
            verbs.setdefault((groups[0], resources[0], names[0]), {}).update(dict.fromkeys(rule.verbs))
        else:
            others.append(rule)
    joined = [
        PolicyRule(
            verbs=list(words), apiGroups=[group], resources=[resource], resourceNames=None if name is None else [name]
        )
        for (group, resource, name), words in verbs.items()
    ]
    return joined + others


def _text(rule: PolicyRule) -> str:
    parts = {
        "APIGroups": rule.apiGroups,
        "Resources": rule.resources,
        "ResourceNames": rule.resourceNames,
        "NonResourceURLs": rule.nonResourceURLs,
        "Verbs": rule.verbs,
    }
    text = ", ".join(f"{name}:[{' '.join(map(quote, words))}]" for name, words in parts.items() if words)
    return f"{{{text}}}"
