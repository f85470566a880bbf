"""One probe of one container (I/O), and what a row of results means (pure)."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from kubelet.container.backoff import describe
from kubelet.pod.actions import Verdict
from kubelet.probe import grpc_health, http_action
from kubelet.runtime.interface import EngineError, Runtime

if TYPE_CHECKING:
    from kubeapi.core.pod.probes import HTTPGetAction, Probe
    from kubeapi.core.pod.spec import Container

ProbeKind = Literal["liveness", "readiness", "startup"]
Outcome = Literal["success", "failure", "warning", "error"]
"""`warning` counts as success but is told; `error`: the probe itself could not be made, and nothing changes."""

INITIAL: dict[ProbeKind, Verdict] = {"liveness": "success", "readiness": "failure", "startup": "unknown"}
EXEC_OUTPUT_LIMIT = 10 * 1024


@dataclass(frozen=True, slots=True)
class ProbeResult:
    outcome: Outcome
    output: str = ""


@dataclass(slots=True)
class ProbeState:
    """Counts results; `verdict` changes only when a threshold is reached."""

    kind: ProbeKind
    success_threshold: int
    failure_threshold: int
    verdict: Verdict
    last: Literal["success", "failure", ""] = ""
    run: int = 0

    @classmethod
    def start(cls, kind: ProbeKind, probe: Probe, verdict: Verdict | None = None) -> ProbeState:
        """`verdict` carries over what was known of the same container before the kubelet restarted."""
        initial = INITIAL[kind] if verdict is None else verdict
        return cls(kind, max(probe.successThreshold, 1), max(probe.failureThreshold, 1), initial)

    def observe(self, outcome: Outcome) -> bool:
        """Counts one result; True when the verdict has changed."""
        if outcome == "error":
            return False
        seen: Literal["success", "failure"] = "failure" if outcome == "failure" else "success"
        self.run = self.run + 1 if seen == self.last else 1
        self.last = seen
        if self.run < (self.failure_threshold if seen == "failure" else self.success_threshold):
            return False
        changed = self.verdict != seen
        self.verdict = seen
        return changed

    @property
    def done(self) -> bool:
        """No more probing: the container has started, or it is going to be killed."""
        if self.kind == "startup":
            return self.verdict in ("success", "failure")
        return self.kind == "liveness" and self.verdict == "failure"


def port_number(container: Container, port: int | str) -> int | None:
    """A named port of the container, or the number itself."""
    if isinstance(port, int):
        return port if 0 < port < 65536 else None
    named = next((item.containerPort for item in container.ports or () if item.name == port), None)
    if named is None and port.isdigit():
        return port_number(container, int(port))
    return named


def http_url(container: Container, action: HTTPGetAction, pod_ip: str) -> str | None:
    port = port_number(container, action.port)
    if port is None:
        return None
    host = action.host or pod_ip
    if ":" in host:
        host = f"[{host}]"
    path = action.path if action.path.startswith("/") else f"/{action.path}"
    return f"{(action.scheme or 'HTTP').lower()}://{host}:{port}{path}"


async def run_probe(
    runtime: Runtime, container: Container, probe: Probe, container_id: str, pod_ip: str
) -> ProbeResult:
    """Makes one attempt, within the probe's timeout."""
    timeout = float(max(probe.timeoutSeconds, 1))
    if probe.exec is not None:
        return await _exec(runtime, container_id, probe.exec.command or [], timeout)
    if probe.httpGet is not None:
        return await _http(container, probe.httpGet, pod_ip, timeout)
    if probe.tcpSocket is not None:
        port = port_number(container, probe.tcpSocket.port)
        if port is None:
            return ProbeResult("error", f"couldn't find port {probe.tcpSocket.port}")
        try:
            await http_action.dial(probe.tcpSocket.host or pod_ip, port, timeout)
        except http_action.HttpError as error:
            return ProbeResult("failure", str(error))
        return ProbeResult("success")
    if probe.grpc is not None:
        return await _grpc(pod_ip, probe.grpc.port, probe.grpc.service or "", timeout)
    return ProbeResult("error", "missing probe handler")


async def _exec(runtime: Runtime, container_id: str, command: list[str], limit_seconds: float) -> ProbeResult:
    try:
        code, out, err = await runtime.exec_sync(container_id, command, limit_seconds)
    except TimeoutError:
        return ProbeResult(
            "failure", f'command timed out: "{" ".join(command)}" timed out after {describe(limit_seconds)}'
        )
    except EngineError as error:
        return ProbeResult("error", str(error))
    text = (out + err)[:EXEC_OUTPUT_LIMIT].decode("utf-8", "replace")
    return ProbeResult("success" if code == 0 else "failure", text)


async def _http(container: Container, action: HTTPGetAction, pod_ip: str, limit_seconds: float) -> ProbeResult:
    url = http_url(container, action, pod_ip)
    if url is None:
        return ProbeResult("error", f"couldn't find port {action.port}")
    headers = [(header.name, header.value) for header in action.httpHeaders or ()]
    try:
        response = await http_action.get(url, headers, limit_seconds)
    except http_action.HttpError as error:
        return ProbeResult("failure", str(error))
    if response.redirected_away:
        return ProbeResult("warning", f"Probe terminated redirects, Response body: {response.body}")
    if 200 <= response.status < 400:
        return ProbeResult("success", response.body)
    return ProbeResult("failure", f"HTTP probe failed with statuscode: {response.status}")


async def _grpc(host: str, port: int, service: str, limit_seconds: float) -> ProbeResult:
    try:
        async with asyncio.timeout(limit_seconds):
            status = await grpc_health.check(host, port, service)
    except TimeoutError:
        why = f'timeout: failed to connect service "{host}:{port}" within {describe(limit_seconds)}'
        return ProbeResult("failure", why + ": context deadline exceeded")
    except OSError as error:
        return ProbeResult("failure", f"error: {http_action.dial_error(host, port, error)}")
    except grpc_health.GrpcError as error:
        return ProbeResult("failure", f"error: health rpc failed: {error}")
    if status == "SERVING":
        return ProbeResult("success", "service healthy")
    return ProbeResult("failure", f'service unhealthy (responded with "{status}")')
