"""Asks a webhook about a request: an AdmissionReview there and back.

Source: Kubernetes documentation, "Dynamic Admission Control".
"""

from __future__ import annotations

import base64
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import orjson
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector
from pydantic import BaseModel, ConfigDict, ValidationError

from apimachinery.errors import FieldError, InternalError, StatusError
from apimachinery.patch.json import MAX_JSON_PATCH_OPERATIONS
from apiserver.admission._review import Review
from apiserver.admission.webhooks._configured import Hook
from apiserver.proxy.webhooks import WebhookFailed
from componentbase import logs
from componentbase.metrics import Latencies

GROUP = "admission.k8s.io"
VERSIONS = ("v1", "v1beta1")

log = logs.logger(__name__)


@dataclass(frozen=True)
class Verdict:
    """A usable answer. `patch` are operations of a JSON patch."""

    allowed: bool
    status: _Status
    patch: Any
    warnings: list[str]
    annotations: dict[str, str]


class WebhookMetrics(Collector):
    """Counts calls and how long they take, under upstream's names."""

    def __init__(self, kind: str) -> None:
        """`kind` is "validating" or "admit"."""
        self._kind = kind
        self._seconds: Latencies[tuple[str, str, str, str]] = Latencies()
        self._rejections: Counter[tuple[str, str, str, str, str]] = Counter()
        self._failures_open: Counter[tuple[str, str]] = Counter()

    def observe(self, hook: Hook, operation: str, seconds: float, *, rejected: bool) -> None:
        self._seconds.observe((hook.name, self._kind, operation, str(rejected).lower()), seconds)

    def rejected(self, hook: Hook, operation: str, error: str, code: int) -> None:
        self._rejections[(hook.name, self._kind, operation, error, str(code))] += 1

    def failed_open(self, hook: Hook) -> None:
        self._failures_open[(hook.name, self._kind)] += 1

    def collect(self) -> Iterator[Any]:
        prefix, labels = "apiserver_admission_webhook", ["name", "type", "operation"]
        seconds = HistogramMetricFamily(
            f"{prefix}_admission_duration_seconds", "Time to ask a webhook.", labels=[*labels, "rejected"]
        )
        self._seconds.add_to(seconds)
        yield seconds
        rejections = CounterMetricFamily(
            f"{prefix}_rejection_count",
            "Requests that were refused on account of a webhook.",
            labels=[*labels, "error_type", "rejection_code"],
        )
        for key, count in self._rejections.items():
            rejections.add_metric(list(key), count)
        yield rejections
        opened = CounterMetricFamily(
            f"{prefix}_fail_open_count", "Failed calls that let the request through.", labels=["name", "type"]
        )
        for name, count in self._failures_open.items():
            opened.add_metric(list(name), count)
        yield opened


async def ask(hook: Hook, review: Review, document: dict[str, Any] | None, metrics: WebhookMetrics) -> Verdict | None:
    """Returns the webhook's answer; None where it can't be asked and the request goes on all the same.

    Raises: InternalError, where it can't be asked and must be; Forbidden or another StatusError, where it refuses.
    """
    operation, begin = review.attributes.operation, time.perf_counter()
    verdict: Verdict | None = None
    try:
        verdict = await _call(hook, review, document)
    except WebhookFailed as error:
        text = f'failed calling webhook "{hook.name}": {error}'
        if not hook.fails:
            log.warning("webhook ignored", name=hook.name, error=str(error))
            metrics.failed_open(hook)
            return None
        metrics.rejected(hook, operation, "calling_webhook_error", 0)
        raise internal_error(text) from None
    finally:
        refused = verdict is not None and not verdict.allowed
        metrics.observe(hook, operation, time.perf_counter() - begin, rejected=refused)
    attributes = review.attributes
    for key, value in verdict.annotations.items():
        attributes.annotate(f"{hook.name}/{key}", value)
    attributes.warn(*verdict.warnings)
    if not verdict.allowed:
        refusal = _refusal(hook, verdict.status)
        metrics.rejected(hook, operation, "no_error", refusal.code)
        raise refusal
    return verdict


def internal_error(text: str) -> InternalError:
    return InternalError(f"Internal error occurred: {text}", {}, [FieldError("", "", text)])


class _Part(BaseModel):
    """A part of an answer, whose members have the types of Kubernetes' API; null is as good as nothing."""

    model_config = ConfigDict(strict=True)


class _Cause(_Part):
    reason: str | None = None
    message: str | None = None
    field: str | None = None


class _Details(_Part):
    name: str | None = None
    group: str | None = None
    kind: str | None = None
    uid: str | None = None
    causes: list[_Cause] | None = None
    retryAfterSeconds: int | None = None


class _Status(_Part):
    code: int | None = None
    message: str | None = None
    reason: str | None = None
    details: _Details | None = None


class _Response(_Part):
    uid: str | None = None
    allowed: bool | None = None
    status: _Status | None = None
    patch: str | None = None
    patchType: str | None = None
    auditAnnotations: dict[str, str] | None = None
    warnings: list[str] | None = None


class _Answer(_Part):
    apiVersion: str | None = None
    kind: str | None = None
    response: _Response | None = None


class _Denied(StatusError):
    """A refusal has the reason that the webhook gives, if any."""

    default_code, default_reason = 400, ""


async def _call(hook: Hook, review: Review, document: dict[str, Any] | None) -> Verdict:
    """Raises: WebhookFailed."""
    version = next(version for version in hook.spec.admissionReviewVersions if version in VERSIONS)
    uid = str(uuid4())
    asked = {
        "kind": "AdmissionReview",
        "apiVersion": f"{GROUP}/{version}",
        "request": {
            "uid": uid,
            **review.request,
            "object": document,
            "oldObject": review.old_document,
        },
    }
    body = await hook.client.post(orjson.dumps(asked), hook.spec.timeoutSeconds)
    try:
        answer = _Answer.model_validate(body)
    except ValidationError as error:
        fault = error.errors()[0]
        raise WebhookFailed(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}") from None
    if answer.response is None:
        raise WebhookFailed("webhook response was absent")
    if version == "v1":
        _check_answer(answer, answer.response, uid)
    return _verdict(answer.response)


def _check_answer(answer: _Answer, response: _Response, uid: str) -> None:
    """Holds an answer to the rules of v1. Raises: WebhookFailed."""
    if (answer.apiVersion, answer.kind) != (f"{GROUP}/v1", "AdmissionReview"):
        group, _, version = (answer.apiVersion or "").rpartition("/")
        got = f"{group}/{version}, Kind={answer.kind or ''}"
        raise WebhookFailed(f"expected webhook response of {GROUP}/v1, Kind=AdmissionReview, got {got}")
    if response.uid != uid:
        raise WebhookFailed(f'expected response.uid="{uid}", got "{response.uid or ""}"')
    if response.patch and not response.patchType:
        raise WebhookFailed("webhook returned response.patch but not response.patchType")
    if response.patchType and not response.patch:
        raise WebhookFailed("webhook returned response.patchType but not response.patch")
    if response.patchType not in (None, "JSONPatch"):
        raise WebhookFailed(f"webhook returned invalid response.patchType of {response.patchType}")


def _verdict(response: _Response) -> Verdict:
    """Raises: WebhookFailed, for a patch that can't be read."""
    operations = None
    if response.patch:
        try:
            operations = orjson.loads(base64.b64decode(response.patch, validate=True))
        except ValueError as error:
            raise WebhookFailed(f"response.patch is no JSON patch in base64: {error}") from None
        if isinstance(operations, list) and len(operations) > MAX_JSON_PATCH_OPERATIONS:
            raise WebhookFailed(f"response.patch has more than {MAX_JSON_PATCH_OPERATIONS} operations")
    return Verdict(
        bool(response.allowed),
        response.status or _Status(),
        operations,
        response.warnings or [],
        response.auditAnnotations or {},
    )


def _refusal(hook: Hook, status: _Status) -> StatusError:
    """The webhook's own status, under its name."""
    by = f'admission webhook "{hook.name}" denied the request'
    why = status.message or status.reason
    code = status.code if status.code is not None and 400 <= status.code < 600 else 400
    details = status.details.model_dump(exclude_none=True) if status.details is not None else None
    text = f"{by}: {why}" if why else f"{by} without explanation"
    return _Denied(text, details, code=code, reason=status.reason or "")
