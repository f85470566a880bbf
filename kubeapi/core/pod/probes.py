"""Probes and lifecycle hooks of a container."""

from __future__ import annotations

from typing import Annotated

from apimachinery.model import Int32, Int64, IntOrString, Model, OneOf, Required


class ExecAction(Model, protobuf="command"):
    """A program that is run in the container; exit code 0 is success."""

    command: list[str] | None = None
    """The program to run, with its arguments; no shell is involved."""


class HTTPHeader(Model, protobuf="name value"):
    """A header of a request."""

    name: str = ""
    """The header's name."""
    value: str = ""
    """The header's value."""


class HTTPGetAction(Model, protobuf="path port host scheme httpHeaders"):
    """An HTTP request; a status from 200 to 399 is success."""

    path: str = "/"
    """The path to request. Default: /."""
    port: Annotated[IntOrString, Required()] = 0
    """The port to request from, by number or by its name in the container."""
    host: str | None = None
    """The host to request from. Default: the pod's address."""
    scheme: Annotated[str, OneOf("HTTP", "HTTPS")] = "HTTP"
    """HTTP (the default) or HTTPS, where the certificate is not checked."""
    httpHeaders: list[HTTPHeader] | None = None
    """Headers to send along."""


class TCPSocketAction(Model, protobuf="port host"):
    """A TCP connection; opening it is success."""

    port: Annotated[IntOrString, Required()] = 0
    """The port to connect to, by number or by its name in the container."""
    host: str | None = None
    """The host to connect to. Default: the pod's address."""


class GRPCAction(Model, protobuf="port service*"):
    """A call of the gRPC health checking protocol."""

    port: Int32 = 0
    """The number of the port to call."""
    service: str | None = ""
    """The service to check. Default: empty, for the server as a whole."""


class SleepAction(Model, protobuf="seconds"):
    """A pause."""

    seconds: Int64 = 0
    """The length of the pause in seconds."""


class Probe(
    Model,
    protobuf="(exec httpGet tcpSocket grpc) initialDelaySeconds timeoutSeconds periodSeconds successThreshold "
    "failureThreshold terminationGracePeriodSeconds*",
):
    """A check that is repeated on a container, with exactly one handler."""

    exec: ExecAction | None = None
    """Runs a program in the container."""
    httpGet: HTTPGetAction | None = None
    """Makes an HTTP request to the pod."""
    tcpSocket: TCPSocketAction | None = None
    """Opens a connection to the pod."""
    grpc: GRPCAction | None = None
    """Calls the pod's gRPC health service."""
    initialDelaySeconds: Int32 | None = None
    """Seconds from the container's start to the first check. Default: 0."""
    timeoutSeconds: Int32 = 1
    """Seconds after which a check has failed. Default: 1."""
    periodSeconds: Int32 = 10
    """Seconds between two checks. Default: 10."""
    successThreshold: Int32 = 1
    """The number of successes in a row that end a failure. Must be 1 for liveness and startup. Default: 1."""
    failureThreshold: Int32 = 3
    """The number of failures in a row after which the probe has failed. Default: 3."""
    terminationGracePeriodSeconds: Int64 | None = None
    """Seconds for the container to stop after the probe failed, in place of the pod's. Not allowed for readiness."""


class LifecycleHandler(Model, protobuf="exec httpGet tcpSocket sleep"):
    """An action for a container: exactly one of these."""

    exec: ExecAction | None = None
    """A program to run in the container."""
    httpGet: HTTPGetAction | None = None
    """An HTTP request to make to the pod."""
    tcpSocket: TCPSocketAction | None = None
    """No longer does anything."""
    sleep: SleepAction | None = None
    """A pause to make."""


class Lifecycle(Model, protobuf="postStart preStop stopSignal*"):
    """Actions at the start and at the end of a container."""

    postStart: LifecycleHandler | None = None
    """Runs right after the start. If it fails, the container is killed and restarted according to its policy."""
    preStop: LifecycleHandler | None = None
    """Runs before the container is stopped, within its grace period."""
    stopSignal: str | None = None
    """The signal that asks the container to end, such as SIGUSR1. Needs spec.os.name. Default: the image's, else
    SIGTERM."""
