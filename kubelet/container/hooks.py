"""Runs postStart and preStop hooks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubelet.probe import http_action
from kubelet.probe.probes import http_url, port_number
from kubelet.runtime.interface import EngineError

if TYPE_CHECKING:
    from componentbase.clock import Clock
    from kubeapi.core.pod.probes import LifecycleHandler
    from kubeapi.core.pod.spec import Container
    from kubelet.runtime.interface import Runtime

HTTP_SECONDS = 30.0  # a hook's request without an answer has failed


class HookError(Exception):
    """The hook failed; the text is for FailedPostStartHook and FailedPreStopHook events."""


async def run_hook(
    runtime: Runtime, container: Container, handler: LifecycleHandler, container_id: str, pod_ip: str, clock: Clock
) -> None:
    """Returns when the hook is over. Raises: HookError."""
    if handler.exec is not None:
        await _exec(runtime, container_id, handler.exec.command or [])
    elif handler.httpGet is not None:
        url = http_url(container, handler.httpGet, pod_ip)
        if url is None:
            raise HookError(f"couldn't find port {handler.httpGet.port}")
        headers = [(header.name, header.value) for header in handler.httpGet.httpHeaders or ()]
        try:
            response = await http_action.get(url, headers, HTTP_SECONDS)
        except http_action.HttpError as error:
            raise HookError(str(error)) from None
        if response.status >= 400:
            raise HookError(f'Get "{url}": server answered {response.status}: {response.body[:200]}')
    elif handler.tcpSocket is not None:
        port = port_number(container, handler.tcpSocket.port)
        if port is None:
            raise HookError(f"couldn't find port {handler.tcpSocket.port}")
        try:
            await http_action.dial(handler.tcpSocket.host or pod_ip, port, HTTP_SECONDS)
        except http_action.HttpError as error:
            raise HookError(str(error)) from None
    elif handler.sleep is not None:
        await clock.sleep(handler.sleep.seconds)


async def _exec(runtime: Runtime, container_id: str, command: list[str]) -> None:
    try:
        code, out, err = await runtime.exec_sync(container_id, command)
    except EngineError as error:
        raise HookError(str(error)) from None
    if code != 0:
        output = (out + err).decode("utf-8", "replace").strip()
        shown = f", message: {output!r}" if output else ""
        raise HookError(f"Exec lifecycle hook ({command}) failed - error: command exited with {code}{shown}")
