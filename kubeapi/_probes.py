"""Probes and lifecycle hooks of a container."""

from __future__ import annotations

from apimachinery.model import Model
from kubeapi._common import Int32, Int64, IntOrString


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
    port: Int32 = 0
    service: str | None = ""


class SleepAction(Model):
    seconds: Int64 = 0


class Probe(Model):
    exec: ExecAction | None = None
    httpGet: HTTPGetAction | None = None
    tcpSocket: TCPSocketAction | None = None
    grpc: GRPCAction | None = None
    initialDelaySeconds: Int32 | None = None
    timeoutSeconds: Int32 = 1
    periodSeconds: Int32 = 10
    successThreshold: Int32 = 1
    failureThreshold: Int32 = 3
    terminationGracePeriodSeconds: Int64 | None = None


class LifecycleHandler(Model):
    exec: ExecAction | None = None
    httpGet: HTTPGetAction | None = None
    tcpSocket: TCPSocketAction | None = None
    sleep: SleepAction | None = None


class Lifecycle(Model):
    postStart: LifecycleHandler | None = None
    preStop: LifecycleHandler | None = None
    stopSignal: str | None = None
