"""grpc: asks the gRPC health service; the status SERVING is success."""

from __future__ import annotations

import asyncio

from kubeapi.core.pod.probes import GRPCAction
from kubelet.container.backoff import describe
from kubelet.probe import grpc_health, http_action
from kubelet.probe.interface import ProbedContainer, ProbeType
from kubelet.probe.state import ProbeResult


async def attempt(container: ProbedContainer, action: GRPCAction, limit_seconds: float) -> ProbeResult:
    host, port = container.pod_ip, action.port
    try:
        async with asyncio.timeout(limit_seconds):
            status = await grpc_health.check(host, port, action.service or "")
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


PROBE = ProbeType("grpc", attempt)
