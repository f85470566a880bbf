"""Checks of probes and lifecycle hooks.

Source: Kubernetes documentation, "Configure Liveness, Readiness and Startup Probes", "Container Lifecycle Hooks".
"""

from __future__ import annotations

import re

from apimachinery.validation import POSITIVE, Errors, Path
from kubeapi.core.pod.probes import HTTPGetAction, LifecycleHandler, Probe
from kubeapi.core.pod.spec import Container

_HEADER = re.compile(r"[-A-Za-z0-9]+\Z")
_HEADER_RULE = (
    "a valid HTTP header must consist of alphanumeric characters or '-' (e.g. 'X-Header-Name', regex used for "
    "validation is '[-A-Za-z0-9]+')"
)
_SCHEMES = ("HTTP", "HTTPS")
_HANDLERS = ("exec", "httpGet", "tcpSocket", "grpc", "sleep")
_TIMINGS = ("initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold")


def check_probes(errors: Errors, path: Path, container: Container) -> None:
    """Checks the three probes of a regular container or a sidecar."""
    liveness, readiness, startup = container.livenessProbe, container.readinessProbe, container.startupProbe
    if liveness is not None:
        _check_probe(errors, (*path, "livenessProbe"), liveness)
        _check_once(errors, (*path, "livenessProbe"), liveness)
    if readiness is not None:
        at = (*path, "readinessProbe")
        _check_probe(errors, at, readiness)
        if readiness.terminationGracePeriodSeconds is not None:
            seconds = readiness.terminationGracePeriodSeconds
            errors.invalid((*at, "terminationGracePeriodSeconds"), seconds, "must not be set for readinessProbes")
    if startup is not None:
        _check_probe(errors, (*path, "startupProbe"), startup)
        _check_once(errors, (*path, "startupProbe"), startup)


def check_lifecycle(errors: Errors, path: Path, container: Container, grace_period_seconds: int | None) -> None:
    lifecycle = container.lifecycle
    if lifecycle is None:
        return
    for name, handler in (("postStart", lifecycle.postStart), ("preStop", lifecycle.preStop)):
        if handler is not None:
            _check_handler(errors, (*path, "lifecycle", name), handler, grace_period_seconds)


def _check_probe(errors: Errors, path: Path, probe: Probe) -> None:
    _check_handler(errors, path, probe, None)
    for name in _TIMINGS:
        errors.check_not_negative((*path, name), getattr(probe, name))
    seconds = probe.terminationGracePeriodSeconds
    if seconds is not None and seconds <= 0:
        errors.invalid((*path, "terminationGracePeriodSeconds"), seconds, POSITIVE)


def _check_once(errors: Errors, path: Path, probe: Probe) -> None:
    """Requires a success threshold of 1, as liveness and startup probes need."""
    if probe.successThreshold != 1:
        errors.invalid((*path, "successThreshold"), probe.successThreshold, "must be 1")


def _check_handler(
    errors: Errors, path: Path, handler: Probe | LifecycleHandler, grace_period_seconds: int | None
) -> None:
    kinds = [name for name in handler.present() if name in _HANDLERS]
    if not kinds:
        errors.required(path, "must specify a handler type")
        return
    for name in kinds[1:]:
        errors.forbidden((*path, name), "may not specify more than 1 handler type")
    kind = kinds[0]
    at = (*path, kind)
    if kind == "exec" and handler.exec is not None:
        if not handler.exec.command:
            errors.required((*at, "command"))
    elif kind == "httpGet" and handler.httpGet is not None:
        _check_http(errors, at, handler.httpGet)
    elif kind == "tcpSocket" and handler.tcpSocket is not None:
        errors.check_port_or_name((*at, "port"), handler.tcpSocket.port)
    elif isinstance(handler, Probe):
        if handler.grpc is not None:
            errors.check_port((*at, "port"), handler.grpc.port)
    elif handler.sleep is not None:
        limit = 0 if grace_period_seconds is None else grace_period_seconds
        if not 0 <= handler.sleep.seconds <= limit:
            text = f"must be non-negative and less than terminationGracePeriodSeconds ({limit})"
            errors.invalid(at, handler.sleep.seconds, text)


def _check_http(errors: Errors, path: Path, action: HTTPGetAction) -> None:
    if not action.path:
        errors.required((*path, "path"))
    errors.check_port_or_name((*path, "port"), action.port)
    errors.check_one_of((*path, "scheme"), action.scheme, _SCHEMES)
    for header in action.httpHeaders or ():
        if not _HEADER.match(header.name):
            errors.invalid((*path, "httpHeaders"), header.name, _HEADER_RULE)
