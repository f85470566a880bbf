"""What validating and mutating webhooks share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any
from urllib.parse import urlsplit

from apimachinery.errors import FieldError
from apimachinery.meta import LabelSelector
from apimachinery.model import Base64, Int32, ListMapKeys, MergeKey, Model, Required
from apimachinery.names import dns_subdomain_errors
from apimachinery.resource import Strategy
from apimachinery.validation import Errors, Path
from kubeapi.admissionregistration._expressions import condition_scope
from kubeapi.admissionregistration._rules import (
    EQUIVALENT,
    FAIL,
    FAILURE_POLICIES,
    MATCH_POLICIES,
    MatchCondition,
    RuleWithOperations,
    check_rule,
    check_selectors,
    default_rules,
)
from kubeapi.admissionregistration._variables import check_match_conditions

DEFAULT_PORT = 443
DEFAULT_TIMEOUT_SECONDS, MAX_TIMEOUT_SECONDS = 10, 30
SIDE_EFFECTS = ("None", "NoneOnDryRun")
REVIEW_VERSIONS = ("v1", "v1beta1")
_URL_FORMAT = "desired format: https://host[/path]"


class ServiceReference(Model, protobuf="namespace name path* port*"):
    """A Service that answers by HTTPS."""

    namespace: Annotated[str, Required()] = ""
    """The namespace of the Service."""
    name: Annotated[str, Required()] = ""
    """The name of the Service."""
    path: str | None = None
    """The path of the URL. Default: none."""
    port: Int32 | None = None
    """The port of the Service. Default: 443."""


class WebhookClientConfig(Model, protobuf="service* caBundle url*"):
    """How the webhook is called. Exactly one of `url` and `service` is set."""

    service: ServiceReference | None = None
    """A Service of the cluster."""
    caBundle: Base64 | None = None
    """The authorities of the webhook's certificate, in PEM and base64. Default: those that this API server trusts."""
    url: str | None = None
    """An address outside of the cluster: https://HOST[:PORT]/PATH."""


class Webhook(
    Model,
    protobuf="name clientConfig rules failurePolicy* namespaceSelector* sideEffects* timeoutSeconds* "
    "admissionReviewVersions matchPolicy* objectSelector* matchConditions",
):
    """A server that is asked about requests before they are carried out."""

    name: str = ""
    """The name of the webhook: a domain name of three parts or more."""
    clientConfig: Annotated[WebhookClientConfig, Required()] = WebhookClientConfig()
    """How the webhook is called."""
    rules: list[RuleWithOperations] | None = None
    """The requests that the webhook is asked about: one rule must match."""
    failurePolicy: str | None = None
    """What a failed call means: Fail (the default) refuses the request, Ignore lets it through."""
    matchPolicy: str | None = None
    """Whether a request for another version of a resource counts: Equivalent (the default) or Exact."""
    namespaceSelector: LabelSelector | None = None
    """The labels of the namespaces whose requests the webhook is asked about. Default: all."""
    objectSelector: LabelSelector | None = None
    """The labels of the objects, old or new, that the webhook is asked about. Default: all."""
    sideEffects: Annotated[str, Required()] = ""
    """None or NoneOnDryRun: whether the webhook may be asked about a dry run."""
    timeoutSeconds: Int32 | None = None
    """Seconds to wait for an answer, 1 to 30. Default: 10."""
    admissionReviewVersions: Annotated[list[str], Required()] = []
    """The versions of AdmissionReview that the webhook understands; the first that the server knows is used."""
    matchConditions: Annotated[list[MatchCondition], MergeKey("name"), ListMapKeys("name")] | None = None
    """Further conditions in CEL, all of which a request must meet."""


def default_webhook(webhook: Webhook) -> None:
    webhook.failurePolicy = webhook.failurePolicy or FAIL
    webhook.matchPolicy = webhook.matchPolicy or EQUIVALENT
    webhook.namespaceSelector = webhook.namespaceSelector or LabelSelector()
    webhook.objectSelector = webhook.objectSelector or LabelSelector()
    if webhook.timeoutSeconds is None:
        webhook.timeoutSeconds = DEFAULT_TIMEOUT_SECONDS
    if webhook.clientConfig.service is not None and webhook.clientConfig.service.port is None:
        webhook.clientConfig.service.port = DEFAULT_PORT
    default_rules(webhook.rules)


class WebhookStrategy(Strategy[Any]):
    """Source: Kubernetes documentation, "Dynamic Admission Control"."""

    compiles = True
    generation_tracks_spec = False
    plain_finalizers = True

    def default(self, obj: Any) -> None:
        for webhook in obj.webhooks or ():
            default_webhook(webhook)

    def prepare_create(self, obj: Any) -> None:
        obj.metadata.generation = 1

    def prepare_update(self, obj: Any, old: Any) -> None:
        if obj.webhooks != old.webhooks:
            obj.metadata.generation = (old.metadata.generation or 0) + 1

    def check(self, obj: Any) -> Errors:
        return check_webhooks(obj.webhooks)

    def validate(self, obj: Any) -> list[FieldError]:
        return self.check(obj)


def check_webhooks(webhooks: Sequence[Webhook] | None) -> Errors:
    errors, names = Errors(), set[str]()
    for index, webhook in enumerate(webhooks or ()):
        path: Path = ("webhooks", index)
        _check_name(errors, (*path, "name"), webhook.name)
        if webhook.name in names:
            errors.duplicate((*path, "name"), webhook.name)
        names.add(webhook.name)
        _check_webhook(errors, path, webhook)
    return errors


def _check_name(errors: Errors, path: Path, name: str) -> None:
    if not name:
        errors.required(path)
        return
    errors.check_messages(path, name, dns_subdomain_errors(name))
    if len(name.split(".")) < 3:
        errors.invalid(path, name, "should be a domain with at least three segments separated by dots")


def _check_webhook(errors: Errors, path: Path, webhook: Webhook) -> None:
    check_selectors(errors, path, webhook.namespaceSelector, webhook.objectSelector)
    for number, rule in enumerate(webhook.rules or ()):
        check_rule(errors, (*path, "rules", number), rule)
    if webhook.failurePolicy is not None and webhook.failurePolicy not in FAILURE_POLICIES:
        errors.not_supported((*path, "failurePolicy"), webhook.failurePolicy, FAILURE_POLICIES)
    if webhook.matchPolicy is not None and webhook.matchPolicy not in MATCH_POLICIES:
        errors.not_supported((*path, "matchPolicy"), webhook.matchPolicy, MATCH_POLICIES)
    if not webhook.sideEffects:
        errors.required((*path, "sideEffects"), f"must specify one of {', '.join(SIDE_EFFECTS)}")
    elif webhook.sideEffects not in SIDE_EFFECTS:
        errors.not_supported((*path, "sideEffects"), webhook.sideEffects, SIDE_EFFECTS)
    if webhook.timeoutSeconds is not None and not 1 <= webhook.timeoutSeconds <= MAX_TIMEOUT_SECONDS:
        text = f"the timeout value must be between 1 and {MAX_TIMEOUT_SECONDS} seconds"
        errors.invalid((*path, "timeoutSeconds"), webhook.timeoutSeconds, text)
    check_client_config(errors, (*path, "clientConfig"), webhook.clientConfig)
    _check_versions(errors, (*path, "admissionReviewVersions"), webhook.admissionReviewVersions)
    check_match_conditions(errors, (*path, "matchConditions"), webhook.matchConditions or (), condition_scope())


def _check_versions(errors: Errors, path: Path, versions: list[str]) -> None:
    known = ", ".join(REVIEW_VERSIONS)
    if not versions:
        errors.required(path, f"must specify one of {known}")
        return
    for index, version in enumerate(versions):
        if version in versions[:index]:
            errors.invalid((*path, index), version, "duplicate version")
    if not set(versions) & set(REVIEW_VERSIONS):
        errors.invalid(path, versions, f"must include at least one of {known}")


def check_client_config(errors: Errors, path: Path, config: WebhookClientConfig) -> None:
    if (config.url is None) == (config.service is None):
        errors.required(path, "exactly one of url or service is required")
    elif config.url is not None:
        _check_url(errors, (*path, "url"), config.url)
    elif config.service is not None:
        _check_service(errors, (*path, "service"), config.service)


def _check_url(errors: Errors, path: Path, url: str) -> None:
    try:
        parts = urlsplit(url)
    except ValueError as error:
        errors.invalid(path, url, f"url must be a valid URL: {error}; {_URL_FORMAT}")
        return
    user, _, host = parts.netloc.rpartition("@")
    if parts.scheme != "https":
        errors.invalid(path, parts.scheme, f"'https' is the only allowed URL scheme; {_URL_FORMAT}")
    if not host:
        errors.invalid(path, host, f"host must be specified; {_URL_FORMAT}")
    if user:
        errors.invalid(path, user, "user information is not permitted in the URL")
    if parts.fragment:
        errors.invalid(path, parts.fragment, "fragments are not permitted in the URL")
    if parts.query:
        errors.invalid(path, parts.query, "query parameters are not permitted in the URL")


def _check_service(errors: Errors, path: Path, service: ServiceReference) -> None:
    if not service.name:
        errors.required((*path, "name"))
    if not service.namespace:
        errors.required((*path, "name"))  # upstream names this field
    if service.port is not None and not 1 <= service.port <= 65535:
        text = "port is not valid: must be between 1 and 65535, inclusive"
        errors.invalid((*path, "port"), service.port, text)
    _check_path(errors, (*path, "path"), service.path or "")


def _check_path(errors: Errors, path: Path, value: str) -> None:
    if value in ("", "/"):
        return
    if not value.startswith("/"):
        errors.invalid(path, value, "must start with a '/'")
    rest = value[1:].removesuffix("/")
    for index, step in enumerate(rest.split("/")):
        if not step:
            errors.invalid(path, value, f"segment[{index}] may not be empty")
            continue
        errors.check_messages(path, value, [f"segment[{index}]: {text}" for text in dns_subdomain_errors(step)])
