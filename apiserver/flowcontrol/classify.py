"""Which flow schema a request belongs to, and which flow of it. Pure: compiled when schemas or levels change."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from apiserver.flowcontrol.shuffle import hash_flow
from apiserver.request.info import RequestInfo
from apiserver.request.user import User
from kubeapi.flowcontrol._flowcontrol import CATCH_ALL
from kubeapi.flowcontrol._rules import NonResourcePolicyRule, PolicyRulesWithSubjects, ResourcePolicyRule, Subject
from kubeapi.flowcontrol.flowschema import FlowSchema

REMEMBERED = 8192  # shapes of requests whose schema is known; then all are worked out anew
ACCOUNT_PREFIX = "system:serviceaccount:"

Test = Callable[[User, RequestInfo], bool]


@dataclass(frozen=True, slots=True)
class Flow:
    """Where a request belongs."""

    schema: str
    level: str
    distinguisher: str
    hash: int
    head: bytes
    """Header lines of the answer that name the schema and the level by their UIDs."""


class Classifier:
    """Schemas in the order in which they are asked. One whose level is missing does not count."""

    def __init__(self, schemas: Iterable[FlowSchema], level_uids: Mapping[str, str]) -> None:
        """`level_uids`: the name of each level -> its UID. The schema `catch-all` is among the schemas."""
        in_order = sorted(schemas, key=lambda schema: (schema.spec.matchingPrecedence, schema.name))
        usable = [schema for schema in in_order if schema.spec.priorityLevelConfiguration.name in level_uids]
        self._schemas = [(schema, _compile(schema)) for schema in usable]
        self._last = next(schema for schema in usable if schema.name == CATCH_ALL)
        self._level_uids = level_uids
        self._flows: dict[tuple[object, ...], Flow] = {}

    def flow(self, user: User, info: RequestInfo) -> Flow:
        if info.is_resource:
            resource = (info.group, info.resource, info.subresource, info.namespace)
            shape: tuple[object, ...] = (user.name, user.groups, info.verb, resource)
        else:
            shape = (user.name, user.groups, info.verb, info.path)
        flow = self._flows.get(shape)
        if flow is None:
            if len(self._flows) >= REMEMBERED:
                self._flows.clear()
            flow = self._flows[shape] = self._work_out(user, info)
        return flow

    def _work_out(self, user: User, info: RequestInfo) -> Flow:
        found = (schema for schema, matches in self._schemas if matches(user, info))
        schema = next(found, self._last)
        method = schema.spec.distinguisherMethod
        distinguisher = ""
        if method is not None:
            distinguisher = user.name if method.type == "ByUser" else info.namespace
        level = schema.spec.priorityLevelConfiguration.name
        head = b"x-kubernetes-pf-flowschema-uid: %b\r\nx-kubernetes-pf-prioritylevel-uid: %b\r\n" % (
            (schema.metadata.uid or "").encode(),
            self._level_uids[level].encode(),
        )
        return Flow(schema.name, level, distinguisher, hash_flow(schema.name, distinguisher), head)


def _compile(schema: FlowSchema) -> Test:
    rules = [_rule(rule) for rule in schema.spec.rules or ()]
    return lambda user, info: any(matches(user, info) for matches in rules)


def _rule(rule: PolicyRulesWithSubjects) -> Test:
    subjects = [_subject(subject) for subject in rule.subjects]
    resources = [_resources(policy) for policy in rule.resourceRules or ()]
    paths = [_paths(policy) for policy in rule.nonResourceRules or ()]

    def matches(user: User, info: RequestInfo) -> bool:
        tests = resources if info.is_resource else paths
        return any(test(info) for test in tests) and any(test(user) for test in subjects)

    return matches


def _subject(subject: Subject) -> Callable[[User], bool]:
    if subject.user is not None:
        name = subject.user.name
        return lambda user: name in ("*", user.name)
    if subject.group is not None:
        group = subject.group.name
        return lambda user: group == "*" or group in user.groups
    account = subject.serviceAccount
    if account is None:
        return lambda user: False
    prefix = f"{ACCOUNT_PREFIX}{account.namespace}:"
    if account.name == "*":
        return lambda user: user.name.startswith(prefix)
    return lambda user: user.name == prefix + account.name


def _resources(rule: ResourcePolicyRule) -> Callable[[RequestInfo], bool]:
    verb, group = _among(rule.verbs), _among(rule.apiGroups)
    resource, namespace = _among(rule.resources), _among(rule.namespaces or ())

    def matches(info: RequestInfo) -> bool:
        name = f"{info.resource}/{info.subresource}" if info.subresource else info.resource
        scope = namespace(info.namespace) if info.namespace else rule.clusterScope
        return verb(info.verb) and group(info.group) and resource(name) and scope

    return matches


def _paths(rule: NonResourcePolicyRule) -> Callable[[RequestInfo], bool]:
    verb = _among(rule.verbs)
    prefixes = tuple(url[:-1] for url in rule.nonResourceURLs if url.endswith("*"))
    exact = frozenset(rule.nonResourceURLs)
    return lambda info: verb(info.verb) and (info.path in exact or info.path.startswith(prefixes))


def _among(values: Iterable[str]) -> Callable[[str], bool]:
    """Returns a test for being one of the values, of which `*` stands for all."""
    names = frozenset(values)
    return (lambda name: True) if "*" in names else names.__contains__
