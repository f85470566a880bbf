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
    """What to ask for. Default: /."""
    port: Annotated[IntOrString, Required()] = 0
    """The port to ask, by number or by the name it has in the container."""
    host: str | None = None
    """The host to ask. Default: the pod's address."""
    scheme: Annotated[str, OneOf("HTTP", "HTTPS")] = "HTTP"
    """HTTP (the default) or HTTPS, where the certificate is not checked."""
    httpHeaders: list[HTTPHeader] | None = None
    """Headers to send along."""


class TCPSocketAction(Model, protobuf="port host"):
    """A connection; that it can be opened is success."""

    port: Annotated[IntOrString, Required()] = 0
    """The port to connect to, by number or by the name it has in the container."""
    host: str | None = None
    """The host to connect to. Default: the pod's address."""


class GRPCAction(Model, protobuf="port service"):
    """A call of the gRPC health checking protocol."""

    port: Int32 = 0
    """The number of the port to call."""
    service: str | None = ""
    """The service to ask for. Default: empty, which is the server as a whole."""


class SleepAction(Model, protobuf="seconds"):
    """A pause."""

    seconds: Int64 = 0
    """How long it lasts."""


class Probe(
    Model,
    protobuf="(exec httpGet tcpSocket grpc) initialDelaySeconds timeoutSeconds periodSeconds successThreshold "
    "failureThreshold terminationGracePeriodSeconds*",
):
    """A question that is put to a container again and again: exactly one way of asking is given."""

    exec: ExecAction | None = None
    """Runs a program in the container."""
    httpGet: HTTPGetAction | None = None
    """Makes an HTTP request to the pod."""
    tcpSocket: TCPSocketAction | None = None
    """Opens a connection to the pod."""
    grpc: GRPCAction | None = None
    """Calls the pod's gRPC health service."""
    initialDelaySeconds: Int32 | None = None
    """Seconds from the container's start to the first question. Default: 0."""
    timeoutSeconds: Int32 = 1
    """Seconds after which a question has failed. Default: 1."""
    periodSeconds: Int32 = 10
    """Seconds from one question to the next. Default: 10."""
    successThreshold: Int32 = 1
    """Successes in a row that end a failure. Must be 1 for liveness and startup. Default: 1."""
    failureThreshold: Int32 = 3
    """Failures in a row that count. Default: 3."""
    terminationGracePeriodSeconds: Int64 | None = None
    """Seconds to stop a container that failed the probe, in place of the pod's. Not for readiness."""


class LifecycleHandler(Model, protobuf="exec httpGet tcpSocket sleep"):
    """Something to do for a container: exactly one of these."""

    exec: ExecAction | None = None
    """A program to run in the container."""
    httpGet: HTTPGetAction | None = None
    """An HTTP request to make to the pod."""
    tcpSocket: TCPSocketAction | None = None
    """No longer does anything."""
    sleep: SleepAction | None = None
    """A time to wait."""


class Lifecycle(Model, protobuf="postStart preStop stopSignal"):
    """What to do at the start and at the end of a container."""

    postStart: LifecycleHandler | None = None
    """Done right after the start; when it fails, the container is killed and restarted as its policy says."""
    preStop: LifecycleHandler | None = None
    """Done before the container is stopped, within its grace period."""
    stopSignal: str | None = None
    """The signal that asks the container to end, such as SIGUSR1. Needs spec.os.name. Default: the image's, else
    SIGTERM."""
