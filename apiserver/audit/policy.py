"""The audit policy: how much is told of a request. Pure but for reading the file.

Source: Kubernetes documentation, "Auditing"; API reference, "audit.k8s.io/v1".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Literal

from pydantic import Field

from apimachinery.errors import FieldError
from apimachinery.meta import ObjectMeta
from apimachinery.model import Model
from apimachinery.validation import Errors
from apiserver.request.info import RequestInfo
from apiserver.request.user import User
from componentbase.configfile import decode_config, read_file, require_valid

API_VERSION = "audit.k8s.io/v1"
LEVELS = ("None", "Metadata", "Request", "RequestResponse")

Stage = Literal["RequestReceived", "ResponseStarted", "ResponseComplete", "Panic"]
STAGES = ("RequestReceived", "ResponseStarted", "ResponseComplete", "Panic")


class Level(IntEnum):
    NONE = 0
    METADATA = 1
    REQUEST = 2
    REQUEST_RESPONSE = 3


class GroupResources(Model):
    """Resources of an API group."""

    group: str = ""
    resources: list[str] = Field(default_factory=list)
    """`pods`, `pods/log`, `pods/*`, `*/scale` or `*`; none stands for all of the group."""
    resourceNames: list[str] = Field(default_factory=list)


class PolicyRule(Model):
    """A request has to match each of the members that are set."""

    level: str = ""
    users: list[str] = Field(default_factory=list)
    userGroups: list[str] = Field(default_factory=list)
    verbs: list[str] = Field(default_factory=list)
    resources: list[GroupResources] = Field(default_factory=list)
    namespaces: list[str] = Field(default_factory=list)
    """`""` stands for requests without a namespace."""
    nonResourceURLs: list[str] = Field(default_factory=list)
    omitStages: list[str] = Field(default_factory=list)
    omitManagedFields: bool | None = None


class Policy(Model):
    """The rules, of which the first that matches a request counts."""

    metadata: ObjectMeta = Field(default_factory=ObjectMeta)
    rules: list[PolicyRule] = Field(default_factory=list)
    omitStages: list[str] = Field(default_factory=list)
    omitManagedFields: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """How much is told of a request, and at which of its stages."""

    level: Level
    stages: frozenset[str]
    omit_managed_fields: bool = False


NOTHING = Decision(Level.NONE, frozenset())

Test = Callable[[User, RequestInfo], bool]


def read_policy(file: str) -> Policy:
    """Raises: ConfigFileError, for a file that can't be used."""
    policy = decode_config(read_file(file), {(API_VERSION, "Policy"): Policy})
    require_valid("Policy", policy_errors(policy))
    return policy


def policy_errors(policy: Policy) -> list[FieldError]:
    """Lists what is wrong with a policy."""
    errors = Errors()
    if not policy.rules:
        errors.required(("rules",), "a policy without rules tells nothing")
    for stage in policy.omitStages:
        if stage not in STAGES:
            errors.not_supported(("omitStages",), stage, STAGES)
    for index, rule in enumerate(policy.rules):
        path = ("rules", index)
        if not rule.level:
            errors.required((*path, "level"))
        elif rule.level not in LEVELS:
            errors.not_supported((*path, "level"), rule.level, LEVELS)
        for stage in rule.omitStages:
            if stage not in STAGES:
                errors.not_supported((*path, "omitStages"), stage, STAGES)
        if rule.nonResourceURLs and (rule.resources or rule.namespaces):
            text = "rules cannot apply to both regular resources and non-resource URLs"
            errors.invalid((*path, "nonResourceURLs"), rule.nonResourceURLs, text)
        for place, url in enumerate(rule.nonResourceURLs):
            if url != "*" and not url.startswith("/"):
                text = "non-resource URL rules must begin with a '/' character"
                errors.invalid((*path, "nonResourceURLs", place), url, text)
            elif "*" in url[:-1]:
                text = "non-resource URL wildcards '*' must be the final character of the rule"
                errors.invalid((*path, "nonResourceURLs", place), url, text)
        for place, group in enumerate(rule.resources):
            if group.resourceNames and not group.resources:
                text = "using resourceNames requires at least one resource"
                errors.invalid((*path, "resources", place, "resourceNames"), group.resourceNames, text)
    return errors


class Rules:
    """A policy made ready for its use by every request."""

    def __init__(self, policy: Policy) -> None:
        self._rules = [(_compile(rule), _decision(rule, policy)) for rule in policy.rules]

    def decide(self, user: User, info: RequestInfo) -> Decision:
        return next((decision for matches, decision in self._rules if matches(user, info)), NOTHING)


def _decision(rule: PolicyRule, policy: Policy) -> Decision:
    level = Level(LEVELS.index(rule.level))
    if level is Level.NONE:
        return NOTHING
    omitted = rule.omitManagedFields if rule.omitManagedFields is not None else policy.omitManagedFields
    return Decision(level, frozenset(STAGES) - {*policy.omitStages, *rule.omitStages}, omitted)


def _compile(rule: PolicyRule) -> Test:
    users, groups, verbs = frozenset(rule.users), frozenset(rule.userGroups), frozenset(rule.verbs)
    namespaces, exact = frozenset(rule.namespaces), frozenset(rule.nonResourceURLs)
    prefixes = tuple(url[:-1] for url in rule.nonResourceURLs if url.endswith("*"))

    def matches(user: User, info: RequestInfo) -> bool:
        if (users and user.name not in users) or (groups and groups.isdisjoint(user.groups)):
            return False
        if verbs and info.verb not in verbs:
            return False
        if rule.resources or namespaces:
            if not info.is_resource or (namespaces and info.namespace not in namespaces):
                return False
            return not rule.resources or any(_in_group(group, info) for group in rule.resources)
        if exact:
            return not info.is_resource and (info.path in exact or info.path.startswith(prefixes))
        return True

    return matches


def _in_group(group: GroupResources, info: RequestInfo) -> bool:
    if group.group != info.group:
        return False
    if not group.resources:
        return True
    if group.resourceNames and info.name not in group.resourceNames:
        return False
    names = {"*", f"{info.resource}/{info.subresource}" if info.subresource else info.resource, f"{info.resource}/*"}
    if info.subresource:
        names.add(f"*/{info.subresource}")
    return not names.isdisjoint(group.resources)
