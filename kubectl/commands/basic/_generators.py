"""Makes objects of common kinds from flags, for `create`."""

from __future__ import annotations

import argparse
import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from kubeapi.core.service.headless import HEADLESS
from kubectl.api.client import Dict
from kubectl.commands.basic import _jobs
from kubectl.invocation.command import CommandContext, UsageError

Parsers = list[argparse.ArgumentParser]


class Generator(NamedTuple):
    """`configure` adds the kind's arguments and returns the parsers that take the flags of every kind."""

    name: str
    aliases: tuple[str, ...]
    help: str
    configure: Callable[[argparse.ArgumentParser], Parsers]
    build: Callable[[CommandContext, argparse.Namespace], Dict]


def _object(args: argparse.Namespace, api_version: str, kind: str, **fields: object) -> Dict:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": args.name}, **fields}


def _add_name(parser: argparse.ArgumentParser) -> Parsers:
    parser.add_argument("name", metavar="NAME")
    return [parser]


def _add_repeated(parser: argparse.ArgumentParser, name: str, metavar: str, help_text: str = "") -> None:
    parser.add_argument(name, action="append", default=[], metavar=metavar, help=help_text or None)


def _add_deployment(parser: argparse.ArgumentParser) -> Parsers:
    parser.add_argument("--image", action="append", required=True, help="image of a container; may be repeated")
    parser.add_argument("-r", "--replicas", type=int, default=1, help="how many pods")
    parser.add_argument("--port", type=int, help="port the container listens on")
    parser.set_defaults(words=[])
    return _add_name(parser)


def _deployment(context: CommandContext, args: argparse.Namespace) -> Dict:
    labels = {"app": args.name}
    containers: list[Dict] = [{"name": _container_name(image), "image": image, "resources": {}} for image in args.image]
    if args.words:
        if len(containers) > 1:
            raise UsageError("cannot specify multiple --image options and command")
        containers[0]["command"] = args.words
    if args.port:
        containers[0]["ports"] = [{"containerPort": args.port}]
    template = {"metadata": {"labels": labels}, "spec": {"containers": containers}}
    spec = {"replicas": args.replicas, "selector": {"matchLabels": labels}, "strategy": {}, "template": template}
    obj = _object(args, "apps/v1", "Deployment", spec=spec, status={})
    obj["metadata"]["labels"] = labels
    return obj


def _container_name(image: str) -> str:
    return image.rpartition("/")[2].partition("@")[0].partition(":")[0].replace("_", "-")


def _add_data(parser: argparse.ArgumentParser) -> Parsers:
    _add_repeated(parser, "--from-literal", "KEY=VALUE")
    _add_repeated(parser, "--from-file", "PATH", "a file or a folder, or KEY=FILE")
    _add_repeated(parser, "--from-env-file", "FILE", "lines of KEY=VALUE")
    return _add_name(parser)


def _collect(args: argparse.Namespace, kind: str) -> dict[str, bytes]:
    """The data that literals and files give, by key."""
    data: dict[str, bytes] = {}

    def put(key: str, value: bytes) -> None:
        if key in data:
            owner = f'Data for {kind} "{args.name}"'
            raise UsageError(f'cannot add key "{key}", another key by that name already exists in {owner}')
        data[key] = value

    for item in args.from_literal:
        key, equals, value = item.partition("=")
        if not equals or not key:
            raise UsageError(f"invalid literal source {item}, expected key=value")
        put(key, value.encode())
    for item in args.from_file:
        key, equals, name = item.partition("=")
        path = Path(name if equals else item)
        files = sorted(file for file in path.iterdir() if file.is_file()) if path.is_dir() and not equals else [path]
        for file in files:
            put(key if equals else file.name, _read(file))
    for item in args.from_env_file:
        for line in _read(Path(item)).decode().splitlines():
            if line.strip() and not line.lstrip().startswith("#"):
                key, _, value = line.lstrip().partition("=")
                put(key, value.encode())
    return data


def _read(path: Path, refusal: str = "error reading {path}: ") -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(refusal.format(path=path) + str(error.strerror).lower()) from error


def _configmap(context: CommandContext, args: argparse.Namespace) -> Dict:
    text: dict[str, str] = {}
    binary: dict[str, str] = {}
    for key, value in _collect(args, "ConfigMap").items():
        try:
            text[key] = value.decode()
        except UnicodeDecodeError:
            binary[key] = base64.b64encode(value).decode()
    fields = ({"data": text} if text else {}) | ({"binaryData": binary} if binary else {})
    return _object(args, "v1", "ConfigMap", **fields)


def _add_secret(parser: argparse.ArgumentParser) -> Parsers:
    kinds = parser.add_subparsers(metavar="TYPE", required=True)
    generic = kinds.add_parser("generic", help="from literals and files")
    _add_data(generic)
    generic.add_argument("--type", default="", help="instead of Opaque")
    generic.set_defaults(collect=lambda args: _collect(args, "Secret"))
    tls = kinds.add_parser("tls", help="a certificate and its key")
    tls.add_argument("--cert", required=True, metavar="FILE")
    tls.add_argument("--key", required=True, metavar="FILE")
    tls.set_defaults(collect=_tls_data, type="kubernetes.io/tls")
    registry = kinds.add_parser("docker-registry", help="credentials for pulling images")
    registry.add_argument("--docker-server", default="https://index.docker.io/v1/")
    registry.add_argument("--docker-username", required=True)
    registry.add_argument("--docker-password", required=True)
    registry.add_argument("--docker-email", default="")
    registry.set_defaults(collect=_registry_data, type="kubernetes.io/dockerconfigjson")
    for sub in (tls, registry):
        _add_name(sub)
    return [generic, tls, registry]


def _secret(context: CommandContext, args: argparse.Namespace) -> Dict:
    data = {key: base64.b64encode(value).decode() for key, value in args.collect(args).items()}
    fields = ({"type": args.type} if args.type else {}) | ({"data": data} if data else {})
    return _object(args, "v1", "Secret", **fields)


def _tls_data(args: argparse.Namespace) -> dict[str, bytes]:
    refusal = "Cannot read file {path}, open {path}: "
    return {"tls.crt": _read(Path(args.cert), refusal), "tls.key": _read(Path(args.key), refusal)}


def _registry_data(args: argparse.Namespace) -> dict[str, bytes]:
    entry = {"username": args.docker_username, "password": args.docker_password}
    if args.docker_email:
        entry["email"] = args.docker_email
    entry["auth"] = base64.b64encode(f"{args.docker_username}:{args.docker_password}".encode()).decode()
    text = json.dumps({"auths": {args.docker_server: entry}}, separators=(",", ":"))
    return {".dockerconfigjson": text.encode()}


def _add_service(parser: argparse.ArgumentParser) -> Parsers:
    kinds = parser.add_subparsers(metavar="TYPE", required=True)
    subs: Parsers = []
    for kind in ("ClusterIP", "NodePort", "LoadBalancer", "ExternalName"):
        purpose = "that is an alias of a DNS name" if kind == "ExternalName" else "for pods labelled app=NAME"
        sub: argparse.ArgumentParser = kinds.add_parser(kind.lower(), help=f"a Service of type {kind} {purpose}")
        _add_name(sub)
        _add_repeated(sub, "--tcp", "PORT:TARGET")
        if kind == "NodePort":
            sub.add_argument("--node-port", type=int)
        if kind == "ClusterIP":
            sub.add_argument("--clusterip", help='an address of its own choice, or "None" for a headless Service')
        if kind == "ExternalName":
            sub.add_argument("--external-name", required=True)
        sub.set_defaults(service_type=kind)
        subs.append(sub)
    return subs


def _service(context: CommandContext, args: argparse.Namespace) -> Dict:
    options = vars(args)
    if not args.tcp and options.get("clusterip") != HEADLESS and args.service_type != "ExternalName":
        raise UsageError("at least one tcp port specifier must be provided")
    ports: list[Dict] = []
    for item in args.tcp:
        port, _, target = item.partition(":")
        if not port.isdigit():
            raise UsageError(f"invalid port {item!r}, expected PORT or PORT:TARGET")
        number: int | str = int(target) if target.isdigit() else target or int(port)
        ports.append({"name": item.replace(":", "-"), "port": int(port), "protocol": "TCP", "targetPort": number})
    labels = {"app": args.name}
    spec: Dict = {"type": args.service_type, "selector": labels}
    if ports:
        spec["ports"] = ports
    if options.get("node_port"):
        ports[0]["nodePort"] = args.node_port
    if options.get("clusterip"):
        spec["clusterIP"] = args.clusterip
    if args.service_type == "ExternalName":
        spec["externalName"] = args.external_name
    obj = _object(args, "v1", "Service", spec=spec, status={"loadBalancer": {}})
    obj["metadata"]["labels"] = labels
    return obj


def _namespace(context: CommandContext, args: argparse.Namespace) -> Dict:
    return _object(args, "v1", "Namespace", spec={}, status={})


def _service_account(context: CommandContext, args: argparse.Namespace) -> Dict:
    return _object(args, "v1", "ServiceAccount")


GENERATORS = (
    Generator("configmap", ("cm",), "A ConfigMap from literals and files", _add_data, _configmap),
    Generator("cronjob", ("cj",), "A CronJob of an image", _jobs.add_cron_job, _jobs.cron_job),
    Generator("deployment", ("deploy",), "A Deployment of an image", _add_deployment, _deployment),
    Generator("job", (), "A Job of an image or of a CronJob", _jobs.add_job, _jobs.job),
    Generator("namespace", ("ns",), "A namespace", _add_name, _namespace),
    Generator("secret", (), "A Secret: generic, tls or docker-registry", _add_secret, _secret),
    Generator(
        "service", ("svc",), "A Service: clusterip, nodeport, loadbalancer, externalname", _add_service, _service
    ),
    Generator("serviceaccount", ("sa",), "A ServiceAccount", _add_name, _service_account),
)
