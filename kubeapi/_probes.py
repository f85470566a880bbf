"""Probes and lifecycle hooks of a container."""

from __future__ import annotations

from apimachinery.model import IntOrString, Model


class ExecAction(Model):
    command: list[str] | None = None


class HTTPHeader(Model):
    name: str = ""
    value: str = ""


class HTTPGetAction(Model):
    path: str = "/"
    port: IntOrString = 0
    host: str | None = None
    scheme: str = "HTTP"
    httpHeaders: list[HTTPHeader] | None = None


class TCPSocketAction(Model):
    port: IntOrString = 0
    host: str | None = None


class GRPCAction(Model):
    port: int = 0
    service: str | None = ""


class SleepAction(Model):
    seconds: int = 0


class Probe(Model):
    exec: ExecAction | None = None
    httpGet: HTTPGetAction | None = None
    tcpSocket: TCPSocketAction | None = None
    grpc: GRPCAction | None = None
    initialDelaySeconds: int | None = None
    timeoutSeconds: int = 1
    periodSeconds: int = 10
    successThreshold: int = 1
    failureThreshold: int = 3
    terminationGracePeriodSeconds: int | None = None


class LifecycleHandler(Model):
    exec: ExecAction | None = None
    httpGet: HTTPGetAction | None = None
    tcpSocket: TCPSocketAction | None = None
    sleep: SleepAction | None = None


class Lifecycle(Model):
    postStart: LifecycleHandler | None = None
    preStop: LifecycleHandler | None = None
    stopSignal: str | None = None
