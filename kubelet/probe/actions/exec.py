"""exec: runs a command in the container; exit code 0 is success."""

from __future__ import annotations

from apimachinery.text.durations import format_duration
from kubeapi.core.pod.probes import ExecAction
from kubelet.probe.interface import HookError, ProbedContainer, ProbeType
from kubelet.probe.state import ProbeResult
from kubelet.runtime.interface import EngineError

OUTPUT_LIMIT = 10 * 1024  # bytes of a probe's output that its event may show


async def attempt(container: ProbedContainer, action: ExecAction, limit_seconds: float) -> ProbeResult:
    command = action.command or []
    try:
        code, out, err = await container.runtime.exec_sync(container.id, command, limit_seconds)
    except TimeoutError:
        why = f'command timed out: "{" ".join(command)}" timed out after {format_duration(limit_seconds)}'
        return ProbeResult("failure", why)
    except EngineError as error:
        return ProbeResult("error", str(error))
    text = (out + err)[:OUTPUT_LIMIT].decode("utf-8", "replace")
    return ProbeResult("success" if code == 0 else "failure", text)


async def hook(container: ProbedContainer, action: ExecAction) -> None:
    command = action.command or []
    try:
        code, out, err = await container.runtime.exec_sync(container.id, command)
    except EngineError as error:
        raise HookError(str(error)) from None
    if code != 0:
        output = (out + err).decode("utf-8", "replace").strip()
        message = f", message: {output!r}" if output else ""
        raise HookError(f"Exec lifecycle hook ({command}) failed - error: command exited with {code}{message}")


PROBE = ProbeType("exec", attempt, hook)
