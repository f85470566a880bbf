"""`port-forward`: makes ports of this machine lead into a pod."""

from __future__ import annotations

import argparse
import ipaddress
import queue
import socket
import threading

from kubeapi.core.service.headless import HEADLESS
from kubectl.api.client import Dict, Unreachable
from kubectl.changes.waiting import wait_until
from kubectl.input import candidates
from kubectl.input.pods import add_running_timeout, containers, find_pods
from kubectl.input.targets import Target, named
from kubectl.invocation.command import Command, CommandContext, UsageError
from kubectl.remote.listening import PortPair, listen

LOST = "lost connection to pod"
LOCALHOST = ("127.0.0.1", "::1")


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("words", nargs="*", metavar="WORD", help="POD or TYPE/NAME, then [LOCAL:]REMOTE ports")
    parser.add_argument(
        "--address", action="append", default=[], metavar="ADDRESS",
        help="listen here, with commas or repeated; default: localhost",
    )  # fmt: skip
    add_running_timeout(parser)


def run(context: CommandContext, args: argparse.Namespace) -> None:
    if len(args.words) < 2:
        raise UsageError(
            "TYPE/NAME and list of ports are required for port-forward\n"
            "See 'mini-kubectl port-forward -h' for help and examples"
        )
    if args.pod_running_timeout <= 0:
        raise UsageError("--pod-running-timeout must be higher than zero")
    name, *ports = args.words
    pod = find_pods(context, [name], timeout_seconds=args.pod_running_timeout)[0]
    service = _service(context, name)
    translated = [service_port(service, pod, word) if service else named_port(pod, word) for word in ports]
    phase = pod.get("status", {}).get("phase")
    if phase != "Running":
        raise UsageError(f"unable to forward port because pod is not running. Current status={phase}")
    forwards = [parse_port(word) for word in translated]
    addresses = parse_addresses(args.address)
    _forward(context, pod, forwards, addresses)


def _service(context: CommandContext, name: str) -> Dict | None:
    """The named Service, unless it is headless: then its ports are the pods' own."""
    if "/" not in name:
        return None
    target = named(context, [name])[0]
    if target.kind.kind != "Service":
        return None
    service = context.api.request("GET", target.path)
    return None if service["spec"].get("clusterIP") == HEADLESS else service


def _halves(word: str) -> tuple[str, str]:
    local, colon, remote = word.partition(":")
    return (local, remote) if colon else (word, word)


def named_port(pod: Dict, word: str) -> str:
    """Replaces a port's name by its number: "8080:http" -> "8080:80". Raises: UsageError."""
    local, remote = _halves(word)
    if not remote or remote.isdigit() or ":" in remote:
        return word
    number = _container_port(pod, remote)
    if number is None:
        raise UsageError(f"Pod '{pod['metadata']['name']}' does not have a named port '{remote}'")
    return f"{number if local == remote else local}:{number}"


def _container_port(pod: Dict, name: str) -> int | None:
    ports = (port for container in containers(pod, "containers") for port in container.get("ports") or ())
    return next((port["containerPort"] for port in ports if port.get("name") == name), None)


def service_port(service: Dict, pod: Dict, word: str) -> str:
    """Replaces a Service's port, a number or name, by the pod's. Raises: UsageError."""
    local, remote = _halves(word)
    name = service["metadata"]["name"]
    ports = service["spec"].get("ports") or ()
    if remote.isdigit():
        port = next((port for port in ports if port["port"] == int(remote)), None)
        if port is None:
            raise UsageError(f"Service {name} does not have a service port {remote}")
    else:
        port = next((port for port in ports if port.get("name") == remote), None)
        if port is None:
            raise UsageError(f"Service '{name}' does not have a named port '{remote}'")
    aim: int | str | None = port.get("targetPort") or port["port"]
    if isinstance(aim, str):
        aim = int(aim) if aim.isdigit() else _container_port(pod, aim)
    if aim is None:
        raise UsageError(f"Pod '{pod['metadata']['name']}' does not have a named port '{port['targetPort']}'")
    return f"{port['port'] if local == remote else local}:{aim}"


def parse_port(word: str) -> PortPair:
    """Reads "80", "8080:80" and ":80". Raises: UsageError."""
    local, remote = _halves(word)
    if ":" in remote:
        raise UsageError(f"invalid port format '{word}'")
    numbers = []
    for side, text in (("local", local or "0"), ("remote", remote)):
        problem = (
            ""
            if text.isdigit() and int(text) <= 65535
            else "value out of range"
            if text.isdigit()
            else "invalid syntax"
        )
        if problem:
            raise UsageError(f"error parsing {side} port '{text}': strconv.ParseUint: parsing \"{text}\": {problem}")
        numbers.append(int(text))
    if not numbers[1]:
        raise UsageError("remote port must be > 0")
    return PortPair(*numbers)


def parse_addresses(words: list[str]) -> list[tuple[str, bool]]:
    """Each address, and True where it may fail: of localhost's two one is enough. Raises: UsageError."""
    addresses: dict[str, bool] = {}
    for word in [word for item in words for word in item.split(",")] or ["localhost"]:
        if word == "localhost":
            addresses.update(dict.fromkeys(LOCALHOST, True))
            continue
        try:
            addresses[str(ipaddress.ip_address(word))] = False
        except ValueError as error:
            raise UsageError(f"{word} is not a valid IP") from error
    return list(addresses.items())


def _forward(context: CommandContext, pod: Dict, forwards: list[PortPair], addresses: list[tuple[str, bool]]) -> None:
    """Forwards until the pod goes, a connection fails or the user ends it. Raises: UsageError."""
    from kubectl.remote.portforward import PodForwarder  # here: websockets takes 60 ms

    meta = pod["metadata"]
    kind = context.discovery.find("pods")
    problems: queue.SimpleQueue[str] = queue.SimpleQueue()
    forwarder = PodForwarder(context, kind.path(meta["namespace"], meta["name"], "portforward"), problems.put)
    listeners = []
    try:
        for forward in forwards:
            bound = _listen(context, forward, addresses)
            listeners += [listener for listener, _ in bound]
            for listener, actual in bound:
                forwarder.serve(listener, actual)
        if not listeners:
            ports = " ".join(map(str, forwards))
            raise UsageError(f"unable to listen on any of the requested ports: [{ports}]")
        target = Target(kind, meta["name"], meta["namespace"])
        threading.Thread(target=_watch, args=(context, target, meta["uid"], problems), daemon=True).start()
        if problem := problems.get():
            context.say(problem)
        raise UsageError(LOST)
    except KeyboardInterrupt:
        return
    finally:
        for listener in listeners:
            listener.close()


def _listen(
    context: CommandContext, forward: PortPair, addresses: list[tuple[str, bool]]
) -> list[tuple[socket.socket, PortPair]]:
    """Listens on all addresses with one local port."""
    listeners: list[tuple[socket.socket, PortPair]] = []
    refused: list[str] = []
    local = forward.local
    for address, optional in addresses:
        host = f"[{address}]" if ":" in address else address
        try:
            listener = listen(address, local)
        except OSError as error:
            family = "tcp6" if ":" in address else "tcp4"
            why = (error.strerror or str(error)).lower()
            refused.append(f"unable to create listener: Error listen {family} {host}:{local}: bind: {why}")
            if not optional:
                break
            continue
        local = listener.getsockname()[1]
        listeners.append((listener, PortPair(local, forward.remote)))
        context.print(f"Forwarding from {host}:{local} -> {forward.remote}")
    if refused and (not listeners or not optional):
        context.say(
            f"Unable to listen on port {forward.local}: Listeners failed to create with the following errors: "
            f"[{' '.join(refused)}]"
        )
    return listeners


def _watch(context: CommandContext, target: Target, uid: str, problems: queue.SimpleQueue[str]) -> None:
    """Ends the command when the pod has gone or ended, which no connection would tell between two others."""

    def gone(pod: Dict | None) -> bool:
        return pod is None or pod["metadata"]["uid"] != uid or pod["status"].get("phase") != "Running"

    try:
        wait_until(context, target, gone, None)
    except Unreachable as error:
        problems.put(str(error))
    problems.put("")


COMMAND = Command(
    "port-forward",
    "Make ports of this machine lead into a pod",
    configure,
    run,
    completes=candidates.one_pod,
    examples="""\
  # Port 8080 here is port 80 of the pod, until Ctrl-C
  mini-kubectl port-forward pod/web 8080:80
  # The same port on both sides, and one that is free here
  mini-kubectl port-forward web 5432 :9090
  # One of the pods behind a Service, by the Service's port
  mini-kubectl port-forward service/web 8080:http
  # For other machines as well
  mini-kubectl port-forward deployment/web 8080:80 --address=0.0.0.0""",
)
