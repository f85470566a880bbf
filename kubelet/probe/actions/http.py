"""httpGet: makes one GET; a status from 200 to 399 is success."""

from __future__ import annotations

from kubeapi.core.pod.probes import HTTPGetAction
from kubelet.probe import http_action
from kubelet.probe.interface import HookError, ProbedContainer, ProbeType
from kubelet.probe.state import ProbeResult

HOOK_SECONDS = 30.0  # a hook's request without an answer by then has failed
HOOK_BODY_LIMIT = 200  # characters of the answer that the error shows


async def attempt(container: ProbedContainer, action: HTTPGetAction, limit_seconds: float) -> ProbeResult:
    url = action_url(container, action)
    try:
        response = await http_action.get(url, _headers(action), limit_seconds)
    except http_action.HttpError as error:
        return ProbeResult("failure", str(error))
    if response.redirected_away:
        return ProbeResult("warning", f"Probe terminated redirects, Response body: {response.body}")
    if 200 <= response.status < 400:
        return ProbeResult("success", response.body)
    return ProbeResult("failure", f"HTTP probe failed with statuscode: {response.status}")


async def hook(container: ProbedContainer, action: HTTPGetAction) -> None:
    url = action_url(container, action)
    try:
        response = await http_action.get(url, _headers(action), HOOK_SECONDS)
    except http_action.HttpError as error:
        raise HookError(str(error)) from None
    if response.status >= 400:
        raise HookError(f'Get "{url}": server answered {response.status}: {response.body[:HOOK_BODY_LIMIT]}')


def action_url(container: ProbedContainer, action: HTTPGetAction) -> str:
    """Raises: PortNotFound."""
    port = container.port(action.port)
    host = action.host or container.pod_ip
    if ":" in host:
        host = f"[{host}]"
    path = action.path if action.path.startswith("/") else f"/{action.path}"
    return f"{(action.scheme or 'HTTP').lower()}://{host}:{port}{path}"


def _headers(action: HTTPGetAction) -> list[tuple[str, str]]:
    return [(header.name, header.value) for header in action.httpHeaders or ()]


PROBE = ProbeType("httpGet", attempt, hook)
