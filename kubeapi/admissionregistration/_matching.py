"""Which requests a policy is about: rules and selectors."""

from __future__ import annotations

from collections.abc import Collection

from apimachinery.meta import LabelSelector
from apimachinery.model import Model
from apimachinery.names import path_segment_errors
from apimachinery.validation import Errors, Path
from kubeapi.admissionregistration._rules import (
    EQUIVALENT,
    MATCH_POLICIES,
    OPERATIONS,
    RuleWithOperations,
    check_rule,
    check_selectors,
    default_rules,
)


class NamedRuleWithOperations(
    RuleWithOperations, protobuf="resourceNames (operations (apiGroups apiVersions resources scope*))"
):
    """Requests by their operation and resource, possibly about some objects only."""

    map_type = "atomic"

    resourceNames: list[str] | None = None
    """The names of the objects; empty for all."""


class MatchResources(
    Model, protobuf="namespaceSelector* objectSelector* resourceRules excludeResourceRules - - matchPolicy*"
):
    """The requests that a policy is about: a rule matches, no excluding rule does, and the selectors hold."""

    map_type = "atomic"

    namespaceSelector: LabelSelector | None = None
    """The labels of the object's namespace, or of the object itself where it is a namespace. Other objects without a
    namespace are never left out by this. Default: any."""
    objectSelector: LabelSelector | None = None
    """The labels of the object or of its previous state; one of them is enough. Default: any."""
    resourceRules: list[NamedRuleWithOperations] | None = None
    """Operations and resources, of which one must match."""
    excludeResourceRules: list[NamedRuleWithOperations] | None = None
    """Operations and resources that are left out."""
    matchPolicy: str | None = None
    """`Exact`: rules match the version of the request alone. `Equivalent`: also others of the same resource. Default:
    `Equivalent`."""


def default_match(match: MatchResources | None) -> None:
    if match is None:
        return
    match.matchPolicy = match.matchPolicy or EQUIVALENT
    match.namespaceSelector = match.namespaceSelector or LabelSelector()
    match.objectSelector = match.objectSelector or LabelSelector()
    default_rules(match.resourceRules)
    default_rules(match.excludeResourceRules)


def check_match(errors: Errors, path: Path, match: MatchResources, operations: Collection[str] = OPERATIONS) -> None:
    """`operations` are those that the policy knows: fewer for one that changes objects."""
    check_selectors(errors, path, match.namespaceSelector, match.objectSelector)
    for member in ("resourceRules", "excludeResourceRules"):
        for index, rule in enumerate(getattr(match, member) or ()):
            at = (*path, member, index)
            names = rule.resourceNames or []
            for number, name in enumerate(names):
                errors.check_messages((*at, "resourceNames", number), name, path_segment_errors(name))
                if name in names[:number]:
                    errors.duplicate((*at, "resourceNames", number), name)
            check_rule(errors, at, rule)
    for rule in match.resourceRules or ():
        for operation in rule.operations or ():
            if operation in OPERATIONS and operation not in operations:
                errors.not_supported((*path, "resourceRules", "operations"), operation, operations)
    errors.check_one_of((*path, "matchPolicy"), match.matchPolicy, MATCH_POLICIES)
