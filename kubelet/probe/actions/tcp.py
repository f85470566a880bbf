"""tcpSocket: opens a TCP connection; that it opens is success."""

from __future__ import annotations

from kubeapi.core.pod.probes import TCPSocketAction
from kubelet.probe.dial import DialError, dial
from kubelet.probe.interface import HookError, ProbedContainer, ProbeType
from kubelet.probe.state import ProbeResult

HOOK_SECONDS = 30.0  # a hook's connection that is not open by then has failed


async def attempt(container: ProbedContainer, action: TCPSocketAction, limit_seconds: float) -> ProbeResult:
    port = container.port(action.port)
    try:
        await dial(action.host or container.pod_ip, port, limit_seconds)
    except DialError as error:
        return ProbeResult("failure", str(error))
    return ProbeResult("success")


async def hook(container: ProbedContainer, action: TCPSocketAction) -> None:
    result = await attempt(container, action, HOOK_SECONDS)
    if result.outcome != "success":
        raise HookError(result.output)


PROBE = ProbeType("tcpSocket", attempt, hook)
