"""authorization.k8s.io: who may do what, answered by the authorizer that decides about requests."""

from __future__ import annotations

from apimachinery.errors import BadRequest
from apimachinery.selectors import FieldSelector, parse_field_selector
from apiserver.auth.authorization.authorizer import Authorizer, decide
from apiserver.request.info import RequestInfo
from apiserver.request.message import Request
from apiserver.request.user import User
from apiserver.virtual._virtual import Virtual, review
from kubeapi.authorization.selfsubjectaccessreview import SelfSubjectAccessReview
from kubeapi.authorization.selfsubjectrulesreview import (
    NonResourceRule,
    ResourceRule,
    SelfSubjectRulesReview,
    SubjectRulesReviewStatus,
)
from kubeapi.authorization.subjectaccessreview import (
    FieldSelectorAttributes,
    NonResourceAttributes,
    ResourceAttributes,
    SubjectAccessReview,
    SubjectAccessReviewStatus,
)


def request_of(resource: ResourceAttributes | None, path: NonResourceAttributes | None) -> RequestInfo:
    """The request that is asked about."""
    if resource is None:
        path = path or NonResourceAttributes()
        return RequestInfo(path.verb or "", path.path or "")
    return RequestInfo(
        resource.verb or "",
        "",
        True,
        resource.group or "",
        resource.version or "",
        resource.namespace or "",
        resource.resource or "",
        resource.subresource or "",
        resource.name or "",
        fields=_fields(resource.fieldSelector),
    )


def _fields(selector: FieldSelectorAttributes | None) -> FieldSelector | None:
    """Returns the conditions that a field selector of a request can state. Upstream leaves out all others too: the
    answer is then about more objects, never fewer."""
    if selector is None:
        return None
    if selector.rawSelector:
        try:
            return parse_field_selector(selector.rawSelector)
        except BadRequest:
            return None
    operators = {"In": "=", "NotIn": "!="}
    return FieldSelector(
        tuple(
            (item.key, operators[item.operator], item.values[0])
            for item in selector.requirements or ()
            if item.operator in operators and item.values and len(item.values) == 1
        )
    )


async def _status(authorizer: Authorizer, user: User, info: RequestInfo) -> SubjectAccessReviewStatus:
    decision = await decide(authorizer, user, info)
    return SubjectAccessReviewStatus(
        allowed=decision.allowed,
        denied=True if decision.verdict == "deny" else None,
        reason=decision.reason or None,
        evaluationError=decision.error or None,
    )


async def review_access(request: Request, obj: SubjectAccessReview, *, authorizer: Authorizer) -> None:
    spec = obj.spec
    extra = tuple((key, tuple(values)) for key, values in (spec.extra or {}).items())
    user = User(spec.user or "", spec.uid or "", tuple(spec.groups or ()), extra)
    obj.status = await _status(authorizer, user, request_of(spec.resourceAttributes, spec.nonResourceAttributes))


async def review_own_access(request: Request, obj: SelfSubjectAccessReview, *, authorizer: Authorizer) -> None:
    info = request_of(obj.spec.resourceAttributes, obj.spec.nonResourceAttributes)
    obj.status = await _status(authorizer, request.user, info)


def review_own_rules(request: Request, obj: SelfSubjectRulesReview, *, authorizer: Authorizer) -> None:
    """Answers without the question, and so without its owner, as upstream does."""
    if not obj.spec.namespace:
        raise BadRequest("no namespace on request")
    rules = authorizer.rules(request.user, obj.spec.namespace)
    obj.spec.namespace = obj.metadata.managedFields = None
    obj.status = SubjectRulesReviewStatus(
        resourceRules=[
            ResourceRule(
                verbs=list(rule.verbs),
                apiGroups=list(rule.groups),
                resources=list(rule.resources),
                resourceNames=list(rule.names) or None,
            )
            for rule in rules.resources
        ],
        nonResourceRules=[
            NonResourceRule(verbs=list(rule.verbs), nonResourceURLs=list(rule.paths)) for rule in rules.paths
        ],
        incomplete=rules.incomplete,
        evaluationError=rules.error or None,
    )


VIRTUAL = Virtual(
    "authorization.k8s.io",
    {
        "subjectaccessreviews": review(review_access),
        "localsubjectaccessreviews": review(review_access),
        "selfsubjectaccessreviews": review(review_own_access),
        "selfsubjectrulesreviews": review(review_own_rules),
    },
)
