"""Finds the container whose log a request means, and the part of it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from apimachinery.times import parse_time
from kubeapi.core.pod.model import Pod
from kubelet.container.spec import all_containers, api_statuses
from kubelet.runtime.interface import ContainerStatus, LogOptions, PodRuntimeStatus, StreamName

STREAMS: Mapping[str, StreamName | None] = {"": None, "All": None, "Stdout": "stdout", "Stderr": "stderr"}
_TRUE = ("true", "1", "")  # "?follow" alone means yes


class BadLogRequest(Exception):
    """The request cannot be served; the text is for the user. HTTP 400."""


@dataclass(frozen=True, slots=True)
class LogRequest:
    """`limit_bytes` None means all."""

    options: LogOptions
    previous: bool = False
    limit_bytes: int | None = None


def parse_log_request(query: Mapping[str, str], now: float) -> LogRequest:
    """Source: PodLogOptions. Raises: BadLogRequest."""
    tail = _number(query, "tailLines", least=0)
    limit = _number(query, "limitBytes", least=1)
    seconds = _number(query, "sinceSeconds", least=1)
    moment = query.get("sinceTime", "")
    if seconds is not None and moment:
        raise BadLogRequest("at most one of `sinceTime` or `sinceSeconds` may be specified")
    stream = query.get("stream", "")
    if stream not in STREAMS:
        raise BadLogRequest(f'stream: Unsupported value: "{stream}": supported values: "All", "Stderr", "Stdout"')
    if tail is not None and STREAMS[stream] is not None:
        raise BadLogRequest(f"`tailLines` and specific `stream` are mutually exclusive for now: {stream}")
    return LogRequest(
        LogOptions(
            follow=_flag(query, "follow"),
            tail_lines=tail,
            since=now - seconds if seconds is not None else _moment(moment),
            timestamps=_flag(query, "timestamps"),
            stream=STREAMS[stream] or "",
        ),
        previous=_flag(query, "previous"),
        limit_bytes=limit,
    )


def _flag(query: Mapping[str, str], name: str) -> bool:
    text = query.get(name)
    return text is not None and text.lower() in _TRUE


def _number(query: Mapping[str, str], name: str, *, least: int) -> int | None:
    text = query.get(name, "")
    if not text:
        return None
    try:
        value = int(text)
    except ValueError:
        raise BadLogRequest(f'unable to decode query: {name}: "{text}" is not a number') from None
    if value < least:
        raise BadLogRequest(f"{name}: Invalid value: {value}: must be greater than or equal to {least}")
    return value


def _moment(text: str) -> float:
    try:
        return parse_time(text) if text else 0.0
    except ValueError:
        raise BadLogRequest(f'sinceTime: "{text}" is not an RFC 3339 time') from None


def log_container(pod: Pod, status: PodRuntimeStatus | None, name: str, *, previous: bool) -> ContainerStatus:
    """Returns the container (attempt) whose log is meant. Raises: BadLogRequest in upstream's words."""
    if name not in {container.name for _, container in all_containers(pod)}:
        raise BadLogRequest(f"container {name} is not valid for pod {pod.metadata.name}")
    attempts = status.attempts(name) if status is not None else []
    if previous:
        return _previous(pod, attempts, name)
    if attempts and attempts[0].state != "created":
        return attempts[0]
    reported = api_statuses(pod).get(name)
    waiting = reported.state.waiting if reported is not None and reported.state is not None else None
    where = f'container "{name}" in pod "{pod.metadata.name}"'
    if waiting is not None and waiting.reason in ("ErrImagePull", "ImagePullBackOff", "InvalidImageName"):
        why = {
            "ErrImagePull": "image can't be pulled",
            "ImagePullBackOff": "trying and failing to pull image",
            "InvalidImageName": "image name is invalid",
        }[waiting.reason]
        raise BadLogRequest(f"{where} is waiting to start: {why}")
    if len(attempts) > 1:
        return attempts[1]  # between two attempts: the last one that wrote anything
    reason = waiting.reason if waiting is not None and waiting.reason else "no logs yet"
    raise BadLogRequest(f"{where} is waiting to start: {reason}")


def _previous(pod: Pod, attempts: list[ContainerStatus], name: str) -> ContainerStatus:
    """The newest attempt that is over and has a successor, or is itself waited for to be restarted."""
    over = [attempt for attempt in attempts if attempt.state == "exited"]
    current_is_over = bool(attempts) and attempts[0].state == "exited"
    candidates = over[1:] if current_is_over and not _awaits_restart(pod, name) else over
    if not candidates:
        raise BadLogRequest(f'previous terminated container "{name}" in pod "{pod.metadata.name}" not found')
    return candidates[0]


def _awaits_restart(pod: Pod, name: str) -> bool:
    reported = api_statuses(pod).get(name)
    return reported is not None and reported.state is not None and reported.state.waiting is not None
