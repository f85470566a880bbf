"""A request as expressions see it: `object`, `oldObject`, `request`, `namespaceObject`, `authorizer`.

Everything is made when it is first asked for, and once for all policies.
"""

from __future__ import annotations

from collections.abc import Awaitable, Hashable
from functools import cached_property
from typing import Any, cast

import orjson

from apimachinery.errors import BadRequest
from apimachinery.meta import ObjectMeta
from apimachinery.model import Model, to_dict
from apimachinery.resource import Resource
from apimachinery.selectors import parse_field_selector
from apiserver.admission._plugin import CREATE, Attributes, Lookup
from apiserver.auth.authorization.authorizer import Decision
from apiserver.codec.body import decode_object
from apiserver.request.info import RequestInfo, access
from apiserver.request.user import AUTHENTICATED, User
from kubecel.libraries import authorizers
from kubecel.libraries.authorizers import Authorizer, Question, ResourceCheck

SERVICE_ACCOUNTS = "system:serviceaccounts"
_OPTIONS = {"CREATE": "CreateOptions", "UPDATE": "UpdateOptions", "DELETE": "DeleteOptions"}


class MustAsk(Exception):
    """An expression asks something that another server has to be asked about: wait for `answer`, then start again."""

    def __init__(self, question: Question, answer: Awaitable[Decision]) -> None:
        super().__init__(question)
        self.question, self.answer = question, answer


class Review:
    """The values of one request."""

    def __init__(self, attributes: Attributes, lookup: Lookup, version: Resource[Any] | None = None) -> None:
        """`version`: the kind that the objects are shown in. Default: that of the request."""
        self.attributes, self._lookup = attributes, lookup
        self._version = version or attributes.resource
        self._in_versions: dict[str, Review] = {}
        self._answers: dict[Question, authorizers.Decision] = {}
        self._documents: tuple[object, dict[str, Any] | None] = (None, None)

    def in_version(self, version: Resource[Any]) -> Review:
        """Returns the review with the objects in another version of the resource."""
        if version is self._version:
            return self
        if version.api_version not in self._in_versions:
            self._in_versions[version.api_version] = Review(self.attributes, self._lookup, version)
        return self._in_versions[version.api_version]

    def unconverted(self, version: Resource[Any]) -> bool:
        """Tells whether `convert` has to come before the objects can be shown in the version."""
        return takes_webhook(self.attributes.resource, version) and bool(
            _unconverted(self.attributes, version, self.document(), self.old_document)
        )

    async def convert(self, version: Resource[Any], document: dict[str, Any] | None) -> None:
        """Has the object, as `document`, and the old one converted, where a webhook must be asked for that.

        Raises: StatusError, where it can't convert them.
        """
        if takes_webhook(self.attributes.resource, version):
            await convert(self.attributes, version, document, self.old_document)

    def document(self) -> dict[str, Any] | None:
        """The object as it is now; a plugin that changes it needs a review of its own."""
        if self._documents[0] is not self.attributes.obj:
            self._documents = self.attributes.obj, self._document(self.attributes.obj)
        return self._documents[1]

    @cached_property
    def old_document(self) -> dict[str, Any] | None:
        return self._document(self.attributes.old)

    def _document(self, obj: Model | dict[str, Any] | None) -> dict[str, Any] | None:
        if obj is None:
            return None
        resource, document = self.attributes.resource, dict(obj) if isinstance(obj, dict) else to_dict(obj)
        document.get("metadata", {}).pop("managedFields", None)
        if isinstance(obj, resource.model):
            document = converted(self.attributes, document, resource, self._version)
        return document

    @cached_property
    def request(self) -> dict[str, Any]:
        """The AdmissionRequest, without the objects."""
        attributes = self.attributes
        resource, user = attributes.resource, attributes.user
        kind = self._kind(self._version)
        info: dict[str, Any] = {"username": user.name}
        if user.uid:
            info["uid"] = user.uid
        if user.groups:
            info["groups"] = list(user.groups)
        if user.extra:
            info["extra"] = {key: list(values) for key, values in user.extra}
        request: dict[str, Any] = {
            "kind": kind,
            "resource": _place(self._version),
            "requestKind": self._kind(resource),
            "requestResource": _place(resource),
            "operation": attributes.operation,
            "userInfo": info,
            "dryRun": attributes.dry_run,
            "options": self._options(),
        }
        optional = {
            "name": attributes.name,
            "namespace": attributes.namespace,
            "subResource": attributes.subresource,
            "requestSubResource": attributes.subresource,
        }
        return request | {key: value for key, value in optional.items() if value}

    def _options(self) -> dict[str, Any] | None:
        if self.attributes.operation not in _OPTIONS:
            return None
        options: dict[str, Any] = {"kind": _OPTIONS[self.attributes.operation], "apiVersion": "meta.k8s.io/v1"}
        return options | {"dryRun": ["All"]} if self.attributes.dry_run else options

    def _kind(self, resource: Resource[Any]) -> dict[str, str]:
        """The kind of the object, which is another one for some subresources."""
        obj = self.attributes.obj
        members = obj if isinstance(obj, dict) else vars(obj) if obj is not None else {}
        sent = members.get("apiVersion"), members.get("kind")
        if obj is None or isinstance(obj, self.attributes.resource.model) or not all(sent):
            return {"group": resource.group, "version": resource.version, "kind": resource.kind}
        group, _, version = str(sent[0]).rpartition("/")
        return {"group": group, "version": version, "kind": str(sent[1])}

    @cached_property
    def namespace(self) -> dict[str, Any] | None:
        """The object's namespace; None for kinds without."""
        attributes = self.attributes
        namespaces = self._lookup.resource("namespaces")
        name = attributes.namespace if attributes.resource.namespaced else ""
        entry = self._lookup.storage.latest(namespaces, "", name) if name else None
        if entry is None:
            return None
        document: dict[str, Any] = orjson.loads(entry.value)
        document["metadata"].pop("managedFields", None)
        return document

    # -- authorization

    @cached_property
    def authorizer(self) -> Authorizer:
        return Authorizer(self._decide)

    @cached_property
    def request_check(self) -> ResourceCheck:
        """A check about the object of the request: `authorizer.requestResource`."""
        attributes, resource = self.attributes, self.attributes.resource
        question = Question(
            group=resource.group,
            resource=resource.plural,
            subresource=attributes.subresource,
            namespace=attributes.namespace,
            name=attributes.name,
        )
        return ResourceCheck(self._decide, question)

    def _decide(self, question: Question) -> authorizers.Decision:
        """Raises: MustAsk."""
        if question not in self._answers:
            user = self._asked_about(question)
            answer = self._lookup.authorizer.authorize(user, _info(question))
            if not isinstance(answer, Decision):
                raise MustAsk(question, answer)
            self._note(question, answer)
        return self._answers[question]

    def _asked_about(self, question: Question) -> User:
        if question.account is None:
            return self.attributes.user
        namespace, name = question.account
        groups = (SERVICE_ACCOUNTS, f"{SERVICE_ACCOUNTS}:{namespace}", AUTHENTICATED)
        return User(f"system:serviceaccount:{namespace}:{name}", "", groups)

    def _note(self, question: Question, decision: Decision) -> None:
        self._answers[question] = authorizers.Decision(decision.allowed, decision.reason, decision.error)

    async def ask(self, missing: MustAsk) -> None:
        self._note(missing.question, await missing.answer)


def _place(resource: Resource[Any]) -> dict[str, str]:
    return {"group": resource.group, "version": resource.version, "resource": resource.plural}


def takes_webhook(source: Resource[Any], target: Resource[Any]) -> bool:
    """Tells whether a webhook converts objects from one version to another."""
    return source is not target and target.schema is not None and target.schema.by_webhook


def _unconverted(attributes: Attributes, target: Resource[Any], *documents: dict[str, Any] | None) -> list[bytes]:
    """Returns, encoded, the documents that the webhook has not converted for this request."""
    values = dict.fromkeys(orjson.dumps(document) for document in documents if document is not None)
    return [value for value in values if (target.api_version, value) not in attributes.conversions]


async def convert(attributes: Attributes, target: Resource[Any], *documents: dict[str, Any] | None) -> None:
    """Asks the kind's webhook for what `converted` is to return, once for each request. Raises: StatusError."""
    values = _unconverted(attributes, target, *documents)
    if values and target.schema is not None:
        answers = await target.schema.convert_by_webhook(values)
        attributes.conversions.update(
            ((target.api_version, old), new) for old, new in zip(values, answers, strict=True)
        )


def converted(
    attributes: Attributes, document: dict[str, Any], source: Resource[Any], target: Resource[Any]
) -> dict[str, Any]:
    """Returns an object of one version in another one of the same resource; it may change its argument. Where it takes
    a webhook, `convert` has asked this one."""
    if target is not source and target.schema is not None:
        value = orjson.dumps(document)
        by_webhook = target.schema.by_webhook
        shown = attributes.conversions[target.api_version, value] if by_webhook else target.schema.convert(value)
        return cast("dict[str, Any]", orjson.loads(shown))
    if target is not source:
        document = source.view.from_view(document) if source.view else document
        document = target.view.to_view(document) if target.view else document
    return document | {"apiVersion": target.api_version, "kind": target.kind}


class Turns:
    """Tells which policies or webhooks of a plugin are asked in this round, and keeps how each has left the object."""

    def __init__(self, review: Review) -> None:
        self._review, self._attributes = review, review.attributes
        self.first = review.document()
        """The object before anybody is asked."""

    def asks(self, key: Hashable, document: dict[str, Any] | None, *, again: bool) -> bool:
        """Tells whether a policy or webhook is asked about the object as it is now."""
        if self._attributes.round == 0:
            return True
        return again and document != self._attributes.left.get(key, document)

    def note(self, key: Hashable, document: dict[str, Any] | None) -> None:
        self._attributes.left[key] = document

    def end(self, document: dict[str, Any] | None) -> None:
        """Puts the object in its place where it was changed. Raises: StatusError."""
        attributes = self._attributes
        if document is None or document == self.first:
            return
        replace_object(attributes, document)
        attributes.changed = True
        completed = self._review.document()  # with defaults, which count as no change by somebody else
        attributes.left = {key: completed if known == document else known for key, known in attributes.left.items()}


def replace_object(attributes: Attributes, document: dict[str, Any]) -> None:
    """Puts the document in the place of the request's object, with the defaults of what is new.

    Raises: StatusError, for what can't be read as such an object, or belongs to another namespace than the request.
    """
    obj, resource = attributes.obj, attributes.resource
    if not isinstance(obj, resource.model):
        new = type(obj).model_validate(document)
    else:
        new = decode_object(resource, orjson.dumps(document))
        keep_identity(attributes, new.metadata, obj.metadata)
    for name in type(new).model_fields:
        setattr(obj, name, getattr(new, name))
    if hasattr(new, "content"):
        obj.content = new.content


def keep_identity(attributes: Attributes, new: ObjectMeta, old: ObjectMeta) -> None:
    """Takes back what only the server says of an object. Raises: BadRequest, for another namespace."""
    if (new.namespace or "") != (old.namespace or ""):
        raise BadRequest("the namespace of the provided object does not match the namespace sent on the request")
    new.managedFields = old.managedFields
    if attributes.operation == CREATE:
        new.resourceVersion = new.deletionTimestamp = new.deletionGracePeriodSeconds = None


def _info(question: Question) -> RequestInfo:
    if question.path is not None:
        return RequestInfo(question.verb, question.path)
    info = access(
        question.verb,
        question.resource,
        question.name,
        group=question.group,
        namespace=question.namespace,
        subresource=question.subresource,
    )
    try:
        return info._replace(fields=parse_field_selector(question.field_selector))
    except BadRequest:  # the check is about all objects then, as upstream's
        return info
