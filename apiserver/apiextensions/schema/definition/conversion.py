"""How a CustomResourceDefinition has its objects converted between versions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from apimachinery.names import dns_1035_label_errors
from apimachinery.validation import Errors, Path

Json = Mapping[str, Any]

_REVIEW_VERSIONS = ("v1", "v1beta1")


def check_conversion(errors: Errors, conversion: Json, old: Json) -> None:
    path: Path = ("spec", "conversion")
    webhook = conversion.get("webhook") or {}
    client, reviews = webhook.get("clientConfig"), webhook.get("conversionReviewVersions") or []
    strategy = conversion.get("strategy")
    if conversion:
        errors.check_one_of((*path, "strategy"), strategy, ("None", "Webhook"))
    if strategy != "Webhook":
        text = "should not be set when strategy is not set to Webhook"
        for name, value in (("webhookClientConfig", client), ("conversionReviewVersions", reviews)):
            if value:
                errors.forbidden((*path, name), text)
        return
    if client is None:
        errors.required((*path, "webhookClientConfig"), "required when strategy is set to Webhook")
    else:
        _check_client(errors, (*path, "webhookClientConfig"), client)
    _check_reviews(errors, (*path, "conversionReviewVersions"), reviews, (old.get("webhook") or {}))


def _check_client(errors: Errors, at: Path, client: Json) -> None:
    url, service = client.get("url"), client.get("service")
    if (url is None) == (service is None):
        errors.required(at, "exactly one of url or service is required")
    elif url is not None:
        _check_url(errors, (*at, "url"), url)
    elif service is not None:
        for name in ("name", "namespace"):
            if not service.get(name):
                errors.required((*at, "service", name), f"service {name} is required")
        port = 443 if service.get("port") is None else service["port"]
        if not 1 <= port <= 65535:
            rule = "port is not valid: must be between 1 and 65535, inclusive"
            errors.invalid((*at, "service", "port"), port, rule)
        if (text := service.get("path") or "") and not text.startswith("/"):
            errors.invalid((*at, "service", "path"), text, "must start with a '/'")


def _check_url(errors: Errors, at: Path, text: str) -> None:
    form = "desired format: https://host[/path]"
    try:
        url = urlsplit(text)
        host = url.hostname
    except ValueError as error:
        errors.required(at, f"url must be a valid URL: {error}; {form}")
        return
    if url.scheme != "https":
        errors.invalid(at, url.scheme, f"'https' is the only allowed URL scheme; {form}")
    if not host:
        errors.invalid(at, url.netloc, f"host must be specified; {form}")
    if "@" in url.netloc:
        errors.invalid(at, url.netloc.rpartition("@")[0], "user information is not permitted in the URL")
    if url.fragment:
        errors.invalid(at, url.fragment, "fragments are not permitted in the URL")
    if url.query:
        errors.invalid(at, url.query, "query parameters are not permitted in the URL")


def _check_reviews(errors: Errors, at: Path, versions: list[str], old: Json) -> None:
    if not versions:
        errors.required(at)
        return
    for index, version in enumerate(versions):
        if version in versions[:index]:
            errors.invalid((*at, index), version, "duplicate version")
        else:
            errors.check_messages((*at, index), version, dns_1035_label_errors(version))
    before = old.get("conversionReviewVersions") or _REVIEW_VERSIONS
    if not set(versions) & set(_REVIEW_VERSIONS) and set(before) & set(_REVIEW_VERSIONS):
        errors.invalid(at, versions, f"must include at least one of {', '.join(_REVIEW_VERSIONS)}")
