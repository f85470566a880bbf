"""Asks a webhook about a request: an AdmissionReview there and back.

Source: Kubernetes documentation, "Dynamic Admission Control".
"""

from __future__ import annotations

import base64
import binascii
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import orjson
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from apimachinery.errors import FieldError, InternalError, StatusError
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
    status: dict[str, Any]
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
        raise InternalError(f"Internal error occurred: {text}", {}, [FieldError("", "", text)]) from None
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
    answer = await hook.client.post(orjson.dumps(asked), hook.spec.timeoutSeconds)
    response = answer.get("response")
    if not isinstance(response, dict):
        raise WebhookFailed("webhook response was absent")
    if version == "v1":
        _check_answer(answer, response, uid)
    return _verdict(response)


def _check_answer(answer: dict[str, Any], response: dict[str, Any], uid: str) -> None:
    """Holds an answer to the rules of v1. Raises: WebhookFailed."""
    kind = answer.get("apiVersion") or "", answer.get("kind") or ""
    if kind != (f"{GROUP}/v1", "AdmissionReview"):
        group, version = kind[0].rpartition("/")[::2]
        got = f"{group}/{version}, Kind={kind[1]}"
        raise WebhookFailed(f"expected webhook response of {GROUP}/v1, Kind=AdmissionReview, got {got}")
    if response.get("uid") != uid:
        raise WebhookFailed(f'expected response.uid="{uid}", got "{response.get("uid") or ""}"')
    patch, patch_type = response.get("patch"), response.get("patchType")
    if patch and not patch_type:
        raise WebhookFailed("webhook returned response.patch but not response.patchType")
    if patch_type and not patch:
        raise WebhookFailed("webhook returned response.patchType but not response.patch")
    if patch_type not in (None, "JSONPatch"):
        raise WebhookFailed(f"webhook returned invalid response.patchType of {patch_type}")


def _verdict(response: dict[str, Any]) -> Verdict:
    """Raises: WebhookFailed, for members of the wrong types."""
    status, patch = response.get("status"), response.get("patch")
    warnings, annotations = response.get("warnings") or [], response.get("auditAnnotations") or {}
    if not isinstance(response.get("allowed", False), bool):
        raise WebhookFailed("response.allowed is no boolean")
    if not isinstance(status, dict | None) or not isinstance(warnings, list) or not isinstance(annotations, dict):
        raise WebhookFailed("the response has members of the wrong type")
    operations = None
    if patch:
        try:
            operations = orjson.loads(base64.b64decode(patch, validate=True))
        except (binascii.Error, TypeError, ValueError) as error:
            raise WebhookFailed(f"response.patch is no JSON patch in base64: {error}") from None
    return Verdict(
        response.get("allowed", False),
        status or {},
        operations,
        [str(text) for text in warnings],
        {str(key): str(value) for key, value in annotations.items()},
    )


def _refusal(hook: Hook, status: dict[str, Any]) -> StatusError:
    """The webhook's own status, under its name."""
    by = f'admission webhook "{hook.name}" denied the request'
    code, message, reason = status.get("code"), status.get("message"), str(status.get("reason") or "")
    text = f"{by}: {message or reason}" if message or reason else f"{by} without explanation"
    if not isinstance(code, int) or not 400 <= code < 600:
        code = 400
    details = status.get("details")
    return StatusError(text, details if isinstance(details, dict) else None, code=code, reason=reason)
